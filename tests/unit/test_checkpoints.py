from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from voxtune.training import checkpoints


def _fill(partial: Path) -> Path:
    (partial / "inner").mkdir()
    (partial / "inner" / "weights").write_bytes(b"w")
    return partial / "inner"


def test_a_checkpoint_is_complete_or_absent(tmp_path: Path) -> None:
    def fail(partial: Path) -> Path:
        _fill(partial)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoints.write(tmp_path, 5, fail)
    assert list(tmp_path.iterdir()) == []
    checkpoints.write(tmp_path, 5, _fill)
    assert [path.name for path in tmp_path.iterdir()] == ["step-5"]


def test_they_are_found_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        checkpoints.write(tmp_path, step, _fill)
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / "step-x").mkdir()
    assert list(checkpoints.found(tmp_path)) == [9, 10, 100]
    checkpoints.sweep(tmp_path)
    assert not (tmp_path / ".partial-abc").exists()


@given(history=some.lists(some.tuples(some.integers(1, 30), some.booleans()), min_size=1, max_size=30), keep=some.integers(1, 4))
def test_pruning_never_takes_the_newest_or_the_best(tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, bool]], keep: int) -> None:
    folder = tmp_path_factory.mktemp("c")
    step, best = 0, None
    for advance, is_best in history:
        step += advance
        best = step if is_best or best is None else best
        checkpoints.write(folder, step, _fill)
        checkpoints.prune(folder, keep=keep, best_step=best)
        left = checkpoints.found(folder)
        assert step in left
        assert best in left
        assert len(left) <= max(keep, 2)
