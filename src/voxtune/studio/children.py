"""Commands of voxtune that the studio starts beside itself, and finds again after it was started anew itself.

A child holds a lock for as long as it lives: the studio opens the lock and the child inherits it, so that no number of a process
has to be trusted, and the system frees it however the child ends. Its number stands in the lock's file to stop it by, and counts
only while the lock is held: it is emptied before another child begins. What a child prints goes to files, never to pipes, which
would block it once nobody reads them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.errors import VoxtuneError

_TURN_S = 0.5
"""How long a start may wait for one who is only looking."""
_END_BYTES = 16_384
_STOPPING: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGINT, 4.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
"""How a child is asked to stop, and how long it has before it is asked less kindly."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a child is, if it says so."""

    what: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Child:
    """One command of voxtune by the files that it leaves in a folder: NAME.log, and hidden ones for its result and its lock."""

    folder: Path
    name: str

    @property
    def log(self) -> Path:
        """What it said on standard error."""
        return self.folder / f"{self.name}.log"

    @property
    def _out(self) -> Path:
        return self.folder / f".{self.name}.json"

    @property
    def _lock(self) -> Path:
        return self.folder / f".{self.name}.lock"

    def start(self, arguments: Sequence[str], more: Mapping[str, str] | None = None) -> bool:
        """Start `voxtune ARGUMENTS` in a session of its own; False where it is at work already, and nothing was started.

        `more` is added to its environment, where secrets travel: they stand in no file and in no list of processes.
        """
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _held(lock):
                return False
            os.ftruncate(lock, 0)
            os.utime(self._lock)  # the moment of its start
            number = _run([*command("voxtune"), *arguments], log=self.log, out=self._out, lock=lock, more=more or {})
            os.pwrite(lock, str(number).encode(), 0)
            return True
        finally:
            os.close(lock)  # the child has its own hold on it

    def stop(self) -> bool:
        """Ask it to stop as Ctrl-C does, and end it with all that it started if it does not; False where it is not at work."""
        until = time.monotonic() + _TURN_S
        while (number := self._number) == 0 and time.monotonic() < until:
            time.sleep(0.02)  # it is being started in this moment
        if not number:
            return False
        _signal(number, signal.SIGINT)
        threading.Thread(target=self._see_to_its_end, args=(number,), name=f"stop {self.name}", daemon=True).start()
        return True

    def _see_to_its_end(self, number: int) -> None:
        for kind, patience_s in _STOPPING:
            if kind is not signal.SIGINT:
                _signal(number, kind)
            until = time.monotonic() + patience_s
            while time.monotonic() < until:
                if self._number != number:
                    return
                time.sleep(0.1)

    @property
    def is_working(self) -> bool:
        """Whether it lives, whoever started it."""
        return self._number is not None

    @property
    def _number(self) -> int | None:
        """Of its process and group, while it lives; 0 in the moment before that is known."""
        try:
            lock = os.open(self._lock, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return int(os.pread(lock, 20, 0) or b"0")
        finally:
            os.close(lock)

    @property
    def started_at(self) -> float:
        """When it last began, in seconds since 1970; 0 if it never did."""
        try:
            return self._lock.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @property
    def spoke_at(self) -> float:
        """When it last said something, in seconds since 1970: of one that failed, when it did; 0 if it never began."""
        try:
            return self.log.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @property
    def result(self) -> Any:
        """The JSON document that it printed; None where it has not, or failed."""
        try:
            return json.loads(self._out.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @property
    def progress(self) -> Progress:
        """What it said last of how far it is."""
        for line in reversed(_end(self.log).splitlines()):
            try:
                said = json.loads(line)["progress"]
                return Progress(what=str(said["what"]), done=int(said["done"]), total=int(said["total"] or 0))
            except (ValueError, KeyError, TypeError):
                continue
        return Progress()

    @property
    def failure(self) -> VoxtuneError | None:
        """Why it ended without a result; None where it has one, is at work, or never was."""
        if self.started_at == 0.0 or self.is_working or self.result is not None:
            return None
        lines = _end(self.log).splitlines()
        for place in range(len(lines) - 1, -1, -1):
            if lines[place].startswith("Error: "):
                found = VoxtuneError(lines[place].removeprefix("Error: "), hint=" ".join(lines[place + 1 :]).strip())
                found.code = _code(lines[:place]) or found.code
                return found
        return VoxtuneError("it ended without a word.", hint="Start it again; the machine may have been turned off, or have too little memory.")


def command(module: str) -> list[str]:
    """How a module of ours is run as a process; a file of its name in the folder where a person works is not taken for it."""
    return [sys.executable, "-P", "-m", module]


def environment() -> Mapping[str, str]:
    """What a child is told: to say its progress in lines, and libraries to say little."""
    quiet = {"PYTHONUNBUFFERED": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false", "NO_COLOR": "1"}
    return {**os.environ, **quiet, "VOXTUNE_PROGRESS": "lines"}


def _held(lock: int) -> bool:
    until = time.monotonic() + _TURN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)


def _run(words: Sequence[str], *, log: Path, out: Path, lock: int, more: Mapping[str, str]) -> int:
    opened = [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644) for path in (out, log)]
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            words, stdin=subprocess.DEVNULL, stdout=opened[0], stderr=opened[1], env={**environment(), **more}, start_new_session=True, pass_fds=(lock,)
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)
    threading.Thread(target=child.wait, daemon=True).start()  # takes its exit code, so that it leaves no zombie
    return child.pid


def _signal(number: int, kind: signal.Signals) -> None:
    """To a child and all that it started: it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, kind)


def _code(lines: Sequence[str]) -> str:
    """What kind of failure a child told of last, in a line for programs."""
    for line in reversed(lines):
        try:
            return str(json.loads(line)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            continue
    return ""


def _end(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _END_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
