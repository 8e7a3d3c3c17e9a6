"""A damaged newest checkpoint is named and passed over, and nothing is deleted; what it holds can never run code (reliability 4, 20)."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.crash.conftest import Small, outcome
from voxtune.training import checkpoints, events, resuming
from voxtune.workspace import RunFolder

FILES = [
    "adapter_model.safetensors",
    "adapter_config.json",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
    "losses.json",
    "complete.json",
]


def _cut(share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return cut


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


MUTILATIONS = {"deleted": Path.unlink, "emptied": _cut(0), "halved": _cut(0.5), "shortened": _cut(0.99), "one bit flipped": _flip}


@pytest.fixture
def two_checkpoints(copied: Callable[[], RunFolder]) -> Callable[[], RunFolder]:
    """The run of conftest with its two last checkpoints (its best one may be the older)."""

    def make() -> RunFolder:
        run = copied()
        if 6 not in (found := checkpoints.found(run.checkpoints)):
            source = found[8]

            def fill(partial: Path) -> None:
                for path in source.iterdir():
                    if path.name != checkpoints.SEAL:
                        (partial / path.name).write_bytes(path.read_bytes())

            checkpoints.write(run.checkpoints, 6, fill)
        return run

    return make


@pytest.mark.parametrize("how", MUTILATIONS)
def test_the_newest_whole_one_is_chosen(two_checkpoints: Callable[[], RunFolder], how: str) -> None:
    for name in FILES:
        run = two_checkpoints()
        MUTILATIONS[how](checkpoints.found(run.checkpoints)[8] / name)
        before = {path.name for path in run.checkpoints.rglob("*") if path.is_file()}
        chosen, damaged = resuming.newest_usable(run.checkpoints)
        assert chosen == run.checkpoints / "step-6", f"{name} {how}"
        assert list(damaged) == ["step-8"]
        assert name in damaged["step-8"] or name == checkpoints.SEAL  # a digest in the seal that is wrong accuses its file
        assert {path.name for path in run.checkpoints.rglob("*") if path.is_file()} == before | {"why.txt"}


def test_a_stranger_among_the_files_is_told(two_checkpoints: Callable[[], RunFolder]) -> None:
    run = two_checkpoints()
    (run.checkpoints / "step-8" / "adapter_model.bin").write_bytes(b"x")
    (run.checkpoints / "step-8" / ".DS_Store").write_bytes(b"a file browser's")
    chosen, damaged = resuming.newest_usable(run.checkpoints)
    assert chosen == run.checkpoints / "step-6"
    assert "adapter_model.bin was not written by the run" in damaged["step-8"]


class _Canary:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.file, "code ran"))


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_checkpoint_never_runs(two_checkpoints: Callable[[], RunFolder], tmp_path: Path, name: str, how: str) -> None:
    """Even where the seal fits: whoever can write the file can write the seal too."""
    run = two_checkpoints()
    canary = tmp_path / "canary"
    newest = run.checkpoints / "step-8"
    inner = {path.name: path.read_bytes() for path in newest.iterdir() if path.name != checkpoints.SEAL}

    def fill(partial: Path) -> None:
        for each, data in inner.items():
            (partial / each).write_bytes(data)
        if how == "torch":
            torch.save({"state": _Canary(canary)}, partial / name)
        else:
            (partial / name).write_bytes(pickle.dumps(_Canary(canary), protocol=2))

    checkpoints.write(run.checkpoints, 8, fill)
    assert checkpoints.flaw(newest) == ""
    chosen, damaged = resuming.newest_usable(run.checkpoints)
    assert not canary.exists()
    assert chosen == run.checkpoints / "step-6"
    assert list(damaged) == ["step-8"]


def test_a_run_goes_on_from_the_checkpoint_before(small: Small, undisturbed: tuple[RunFolder, dict[str, object]]) -> None:
    """Killed, and its newest checkpoint damaged by what killed it: the run goes on from the one before, says so, and ends with the same bits."""
    run = small.make("damaged", save_total_limit=3)
    assert small.train(run, "step", 14) < 0
    newest = max(checkpoints.found(run.checkpoints).items())
    _flip(newest[1] / "adapter_model.safetensors")
    assert small.again(run) == 0, run.log.read_text()
    warnings = [event["message"] for event in events.read(run.events)[0] if event["event"] == "warning"]
    assert len(warnings) == 1
    assert f"step-{newest[0]}" in warnings[0]
    assert "adapter_model.safetensors is damaged" in warnings[0]
    assert outcome(run) == undisturbed[1]
    assert (run.checkpoints / f"damaged-step-{newest[0]}" / "why.txt").is_file()


def test_with_no_whole_checkpoint_it_starts_from_the_beginning(small: Small, undisturbed: tuple[RunFolder, dict[str, object]]) -> None:
    run = small.make("all-damaged")
    assert small.train(run, "step", 14) < 0
    for path in checkpoints.found(run.checkpoints).values():
        (path / checkpoints.SEAL).unlink()
    assert small.again(run) == 0, run.log.read_text()
    assert outcome(run) == undisturbed[1]


def test_a_damaged_best_checkpoint_is_not_taken_for_the_model(small: Small) -> None:
    """Where the best one is older than the newest and damaged, the model is the newest whole one, and the run says so."""
    run = small.make("best-damaged", save_total_limit=4)
    assert small.train(run, "save", 10_000) == 0
    inner = {path.name: path.read_bytes() for path in (run.checkpoints / "step-8").iterdir() if path.name != checkpoints.SEAL}
    inner["trainer_state.json"] = json.dumps(json.loads(inner["trainer_state.json"]) | {"best_global_step": 4}).encode()

    def fill(partial: Path) -> None:
        for name, data in inner.items():
            (partial / name).write_bytes(data)

    checkpoints.write(run.checkpoints, 8, fill)
    _flip(run.checkpoints / "step-4" / "adapter_model.safetensors")
    assert small.again(run) == 0, run.log.read_text()
    told = [event["message"] for event in events.read(run.events)[0] if event["event"] == "warning"]
    assert told == ["the best checkpoint, step-4, is missing or damaged; the model is that of step-8"]
    assert (run.model / "adapter_model.safetensors").read_bytes() == inner["adapter_model.safetensors"]
