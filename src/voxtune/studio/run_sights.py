"""What the page shows of runs: all of them in short, one of them in full, and its log piece by piece."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxtune import settings as settings_files
from voxtune.errors import CallError, VoxtuneError
from voxtune.settings import TrainSettings
from voxtune.studio import evaluations
from voxtune.studio.access import Room
from voxtune.training import checkpoints, events, opening, runs
from voxtune.training.status import Status
from voxtune.workspace import RunFolder

LOG_BYTES = 65_536
"""Of the log, at most, in one answer."""
FIRST_BYTES = 16_384
"""Of the end of the log for a page that has nothing of it yet."""

GO_ON = frozenset({"died", "disk_full", "no_network", "no_token", "gated", "not_found", "clip", "versions", "unexpected"})
"""Codes of failures whose cause lies outside the settings: once it is gone, the same run can go on."""

_NOT_THE_PAGES = ("pid", "pid_started_at", "host", "request_id", "schema")


def found(room: Room) -> dict[str, RunFolder]:
    """The runs of a room by their ids, newest first. An id is looked up here and is never made part of a path."""
    outputs = room.workspace.outputs
    return {"~".join(run.path.relative_to(outputs).parts): run for run in opening.below(outputs)}


def find(room: Room, id_: str) -> RunFolder:
    """The run of an id. Raises CallError where there is none."""
    run = found(room).get(id_)
    if run is None:
        raise CallError("there is no such run here.", hint="Reload the page.")
    return run


def settings_of(run: RunFolder) -> TrainSettings:
    """The settings that a run was made with. Raises SettingsError or CallError."""
    return _settings(run.settings, run.settings.stat().st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _settings(file: Path, changed_at: int) -> TrainSettings:  # noqa: ARG001 - a part of the cache's key
    return settings_files.load(file, {})


def listed(room: Room) -> list[dict[str, Any]]:
    """Every run in short, newest first; one whose files are damaged says so."""
    return [short(id_, run) for id_, run in found(room).items()]


def short(id_: str, run: RunFolder) -> dict[str, Any]:
    """One run in short."""
    named = {"id": id_, "name": run.path.name}
    try:
        now, settings = runs.look(run), settings_of(run)
    except VoxtuneError as error:
        return {**named, "state": "unreadable", "code": error.code, "message": error.message, "hint": error.hint, "resumable": False, "verdict": None}
    kept = ("state", "stage", "step", "total_steps", "epoch", "seconds_left", "started_at", "best_wer", "base_wer", "code", "message", "hint", "suggestion")
    shown = asdict(now)
    about = {"model": settings.model, "method": settings.method, "verdict": evaluations.verdict(run), "resumable": is_resumable(now)}
    return {**named, **{name: shown[name] for name in kept}, **about}


def is_resumable(now: Status) -> bool:
    """Whether the same run can go on as it is."""
    return now.state == "stopped" or (now.state == "failed" and now.code in GO_ON)


def full(room: Room, id_: str, *, events_offset: int, log_offset: int) -> dict[str, Any]:
    """One run with its events and its log from these bytes on; finished ones that were not evaluated yet are, from here on."""
    run = find(room, id_)
    now = runs.look(run)
    evaluations.start_if_due(room, run, now)
    shown = {name: value for name, value in asdict(now).items() if name not in _NOT_THE_PAGES}
    saved = list(checkpoints.found(run.checkpoints))
    settings = settings_of(run)
    status = {
        **shown,
        "id": id_,
        "name": run.path.name,
        "waits_for": _waits_for(room, now),
        "resumable": is_resumable(now),
        "checkpoint": saved[-1] if saved else None,
        "model": settings.model,
        "method": settings.method,
        "epochs": settings.epochs,
        "has_model": run.model.is_dir(),
        "shell": run.shell,
    }
    new, events_at = events.read(run.events, min(events_offset, run.events.stat().st_size) if run.events.is_file() else 0)
    return {"status": status, "events": new, "events_offset": events_at, **tail(run.log, log_offset), "evaluating": evaluations.sight(run)}


def _waits_for(room: Room, now: Status) -> str:
    """The name of the run that is before it, if it is one of this room; of others nothing is told."""
    if not now.waits_for:
        return ""
    own = next((run for run in found(room).values() if str(run.path.resolve()) == now.waits_for), None)
    return own.path.name if own is not None else "*"


def tail(file: Path, offset: int) -> dict[str, Any]:
    """Whole characters of a growing text: {"log", "log_from", "log_offset", "log_size"}; the next piece begins at log_offset.

    An offset below 0 asks for the end, from the beginning of a line on; one beyond the end for all of it, for it is another file then.
    """
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            begin = max(0, size - FIRST_BYTES) if offset < 0 else offset if offset <= size else 0
            stream.seek(begin)
            data = stream.read(LOG_BYTES)
    except FileNotFoundError:
        return {"log": "", "log_from": 0, "log_offset": 0, "log_size": 0}
    if offset < 0 and begin:
        cut = data.find(b"\n") + 1
        begin, data = begin + cut, data[cut:]
    data = data[: len(data) - _unfinished(data)]
    return {"log": data.decode("utf-8", errors="replace"), "log_from": begin, "log_offset": begin + len(data), "log_size": size}


def _unfinished(data: bytes) -> int:
    """How many bytes at the end begin a character whose rest has not come."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return back if length > back else 0
    return 0


def suggestion(run: RunFolder) -> dict[str, Any]:
    """Settings with which a new run should go where this one failed."""
    return dict(runs.look(run).suggestion)
