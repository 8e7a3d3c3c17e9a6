from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from voxtune import files
from voxtune.training import checkpoints


def _fill(partial: Path) -> None:
    (partial / "weights").write_bytes(b"w")


def test_a_checkpoint_is_complete_or_absent(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        _fill(partial)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        checkpoints.write(tmp_path, 5, fail)
    assert list(tmp_path.iterdir()) == []
    checkpoints.write(tmp_path, 5, _fill)
    assert [path.name for path in tmp_path.iterdir()] == ["step-5"]
    assert checkpoints.flaw(tmp_path / "step-5") == ""


def test_they_are_found_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        checkpoints.write(tmp_path, step, _fill)
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / "step-x").mkdir()
    assert list(checkpoints.found(tmp_path)) == [9, 10, 100]
    files.sweep(tmp_path)
    assert not (tmp_path / ".partial-abc").exists()


def test_one_step_may_be_written_again(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, 5, _fill)
    checkpoints.write(tmp_path, 5, lambda partial: (partial / "weights").write_bytes(b"again") and None)
    assert (tmp_path / "step-5" / "weights").read_bytes() == b"again"
    assert [path.name for path in tmp_path.iterdir()] == ["step-5"]


def test_a_copy_under_another_step_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, 5, _fill)
    (tmp_path / "step-5").rename(tmp_path / "step-7")
    assert checkpoints.flaw(tmp_path / "step-7") == "it is a copy of step-5"


@pytest.mark.parametrize("seal", ["{", "[]", "{}", '{"step": "x", "files": {}}', '{"step": 5, "files": {"weights": 3}}'])
def test_a_seal_that_says_nothing_seals_nothing(tmp_path: Path, seal: str) -> None:
    checkpoints.write(tmp_path, 5, _fill)
    (tmp_path / "step-5" / checkpoints.SEAL).write_text(seal)
    assert checkpoints.flaw(tmp_path / "step-5") == f"{checkpoints.SEAL} cannot be read"


Act = tuple[str, int]


@settings(max_examples=500, deadline=None)
@given(
    acts=some.lists(some.tuples(some.sampled_from(["save", "best", "restart", "damage"]), some.integers(1, 9)), min_size=1, max_size=25),
    keep=some.integers(1, 4),
)
def test_pruning_never_takes_the_only_the_newest_complete_or_the_best(tmp_path_factory: pytest.TempPathFactory, acts: list[Act], keep: int) -> None:
    """Any history of saves, new bests, damage to the newest, and restarts from the newest that is whole."""
    folder = tmp_path_factory.mktemp("c")
    step, best = 0, None
    for act, number in acts:
        whole = [each for each, path in checkpoints.found(folder).items() if not checkpoints.flaw(path)]
        if act == "damage" and len(whole) > 1:
            (folder / f"step-{whole[-1]}" / "weights").write_bytes(b"")
        elif act == "restart":
            step = whole[-1] if whole else 0
            best = best if best is not None and best <= step else None
        else:
            step += number
            best = step if act == "best" or best is None else best
            checkpoints.write(folder, step, _fill)
            before = checkpoints.found(folder)
            checkpoints.prune(folder, keep=keep, best_step=best)
            left = checkpoints.found(folder)
            sound = [each for each, path in before.items() if not checkpoints.flaw(path)]
            assert sound[-1] in left
            assert best not in before or best in left
            assert left
            assert len(left) <= max(keep, 3)


def test_the_seal_names_every_file(tmp_path: Path) -> None:
    checkpoints.write(tmp_path, 5, _fill)
    seal = json.loads((tmp_path / "step-5" / checkpoints.SEAL).read_text())
    assert seal["step"] == 5
    assert {name: entry["bytes"] for name, entry in seal["files"].items()} == {"weights": 1}
