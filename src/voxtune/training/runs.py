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
from voxtune.errors import CallError, InUseError, VoxtuneError
from voxtune.model import names
from voxtune.settings import TrainSettings
from voxtune.training import events, failures, machine, opening, process
from voxtune.training import status as status_file
from voxtune.training.status import ACTIVE, Status, StatusFile
from voxtune.workspace import RunFolder

GRACE_S = 120.0
"""How long a run that is asked to stop may take for the step at hand, a validation that is due and a checkpoint."""

STALE_S = 3_600.0
"""A run of another machine that said nothing for so long, and whose lock is free, is taken for dead."""

_WORKER = "voxtune.training.worker"
_POLL_S = 0.2
_HANDOVER_S = 40.0
"""A process that has ended its run may hold it a little longer, while Trackio writes."""


def start(settings: TrainSettings, *, request_id: str = "", queue: bool = True) -> RunFolder:
    """Make a run and set a process to work on it; with the id of an earlier request, give the run that that one started.

    Raises what `opening.create` raises.
    """
    run = opening.create(settings, process.this_process(), request_id=request_id)
    with files.locked(run.lock, wait_s=_HANDOVER_S) if _is_ours(status_file.read(run)) else contextlib.nullcontext():
        now = status_file.read(run)
        if _is_ours(now):
            _set_to_work(run, now, queue=queue)
    return run


def _is_ours(now: Status) -> bool:
    """Whether this process made the run and has set none to work on it yet; another that makes the same request finds it so too, in vain."""
    mine = process.this_process()
    return now.state == "queued" and now.starting and (now.pid, now.host) == (mine.pid, mine.host)


def resume(run: RunFolder, changes: dict[str, Any], *, queue: bool = True) -> RunFolder:
    """Go on with a run that stopped, failed or finished, with `changes` of the settings that may change.

    Raises SettingsError for others, CallError where there is no run, InUseError if a process works on it.
    """
    settings = opening.reopened(run, changes)
    if (now := look(run)).state in ACTIVE:
        raise InUseError(f"{run.path} is {now.state} already.", hint=f"Watch it with `voxtune runs logs -f {run.shell}`.")
    try:
        with files.locked(run.lock, wait_s=_HANDOVER_S):
            if (now := look(run, locked=True)).state in ACTIVE:
                raise InUseError(f"{run.path} was resumed in this moment.", hint=f"Watch it with `voxtune runs logs -f {run.shell}`.")
            now.process(run).kill_tree()  # what a killed process may have left
            settings_files.save(settings, run.settings)
            cleared: dict[str, Any] = {"message": "", "hint": "", "code": "", "suggestion": {}, "last_lines": [], "waits_for": "", "seconds_left": None}
            StatusFile(run, now).taken_by(process.this_process(), state="queued", stage="", started_at=time.time(), starting=True, **cleared)
            _set_to_work(run, status_file.read(run), queue=queue)
    except PermissionError:
        raise CallError(f"{run.path} belongs to another person.", hint="Copy the folder to one of your own, and resume that.") from None
    return run


def _set_to_work(run: RunFolder, now: Status, *, queue: bool) -> None:
    """Start the process of a run whose lock we hold. What goes wrong is in its status too."""
    status = StatusFile(run, now)
    started = None
    try:
        arguments = [str(run.path.resolve()), *([] if queue else ["--no-queue"])]
        environment = _environment(run, settings_files.load(run.settings, {}))
        started = process.start_apart(_WORKER, arguments, log=run.log, environment=environment)
        status.taken_by(started)
    except (VoxtuneError, OSError) as error:
        if started is not None:
            started.kill_tree()
        failure = failures.tell(error, lambda: None, place=run)
        with contextlib.suppress(VoxtuneError, OSError):
            status.update(state="failed", starting=False, **failure.as_status())
        raise


def _environment(run: RunFolder, settings: TrainSettings) -> Mapping[str, str]:
    """What the process may know: the Hub's token only where the model is on the Hub."""
    environment = {**os.environ, process.RUN_VARIABLE: str(run.path.resolve())}
    environment |= {"PYTHONUNBUFFERED": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    if settings.gradient_checkpointing:
        # Who asks for less memory gets it on the CPU too.
        environment.setdefault(machine.MMAP_VARIABLE, str(machine.MMAP_THRESHOLD_BYTES))
    if settings.model == names.TINY or Path(settings.model).is_dir():
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
            environment.pop(name, None)
        environment["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # noqa: S105 - the name of a switch, no secret
    return environment


def look(run: RunFolder, *, locked: bool = False, ended_because: str = "") -> Status:
    """The state of a run as it is: one whose process is gone is told as failed, with its last lines, and its status.json then says so too.

    `locked` says that the caller holds the run's lock, `ended_because` why it ended the process. Raises CallError where there is no run.
    """
    now = status_file.read(run)
    if not _is_dead(run, now):
        return now
    try:
        with contextlib.nullcontext() if locked else files.locked(run.lock):
            now = status_file.read(run)
            if not _is_dead(run, now):
                return now
            now.process(run).kill_tree()  # children that outlived it
            dead = _died(run, now, ended_because)
            files.write_json(run.status, asdict(dead))
            return dead
    except InUseError:
        return status_file.read(run)  # someone is at it, whatever the clock says of them
    except (VoxtuneError, OSError):
        return _died(run, now, ended_because)  # a full disk, or a folder that is not ours to write to


def _is_dead(run: RunFolder, now: Status) -> bool:
    if now.state not in ACTIVE:
        return False
    worker = now.process(run)
    return not worker.is_alive if worker.is_here else time.time() - now.updated_at > STALE_S


def _died(run: RunFolder, now: Status, because: str) -> Status:
    lines = opening.last_lines(run)
    told: dict[str, Any] = {"state": "failed", "stage": "", "starting": False, "updated_at": time.time(), "seconds_left": None, "last_lines": lines}
    if not because and now.memory and machine.oom_kills() > now.memory.get("oom_kills", 0):
        lack = failures.lack_of_memory("cpu", None)
        hint = f"Start again with a smaller --batch-size or --gradient-checkpointing. {lack.hint}"
        return replace(now, code=lack.code, message="the system ended the process for want of memory.", hint=hint, **told)
    message = because or f"the process ended without a word at step {now.step} of {now.total_steps}."
    return replace(now, code="died", message=message, hint=f"Go on with --resume --output {run.shell}; its log is {run.log}.", **told)


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

    Raises CallError if it runs on another machine, where no signal of ours arrives, or is another person's.
    """
    until = time.monotonic() + _HANDOVER_S
    while (now := look(run)).state in ACTIVE and now.starting and time.monotonic() < until:
        time.sleep(_POLL_S / 4)  # a signal now would reach the one who starts it
    if now.state not in ACTIVE or now.starting:
        return now
    worker = now.process(run)
    if not worker.is_here:
        raise CallError(f"{run.path} runs on {now.host}.", hint=f"Stop it there: voxtune runs stop {run.shell}")
    worker.ask_to_stop()
    until = time.monotonic() + grace_s
    while look(run).state in ACTIVE:
        if time.monotonic() >= until:
            worker.kill_tree()
            return look(run, ended_because=f"it was asked to stop, had not within {grace_s:g} s, and was ended at step {now.step}.")
        time.sleep(_POLL_S / 4)
    return look(run)
