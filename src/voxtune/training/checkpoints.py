"""Checkpoints: folders `step-N` that are complete or absent, and which of them to keep. Loads no torch."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from voxtune import files


def found(folder: Path) -> dict[int, Path]:
    """Every checkpoint in `folder` by its step, oldest first."""
    if not folder.is_dir():
        return {}
    numbered = [(int(match.group(1)), path) for path in folder.iterdir() if path.is_dir() and (match := re.fullmatch(r"step-(\d+)", path.name))]
    return dict(sorted(numbered))


def write(folder: Path, step: int, fill: Callable[[Path], Path]) -> Path:
    """Make checkpoint `step-N`: `fill` writes it somewhere inside the temporary folder it is given, and says where."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=files.PARTIAL, dir=folder))
    place = folder / f"step-{step}"
    try:
        filled = fill(partial)
        files.flush_tree(filled)
        if place.exists():  # the same step again, after a resume from an older checkpoint
            shutil.rmtree(place)
        filled.rename(place)
        files.flush_folder(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def prune(folder: Path, *, keep: int, best_step: int | None) -> None:
    """Delete the oldest checkpoints beyond `keep`, but never the newest or the best one."""
    steps = list(found(folder).items())
    protected = {steps[-1][0] if steps else None, best_step}
    surplus = len(steps) - keep
    for step, path in steps:
        if surplus <= 0:
            return
        if step not in protected:
            doomed = path.with_name(f"{files.PARTIAL}{path.name}")
            path.rename(doomed)  # first out of sight: half a checkpoint must not be found
            shutil.rmtree(doomed)
            surplus -= 1


def sweep(folder: Path) -> None:
    """Remove what a killed process left unfinished."""
    if folder.is_dir():
        for path in folder.glob(f"{files.PARTIAL}*"):
            shutil.rmtree(path, ignore_errors=True)
