"""Small disks, to fill them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def mount(place: Path, size: str) -> None:
    """Mount an empty disk of a size such as 3M, in the place of one that is there. Skips the test where that is not allowed."""
    place.mkdir(exist_ok=True)
    unmount(place)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


def grow(place: Path, size: str) -> None:
    """Give a mounted disk another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def unmount(place: Path) -> None:
    """Take the disk away."""
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def small(place: Path, size: str) -> Iterator[Path]:
    """A disk of a size such as 3M."""
    mount(place, size)
    try:
        yield place
    finally:
        unmount(place)
