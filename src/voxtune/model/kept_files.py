"""Where what was computed of clips lies on this machine's disk, how much it is, and how it is deleted. Loads no torch.

It is derived from people's voices, so `voxtune forget` deletes all of it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import platformdirs

from voxtune import files

CACHE_VARIABLE = "VOXTUNE_CACHE"
"""Names another folder; by default it is in the person's own cache folder, one for all workspaces."""


class Entry(NamedTuple):
    """One output; sorted, the one that was used longest ago comes first."""

    used_at_ns: int
    file: Path
    size_bytes: int


def folder() -> Path:
    """Where all of it lies."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return (Path(chosen) if chosen else platformdirs.user_cache_path("voxtune")) / "heard"


def entries(below: Path | None = None) -> Iterator[Entry]:
    """All that is there, or in one folder of it."""
    for file in (below or folder()).rglob("*.safetensors"):
        with contextlib.suppress(OSError):  # another process has just deleted it
            stat = file.stat()
            yield Entry(stat.st_mtime_ns, file, stat.st_size)


def size_bytes() -> int:
    """What it takes."""
    return sum(entry.size_bytes for entry in entries())


def clear(below: Path | None = None) -> None:
    """Delete all of it, or one folder of it; it is made again where it is needed."""
    place = below or folder()
    files.remove([entry.file for entry in entries(place)], below=place)
