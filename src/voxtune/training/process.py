"""A process told from all others, started apart from us, and ended with all its children."""

from __future__ import annotations

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

from voxtune.errors import CallError

RUN_VARIABLE = "VOXTUNE_RUN"
"""Names in the environment of a run's processes the folder of the run: all that it starts inherits it."""

_CLOCK_S = 2.0
"""How far a start time may be off: the clock may be set while a process lives."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process by its number, when it began (seconds since 1970) and on which machine."""

    pid: int
    started_at: float
    host: str
    run: str = ""
    """The folder of the run that it works on, if it is known."""

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine, so that we can tell if it lives; machines change their names, and a run's mark tells it then."""
        if self.host == socket.gethostname():
            return True
        try:
            return self._is_marked(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return False

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; one of another machine is taken to."""
        return not self.is_here or self._found() is not None

    def _found(self) -> psutil.Process | None:
        try:
            found = psutil.Process(self.pid)
            if found.status() == psutil.STATUS_ZOMBIE:
                return None
            if abs(found.create_time() - self.started_at) <= _CLOCK_S or self._is_marked(found):
                return found
        except psutil.NoSuchProcess:
            return None
        return None

    def _is_marked(self, other: psutil.Process) -> bool:
        try:
            return bool(self.run) and other.environ().get(RUN_VARIABLE) == self.run
        except (psutil.Error, OSError):
            return False  # another person's, or gone

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it lives. Raises CallError if it is another person's."""
        if self.is_here and self._found() is not None:
            try:
                os.kill(self.pid, signal.SIGTERM)
            except ProcessLookupError:
                return
            except PermissionError:
                raise self._of_another() from None

    def _of_another(self) -> CallError:
        return CallError(f"process {self.pid} belongs to another person.", hint="Ask them to stop the run.")

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within that time."""
        until = time.monotonic() + timeout_s
        while self.is_alive:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    def kill_tree(self) -> None:
        """End it and everything it started at once, orphans of it too. Raises CallError if it is another person's."""
        if not self.is_here or self.pid == os.getpid():
            return
        found = self._found()
        family = [found, *found.children(recursive=True)] if found is not None else []
        family += [each for each in psutil.process_iter() if self._is_marked(each) and each.pid != os.getpid()]
        for each in dict.fromkeys(family):
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                raise self._of_another() from None
        psutil.wait_procs(family, timeout=10)


WAITING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that a process started apart holds back until it listens to them."""


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
    # A request to stop that comes before it can answer waits until it can: the worker unblocks these once it listens.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITING_SIGNALS)
    # -P: a torch.py in the folder where a person works must not be taken for the library.
    command = [sys.executable, "-P", "-m", module, *arguments]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=subprocess.STDOUT, env=dict(environment), start_new_session=True
        )
    finally:
        os.close(descriptor)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    started = of_pid(child.pid)
    threading.Thread(target=child.wait, daemon=True).start()  # takes its exit code, so that it leaves no zombie
    return started
