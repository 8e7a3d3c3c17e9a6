"""Both models of a run, asked what they hear: in a process of its own that keeps them loaded while someone asks.

There is one such process at most. It ends when nobody asked for a while, when something else needs the memory, and with the studio,
whose end closes the pipe that it reads from.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.errors import VoxtuneError
from voxtune.studio.children import command, environment
from voxtune.workspace import RunFolder

IDLE_S = 300.0
LOAD_S = 900.0
"""The largest models come from a slow disk, or from the Hub."""
ANSWER_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What both models made of one recording."""

    base: str
    tuned: str
    seconds: float


class _Process:
    """The process for one run. What it says on standard error is in a file."""

    def __init__(self, run: RunFolder, log: Path) -> None:
        self.run = run.path
        self.model_at = run.model.stat().st_mtime_ns
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command("voxtune.evaluation.listen"), str(run.path.resolve())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=descriptor, env=environment(), start_new_session=True, text=True, encoding="utf-8",
            )  # fmt: skip
        finally:
            os.close(descriptor)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.answer(LOAD_S)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._lines.put(line)
        self._popen.wait()
        self._lines.put("")

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._popen.poll() is None

    def ask(self, audio: Path, language: str | None) -> Any:
        """Its answer about one recording. Raises VoxtuneError."""
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps({"audio": str(audio), "language": language}) + "\n")
            self._popen.stdin.flush()
        except OSError:
            raise _ended() from None
        return self.answer(ANSWER_S)

    def answer(self, timeout_s: float) -> Any:
        """The next line. Raises VoxtuneError for an error, for an end, and after `timeout_s`."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.end()
            raise VoxtuneError(f"the models did not answer within {timeout_s:.0f} s.", hint="Try a shorter recording.") from None
        if not line:
            raise _ended()
        said = json.loads(line)
        if "error" in said:
            raise VoxtuneError(said["error"], hint=said.get("hint", ""))
        return said

    def end(self) -> None:
        """End it at once."""
        self._popen.kill()
        self._popen.wait()


def _ended() -> VoxtuneError:
    return VoxtuneError("the models ended without a word.", hint="The machine may have too little memory for both. Close other programs and try again.")


class Listener:
    """Asks, and starts and ends the process for that."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._process: _Process | None = None
        self._asked_at = 0.0
        self._turn = threading.Lock()

    def hear(self, run: RunFolder, audio: Path, language: str | None, *, log: Path) -> Heard:
        """What base and tuned model of a run hear; the first question waits until they are loaded. Raises VoxtuneError."""
        if not run.model.is_dir():
            raise VoxtuneError("this run has no model yet.", hint="Let it finish first.")
        with self._turn:
            process = self._process
            if process is None or not process.is_alive or (process.run, process.model_at) != (run.path, run.model.stat().st_mtime_ns):
                self._end()
                process = self._process = _Process(run, log)
                threading.Thread(target=self._watch, args=(process,), daemon=True).start()
            try:
                said = process.ask(audio, language)
            finally:
                self._asked_at = time.monotonic()
        return Heard(base=said["base"], tuned=said["tuned"], seconds=said["seconds"])

    @property
    def is_loaded(self) -> bool:
        """Whether the models are there, so that an answer comes soon."""
        return self._process is not None and self._process.is_alive

    def make_room(self) -> None:
        """End the process, for something else needs the memory; one that is being asked is left to answer."""
        if self._process is not None and self._turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._turn.release()

    def _watch(self, process: _Process) -> None:
        while process.is_alive:
            time.sleep(min(5.0, self._idle_s))
            with self._turn:
                if self._process is process and time.monotonic() - self._asked_at >= self._idle_s:
                    self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


LISTENER = Listener()
"""The one of this studio."""
