"""One run at a time on each device of this machine: who comes first works, the others wait in line.

Each run in line holds a ticket, a file locked by its process. The system frees locks when a process ends, so that a killed run
never blocks the others and nothing has to be cleaned up by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from voxtune.files import PARTIAL, locked

STATE_VARIABLE = "VOXTUNE_STATE"
"""Names another folder for the line; by default it is in the person's own state folder, one for all workspaces."""

_POLL_S = 0.2


def folder() -> Path:
    """Where the tickets and locks are."""
    chosen = os.environ.get(STATE_VARIABLE)
    return (Path(chosen) if chosen else platformdirs.user_state_path("voxtune")) / "queue"


def this_device() -> str:
    """What a run here holds while it works: the GPUs that it may see, or the CPU. Asks no library, so that waiting costs no memory."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "" or (visible is None and not Path("/proc/driver/nvidia/gpus").is_dir()):
        return "cpu"
    return "cuda:" + (visible or "all").replace("/", "-")


@contextlib.contextmanager
def turn(device: str, who: str, *, waiting: Callable[[str], None]) -> Iterator[None]:
    """Wait until `device` is ours and hold it; `waiting` is told who is before us, each time that this changes."""
    line = folder() / device
    line.mkdir(parents=True, exist_ok=True)
    with _ticket(line, who) as mine:
        before = None
        while (first := _first(line, mine)) is not None:
            if first != before:
                waiting(first)
                before = first
            time.sleep(_POLL_S)
        # The oldest ticket goes first, and the lock makes sure of it: two tickets may have been drawn in the same moment.
        with locked(line / "lock", wait_s=float("inf")):
            yield


@contextlib.contextmanager
def _ticket(line: Path, who: str) -> Iterator[Path]:
    name = f"{time.time_ns():020d}-{os.getpid()}"
    drawn = line / f"{PARTIAL}{name}"
    descriptor = os.open(drawn, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, who.encode())
        mine = drawn.rename(line / name)  # seen by the others only now that it is locked
        yield mine
    finally:
        drawn.unlink(missing_ok=True)
        (line / name).unlink(missing_ok=True)
        os.close(descriptor)


def _first(line: Path, mine: Path) -> str | None:
    """Who is first in line before us. Tickets whose process has ended are thrown away."""
    for ticket in sorted(path for path in line.iterdir() if path.name[0].isdigit() and path.name < mine.name):
        try:
            descriptor = os.open(ticket, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ticket.unlink(missing_ok=True)
        except BlockingIOError:
            return os.pread(descriptor, 4_096, 0).decode()
        finally:
            os.close(descriptor)
    return None
