"""How long a run takes, measured on this machine by a few real steps: `voxtune train --dry-run` in a process of its own.

There is one at a time in the studio: a new one, or a change of settings, ends the one before it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxtune.settings import TrainSettings
from voxtune.studio import elsewhere
from voxtune.studio.children import command

_WAIT_S = 900.0
"""A download of the model may be part of it."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a rehearsal found, or why it could not be."""

    total_s: float = 0.0
    step_s: float = 0.0
    memory_bytes: int = 0
    available_bytes: int = 0
    problem: str = ""
    """In words; empty where it went well."""


@dataclass
class _Job:
    key: tuple[str, ...]
    process: subprocess.Popen[str]
    result: Measured | None = None
    is_ended: bool = field(default=False)
    """By us, so that its failure is none."""


_lock = threading.Lock()
_job: _Job | None = None


def _key(workspace: Path, settings: TrainSettings) -> tuple[str, ...]:
    return (str(workspace), settings.model_copy(update={"output": None}).model_dump_json())


def start(workspace: Path, settings: TrainSettings) -> None:
    """Begin to measure a run of these settings; a measurement that is under way is ended."""
    global _job
    words = [word for each in elsewhere.flags(settings.model_copy(update={"output": None})) for word in each]
    wanted = [*command("voxtune"), "train", "--dry-run", "--json", *words]
    with _lock:
        _end()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            wanted, cwd=workspace, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        _job = _Job(_key(workspace, settings), process)
        threading.Thread(target=_wait, args=(_job,), name="measuring", daemon=True).start()


def _wait(job: _Job) -> None:
    try:
        out, err = job.process.communicate(timeout=_WAIT_S)
    except subprocess.TimeoutExpired:
        _kill(job)
        job.process.communicate()
        job.result = Measured(problem=f"it took more than {_WAIT_S / 60:.0f} minutes.")
        return
    job.result = _result(job.process.returncode, out, err)


def _result(code: int, out: str, err: str) -> Measured:
    if code == 0:
        try:
            found: dict[str, Any] = json.loads(out)
        except ValueError:
            return Measured(problem="it gave no figures.")
        time, memory = found["time"], found["memory"]
        return Measured(total_s=time["total_s"], step_s=time["step_s"], memory_bytes=memory["total_bytes"], available_bytes=memory["available_bytes"])
    lines = [line for line in err.splitlines() if line.strip()]
    told = next((place for place, line in enumerate(lines) if line.startswith("Error: ")), None)
    said = " ".join(lines[told:]).removeprefix("Error: ") if told is not None else f"the process ended with code {code}."
    return Measured(problem=said[:500])


def look(workspace: Path, settings: TrainSettings) -> Measured | None:
    """What was measured for exactly these settings, or None."""
    job = _job
    return job.result if job is not None and not job.is_ended and job.key == _key(workspace, settings) else None


def is_measuring(workspace: Path, settings: TrainSettings) -> bool:
    """Whether a measurement of exactly these settings is under way."""
    job = _job
    return job is not None and not job.is_ended and job.result is None and job.key == _key(workspace, settings)


def keep_only(workspace: Path, settings: TrainSettings | None) -> None:
    """End a measurement of this workspace unless it is of these settings; without settings, in any case."""
    with _lock:
        if _job is not None and _job.key[0] == str(workspace) and (settings is None or _job.key != _key(workspace, settings)):
            _end()


def _end() -> None:
    if _job is not None and _job.result is None:
        _job.is_ended = True
        _kill(_job)


def _kill(job: _Job) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(job.process.pid, signal.SIGKILL)


atexit.register(_end)
