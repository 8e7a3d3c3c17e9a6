"""A process told from all others, started apart from us, and ended with all its children."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_CLOCK_S = 2.0
"""How far a start time may be off: the clock may be set while a process lives."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process by its number, when it began (seconds since 1970) and on which machine."""

    pid: int
    started_at: float
    host: str

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine, so that we can tell if it lives."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; one of another machine is taken to."""
        return not self.is_here or self._found() is not None

    def _found(self) -> psutil.Process | None:
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.started_at) > _CLOCK_S or found.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return found

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it lives."""
        if self.is_here and self._found() is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within that time."""
        until = time.monotonic() + timeout_s
        while self.is_alive:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    def kill_tree(self) -> None:
        """End it and everything it started at once: its children, and its process group, where orphans of it may be left."""
        if not self.is_here or self.pid <= 1:
            return
        found = self._found()
        family = [found, *found.children(recursive=True)] if found is not None else []
        # Its number may belong to a stranger by now; the group of that number is its own as long as no such stranger leads it.
        if (found is not None or not psutil.pid_exists(self.pid)) and self.pid != os.getpgrp():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=10)


def this_process() -> Process:
    """The process that asks."""
    return of_pid(os.getpid())


def of_pid(pid: int) -> Process:
    """The process that has this number now."""
    return Process(pid=pid, started_at=psutil.Process(pid).create_time(), host=socket.gethostname())


def start_apart(module: str, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Process:
    """Run `python -m module` in a session of its own, so that neither a closed terminal nor Ctrl-C reaches it.

    What it prints goes to the file `log`, never to a pipe, which would block it once its reader leaves.
    """
    # -P: a torch.py in the folder where a person works must not be taken for the library.
    command = [sys.executable, "-P", "-m", module, *arguments]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=subprocess.STDOUT, env=dict(environment), start_new_session=True
        )
    finally:
        os.close(descriptor)
    started = of_pid(child.pid)
    threading.Thread(target=child.wait, daemon=True).start()  # takes its exit code, so that it leaves no zombie
    return started
