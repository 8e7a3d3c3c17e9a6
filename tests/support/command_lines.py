"""What stands in the command lines of this machine, for everybody on it to read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def marked_command_lines(mark: bytes) -> Iterator[set[str]]:
    """Every command line on this machine that holds a mark meanwhile, looked at fifty times a second."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = file.read_bytes()
                except OSError:
                    continue  # it has ended
                if mark in line:
                    seen.add(line.decode(errors="replace"))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
