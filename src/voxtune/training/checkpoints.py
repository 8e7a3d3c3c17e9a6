"""Checkpoints: folders `step-N` that are complete or absent, which of them can be trusted, and which to keep. Loads no torch."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from voxtune import files

SEAL = "complete.json"
"""Names every other file of a checkpoint with its size and SHA-256; written last."""


def found(folder: Path) -> dict[int, Path]:
    """Every checkpoint in `folder` by its step, oldest first; whether it is whole, `flaw` tells."""
    if not folder.is_dir():
        return {}
    numbered = [(int(match.group(1)), path) for path in folder.iterdir() if path.is_dir() and (match := re.fullmatch(r"step-(\d+)", path.name))]
    return dict(sorted(numbered))


def write(folder: Path, step: int, fill: Callable[[Path], None]) -> Path:
    """Make checkpoint `step-N` of what `fill` writes into the temporary folder that it is given."""
    place = folder / f"step-{step}"
    with files.replaced_folder(place) as partial:
        fill(partial)
        sizes = {str(path.relative_to(partial)): {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in _files(partial)}
        files.write_json(partial / SEAL, {"step": step, "files": sizes})
    return place


def flaw(checkpoint: Path, *, read_all: bool = True) -> str:
    """What is wrong with a checkpoint, in words, or nothing; without `read_all` only its files' names and sizes are looked at."""
    try:
        seal = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
        sealed = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in seal["files"].items()}
        step = int(seal["step"])
    except FileNotFoundError:
        return f"{SEAL} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{SEAL} cannot be read"
    if checkpoint.name != f"step-{step}":
        return f"it is a copy of step-{step}"
    present = {str(path.relative_to(checkpoint)) for path in _files(checkpoint)} - {SEAL}
    if extra := sorted(present - set(sealed)):
        return f"{extra[0]} was not written by the run"
    for name, (size_bytes, digest) in sealed.items():
        path = checkpoint / name
        if name not in present:
            return f"{name} is missing"
        if path.stat().st_size != size_bytes:
            return f"{name} has {path.stat().st_size} bytes of {size_bytes}"
        if read_all and _digest(path) != digest:
            return f"{name} is damaged"
    return ""


def set_aside(checkpoint: Path, reason: str) -> Path:
    """Take a damaged checkpoint out of the row, under a name that says so, with nothing deleted."""
    number = 0
    while (place := checkpoint.with_name(f"damaged-{checkpoint.name}" + (f"-{number}" if number else ""))).exists():
        number += 1
    checkpoint.rename(place)
    files.write_text(place / "why.txt", reason + "\n")
    return place


def prune(folder: Path, *, keep: int, best_step: int | None) -> None:
    """Delete the oldest checkpoints beyond `keep`, but never the only, the newest complete or the best one."""
    steps = list(found(folder).items())
    complete = [step for step, path in steps if not flaw(path, read_all=False)]
    protected = {complete[-1] if complete else None, steps[-1][0] if steps else None, best_step}
    surplus = len(steps) - keep
    for step, path in steps:
        if surplus <= 0:
            return
        if step not in protected:
            doomed = path.with_name(f"{files.PARTIAL}{path.name}")
            path.rename(doomed)  # first out of sight: half a checkpoint must not be found
            shutil.rmtree(doomed)
            surplus -= 1


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))  # a file browser leaves hidden ones


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
