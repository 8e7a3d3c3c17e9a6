"""One run at a time on each device of this machine: who comes first works, the others wait in line.

Each run in line holds a ticket, a file locked by its process. The system frees locks when a process ends, so that a killed run
never blocks the others and nothing has to be cleaned up by hand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import platformdirs

from voxtune.files import PARTIAL, locked

STATE_VARIABLE = "VOXTUNE_STATE"
"""Names another folder for the line; by default it is in the person's own state folder, one for all workspaces."""

_POLL_S = 0.2
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def folder() -> Path:
    """Where the tickets and locks of this machine are: a home may be shared by several."""
    chosen = os.environ.get(STATE_VARIABLE)
    return (Path(chosen) if chosen else platformdirs.user_state_path("voxtune")) / "queue" / socket.gethostname()


def devices() -> list[str]:
    """What a run here holds while it works: the GPUs that it may see, or the CPU. Asks no library, so that waiting costs no memory."""
    there = len(list(_NVIDIA.iterdir())) if _NVIDIA.is_dir() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    named = [str(number) for number in range(there)] if visible is None else [each.strip() for each in visible.split(",")]
    return sorted(f"cuda-{each.replace('/', '-')}" for each in named if each and each not in ("-1", "NoDevFiles")) or ["cpu"]


@contextlib.contextmanager
def turn(wanted: Sequence[str], who: str, *, waiting: Callable[[str], None]) -> Iterator[None]:
    """Wait until all of `wanted` are ours and hold them; `waiting` is told who is before us, each time that this changes."""
    line = folder()
    line.mkdir(parents=True, exist_ok=True)
    with _ticket(line, wanted, who) as mine, contextlib.ExitStack() as held:
        before = None
        while (first := _first(line, mine, wanted)) is not None:
            if first != before:
                waiting(first)
                before = first
            time.sleep(_POLL_S)
        # The oldest ticket goes first, and the locks make sure of it: two tickets may have been drawn in the same moment.
        for device in sorted(wanted):
            held.enter_context(locked(line / f"{device}.lock", wait_s=float("inf")))
        yield


@contextlib.contextmanager
def _ticket(line: Path, wanted: Sequence[str], who: str) -> Iterator[Path]:
    name = f"{time.time_ns():020d}-{os.getpid()}"
    drawn = line / f"{PARTIAL}{name}"
    descriptor = os.open(drawn, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, "\n".join([",".join(wanted), who]).encode())
        mine = drawn.rename(line / name)  # seen by the others only now that it is locked
        yield mine
    finally:
        drawn.unlink(missing_ok=True)
        (line / name).unlink(missing_ok=True)
        os.close(descriptor)


def _first(line: Path, mine: Path, wanted: Sequence[str]) -> str | None:
    """Who is before us in line for one of our devices. Tickets whose process has ended are thrown away."""
    for ticket in sorted(path for path in line.iterdir() if path.name[0].isdigit() and path.name < mine.name):
        try:
            descriptor = os.open(ticket, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ticket.unlink(missing_ok=True)
        except BlockingIOError:
            theirs, _, who = os.pread(descriptor, 4_096, 0).decode().partition("\n")
            if set(theirs.split(",")) & set(wanted):
                return who
        finally:
            os.close(descriptor)
    return None
