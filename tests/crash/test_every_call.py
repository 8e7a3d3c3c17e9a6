"""Killed before, after or half-way through every call that changes the disk, nobody sees half of anything (reliability 2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.clips import write_dataset
from tests.support.dying import killed_at_every_call
from voxtune import files
from voxtune.dataset import store
from voxtune.training import checkpoints, device_queue, events

WEIGHTS = bytes(range(256)) * 40


def _write_report(file: Path) -> None:
    files.write_json(file, {"wer": 0.2, "clips": ["b"] * 50})


def test_a_report_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        (folder / "report.json").write_text('{"wer": 0.5}')
        return (folder / "report.json",)

    seen = [json.loads((folder / "report.json").read_text())["wer"] for folder in killed_at_every_call(_write_report, prepare, tmp_path)]
    assert len(seen) > 8
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {0.5, 0.2}


def _append(file: Path) -> None:
    for number in (1, 2):
        files.append_line(file, {"step": number})


def test_events_are_whole_and_stay_in_order(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        (folder / "events.jsonl").write_text('{"step": 0}\n')
        return (folder / "events.jsonl",)

    for folder in killed_at_every_call(_append, prepare, tmp_path):
        steps = [event["step"] for event in events.read(folder / "events.jsonl")[0]]
        assert steps == list(range(len(steps)))
        assert steps


def _import(source: Path, target: Path) -> None:
    from voxtune.dataset import transcripts

    file = source / "data.jsonl"
    store.create(transcripts.pair(transcripts.find_audio([source / "wavs"]), file), target, language="en")


def test_a_dataset_is_whole_or_absent(tmp_path: Path) -> None:
    write_dataset(tmp_path / "source", ["one", "two", "three"])

    def prepare(folder: Path) -> tuple[Any, ...]:
        return tmp_path / "source", folder / "made"

    left = []
    for folder in killed_at_every_call(_import, prepare, tmp_path / "work"):
        made = folder / "made"
        left.append(made.exists())
        if made.exists():
            assert len(store.load(made).clips) == 3
            assert all(clip.path.stat().st_size > 1_000 for clip in store.load(made).clips)
    assert len(left) > 20
    assert left[-1]
    assert not left[0]


def _fill(partial: Path) -> None:
    (partial / "adapter_model.safetensors").write_bytes(WEIGHTS)
    (partial / "optimizer.pt").write_bytes(WEIGHTS * 2)
    (partial / "trainer_state.json").write_text('{"global_step": 20}')


def _save(folder: Path) -> None:
    checkpoints.write(folder, 20, _fill)
    checkpoints.prune(folder, keep=1, best_step=None)


def test_there_is_always_a_whole_checkpoint(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        checkpoints.write(folder, 10, _fill)
        return (folder,)

    newest = []
    for folder in killed_at_every_call(_save, prepare, tmp_path):
        found = checkpoints.found(folder)
        assert [checkpoints.flaw(path) for path in found.values()] == [""] * len(found)
        newest.append(max(found))
        files.sweep(folder)
        assert {path.name for path in folder.iterdir()} == {f"step-{step}" for step in found}
    assert len(newest) > 20
    assert newest == sorted(newest)
    assert set(newest) == {10, 20}


def test_a_checkpoint_made_again_never_leaves_a_broken_one(tmp_path: Path) -> None:
    def prepare(folder: Path) -> tuple[Any, ...]:
        checkpoints.write(folder, 10, _fill)
        checkpoints.write(folder, 20, _fill)
        return (folder,)

    for folder in killed_at_every_call(_save, prepare, tmp_path):
        found = checkpoints.found(folder)
        assert found
        assert [checkpoints.flaw(path) for path in found.values()] == [""] * len(found)


def _take_turn(_: Path) -> None:
    with device_queue.turn(["cpu"], "a run", waiting=lambda who: None):
        pass


def test_a_run_killed_in_line_blocks_nobody(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(device_queue.STATE_VARIABLE, str(tmp_path / "state"))
    for _ in killed_at_every_call(_take_turn, lambda folder: (folder,), tmp_path / "work"):
        waited: list[str] = []
        with device_queue.turn(["cpu"], "the next", waiting=waited.append):
            assert waited == []
