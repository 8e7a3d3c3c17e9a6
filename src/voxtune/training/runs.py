"""Runs seen from outside: start, look, follow, stop, resume. Whoever watches may leave; the run is a process of its own. Loads no torch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune import settings as settings_files
from voxtune.errors import CallError, DiskFullError, InUseError
from voxtune.model import names
from voxtune.settings import TrainSettings
from voxtune.training import events, failures, machine, opening, process
from voxtune.training import status as status_file
from voxtune.training.status import ACTIVE, Status, StatusFile
from voxtune.workspace import RunFolder

GRACE_S = 120.0
"""How long a run that is asked to stop may take for the step at hand, a validation that is due and a checkpoint."""

_WORKER = "voxtune.training.worker"
_POLL_S = 0.2
_HANDOVER_S = 10.0
"""A process that has just ended its run may still hold it for a moment."""


def start(settings: TrainSettings, *, request_id: str = "", queue: bool = True) -> RunFolder:
    """Make a run and set a process to work on it; with the id of an earlier request, give the run that that one started.

    Raises what `opening.create` raises.
    """
    run = opening.create(settings, process.this_process(), request_id=request_id)
    with contextlib.suppress(InUseError), files.locked(run.lock):
        now = status_file.read(run)
        if now.state == "queued" and now.process == process.this_process():  # ours, and not one that this request made before
            _set_to_work(run, now, queue=queue)
    return run


def resume(run: RunFolder, changes: dict[str, Any], *, queue: bool = True) -> RunFolder:
    """Go on with a run that stopped, failed or finished, with `changes` of the settings that may change.

    Raises SettingsError for others, CallError where there is no run, InUseError if a process works on it.
    """
    if not run.settings.is_file():
        raise CallError(f"there is no run to resume in {run.path}.", hint="Name its folder with --output, or start it without --resume.")
    settings = opening.reopened(run, changes)
    if (now := look(run)).state in ACTIVE:
        raise InUseError(f"{run.path} is {now.state} already.", hint=f"Watch it with `voxtune runs logs -f {run.path}`.")
    try:
        with files.locked(run.lock, wait_s=_HANDOVER_S):
            now = look(run, locked=True)
            if now.state in ACTIVE:
                raise InUseError(f"{run.path} was resumed in this moment.", hint=f"Watch it with `voxtune runs logs -f {run.path}`.")
            now.process.kill_tree()  # what a killed process may have left
            settings_files.save(settings, run.settings)
            started_over: dict[str, Any] = {"message": "", "hint": "", "code": "", "suggestion": {}, "last_lines": [], "waits_for": "", "seconds_left": None}
            StatusFile(run, now).taken_by(process.this_process(), state="queued", stage="", started_at=time.time(), **started_over)
            _set_to_work(run, status_file.read(run), queue=queue)
    except InUseError as error:
        raise InUseError(f"{run.path} is being worked on.", hint=error.hint) from None
    return run


def _set_to_work(run: RunFolder, now: Status, *, queue: bool) -> None:
    arguments = [str(run.path.resolve()), *([] if queue else ["--no-queue"])]
    worker = process.start_apart(_WORKER, arguments, log=run.log, environment=_environment(settings_files.load(run.settings, {})))
    StatusFile(run, now).taken_by(worker)


def _environment(settings: TrainSettings) -> Mapping[str, str]:
    """What the process may know: the Hub's token only where the model is on the Hub."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    if settings.gradient_checkpointing:
        # Who asks for less memory gets it on the CPU too: glibc then gives large blocks back at once, at a fifth more time (docs/performance.md).
        environment.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 20))
    if settings.model == names.TINY or Path(settings.model).is_dir():
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
            environment.pop(name, None)
        environment["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # noqa: S105 - the name of a switch, no secret
    return environment


def look(run: RunFolder, *, locked: bool = False) -> Status:
    """The state of a run as it is: one whose process is gone is told as failed, with its last lines, and its status.json then says so too.

    `locked` says that the caller holds the run's lock. Raises CallError where there is no run.
    """
    now = status_file.read(run)
    if now.state not in ACTIVE or now.process.is_alive:
        return now
    try:
        with contextlib.nullcontext() if locked else files.locked(run.lock):
            now = status_file.read(run)
            if now.state not in ACTIVE or now.process.is_alive:
                return now
            now.process.kill_tree()  # children that outlived it
            dead = _died(run, now)
            with contextlib.suppress(DiskFullError):
                files.write_json(run.status, asdict(dead))
            return dead
    except InUseError:
        return status_file.read(run)  # someone is at it in this moment
    except PermissionError:
        return _died(run, now)  # another person's run


def _died(run: RunFolder, now: Status) -> Status:
    lines = opening.last_lines(run)
    told: dict[str, Any] = {"state": "failed", "stage": "", "updated_at": time.time(), "seconds_left": None, "last_lines": lines}
    short = now.memory.get("total_bytes", 0) > now.memory.get("available_bytes", 0)
    if now.memory and (short or machine.oom_kills() > now.memory.get("oom_kills", 0)):
        lack = failures.lack_of_memory("cpu", None)
        message = "the process was ended, most likely by the system for want of memory."
        return replace(now, code=lack.code, message=message, hint=f"Start again with a smaller --batch-size or --gradient-checkpointing. {lack.hint}", **told)
    message = f"the process ended without a word at step {now.step} of {now.total_steps}."
    return replace(now, code="died", message=message, hint=f"Go on with --resume --output {run.path}; `voxtune runs logs {run.path}` shows its log.", **told)


@dataclass(frozen=True)
class Sight:
    """What is new of a run."""

    status: Status
    events: list[dict[str, Any]]


def follow(run: RunFolder, *, from_start: bool = True) -> Iterator[Sight]:
    """The state of a run and its new events, again and again until it has ended; what came before first, unless `from_start` is False."""
    offset = 0 if from_start or not run.events.is_file() else run.events.stat().st_size
    while True:
        now = look(run)
        new, offset = events.read(run.events, offset)
        yield Sight(now, new)
        if now.state not in ACTIVE:
            return
        time.sleep(_POLL_S)


def stop(run: RunFolder, *, grace_s: float = GRACE_S) -> Status:
    """Ask a run to save and stop, and end it with all its processes if it has not within `grace_s`. Gives its state then.

    Raises CallError if it runs on another machine, where no signal of ours arrives.
    """
    now = look(run)
    if now.state not in ACTIVE:
        return now
    if not now.process.is_here:
        raise CallError(f"{run.path} runs on {now.host}.", hint=f"Stop it there: voxtune runs stop {run.path}")
    now.process.ask_to_stop()
    if not now.process.wait(grace_s):
        now.process.kill_tree()
    return look(run)
