"""The folder of a run: made whole for a new one, opened again for one that goes on, found by name. Loads no torch unless it must choose."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune import settings as settings_files
from voxtune.dataset import checks, store
from voxtune.dataset import clips as clip_files
from voxtune.dataset.clips import Clip
from voxtune.dataset.split import counts
from voxtune.errors import CallError, DatasetError, InUseError, SettingsError, VoxtuneError
from voxtune.model import names
from voxtune.settings import TrainSettings
from voxtune.training import events, status
from voxtune.training.process import Process
from voxtune.training.status import Status
from voxtune.workspace import OUTPUTS, RunFolder

log = logging.getLogger("voxtune")

MAY_CHANGE = frozenset(
    {"epochs", "eval_batch_size", "eval_steps", "save_steps", "save_total_limit", "logging_steps", "early_stopping", "trackio"}
    | {"tower_cache", "cache_gb", "fit_memory"}
)
"""Settings that a resumed run may have otherwise than before. None but `epochs`, over which the learning rate is spread, changes a step."""

_SCAN_DEPTH = 3


def create(settings: TrainSettings, worker: Process, *, request_id: str) -> RunFolder:
    """Make the folder of a new run, queued, with its settings and its clips on their sides; all of it or nothing.

    A request that was answered before gives the run that it made then. Raises InUseError if the folder is taken, DatasetError,
    ModelError, SettingsError.
    """
    settings = settled(settings, request_id=request_id)
    assert settings.output is not None, "settled above"
    run = RunFolder(settings.output)
    if request_id and (known := _of_request(run, request_id)):
        return known
    try:
        files.refuse_if_used(run.path)
        place = names.find(settings.model)
        if place.adapter is not None:
            told = f"{settings.model} is a tuned adapter; training starts from a base model."
            raise CallError(told, hint=f"Give its base: --model {place.source if place.source != str(names.tiny_folder()) else names.TINY}")
        refuse_unable(settings)  # here, before there is a run
        clips = usable_clips(settings)
        with files.new_folder(run.path) as partial:
            new = RunFolder(partial)
            settings_files.save(_in_full(settings, place), new.settings)
            files.write_lines(new.clips, [clip.row(str(clip.path.resolve())) for clip in clips])
            started: dict[str, Any] = {"pid": worker.pid, "pid_started_at": worker.started_at, "host": worker.host, "starting": True}
            queued = Status(request_id=request_id, clips=counts(clips), **started)
            files.write_json(new.status, asdict(queued))
    except InUseError as error:
        if request_id and (known := _of_request(run, request_id)):
            return known  # the same request, answered by another process in this moment
        raise InUseError(error.message, hint=f"Choose another --output, or go on with it by --resume --output {run.path}.") from None
    return run


def _of_request(run: RunFolder, request_id: str) -> RunFolder | None:
    """The run that this request made, in the folder asked for or among those beside it."""
    for each in {run.path, *(run.path.parent.iterdir() if run.path.parent.is_dir() else ())}:
        if each.name.startswith("."):
            continue  # unfinished
        try:
            if status.read(RunFolder(each)).request_id == request_id:
                return RunFolder(each)
        except (VoxtuneError, OSError):
            continue  # no run, or a damaged one, or another person's
    return None


def settled(settings: TrainSettings, *, request_id: str = "") -> TrainSettings:
    """Settings with everything that was left to choose chosen, so that settings.yaml says what was done."""
    changes: dict[str, Any] = {}
    if settings.model == "auto":
        import torch

        changes["model"] = names.DEFAULT_ON_GPU if torch.cuda.is_available() else names.TINY
    if settings.output is None:
        model = (changes.get("model") or settings.model).rstrip("/").rsplit("/", 1)[-1]
        # One request has one folder, so that two of it at once cannot make two runs.
        mark = hashlib.sha256(request_id.encode()).hexdigest()[:12] if request_id else time.strftime("%Y%m%d-%H%M%S")
        named = Path(OUTPUTS) / f"{model}-{settings.method}-{mark}"
        changes["output"] = named if request_id else free(named)
    return settings.model_copy(update=changes)


def free(path: Path) -> Path:
    """`path`, or with a number where something lies there: another run began in the same second."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def refuse_unable(settings: TrainSettings) -> None:
    """Raise SettingsError or MissingDependencyError for fewer bits on a machine that has no GPU or no bitsandbytes."""
    wanted = (["load_in_4bit"] if settings.load_in_4bit else []) + ([f"optimizer {settings.optimizer}"] if settings.optimizer != "adamw" else [])
    if wanted:
        from voxtune.model.voxtral import assure_bitsandbytes

        for setting in wanted:
            assure_bitsandbytes(setting)


def _in_full(settings: TrainSettings, place: names.ModelPlace) -> TrainSettings:
    """With absolute paths, so that the run can be resumed from any folder."""
    changes: dict[str, Any] = {"data": str(Path(settings.data).resolve())}
    if Path(settings.model).is_dir() and place.name != names.TINY:
        changes["model"] = str(Path(settings.model).resolve())
    return settings.model_copy(update=changes)


def reopened(run: RunFolder, changes: dict[str, Any]) -> TrainSettings:
    """The settings with which a run goes on. Raises SettingsError for a change that makes it another run, CallError where there is none."""
    if not run.settings.is_file():
        raise CallError(f"there is no run to resume in {run.path}.", hint="Name its folder with --output, or start it without --resume.")
    before = settings_files.load(run.settings, {})
    if changes.get("model") == "auto":
        changes = {name: value for name, value in changes.items() if name != "model"}  # chosen when the run began
    wanted, asked = settings_files.make({**before.model_dump(), **changes}), _asked(run)
    changes = {name: value for name, value in changes.items() if name not in asked or getattr(wanted, name) != asked[name]}  # asked for as at first
    changed = [name for name in changes if name not in ("data", "output", "model") and getattr(wanted, name) != getattr(before, name)]
    changed += [name for name in ("data", "model") if name in changes and not _same(changes[name], getattr(before, name))]
    refused = sorted(set(changed) - MAY_CHANGE)
    if refused:
        listed = ", ".join(f"{name} ({getattr(before, name)} before, {getattr(wanted, name)} now)" for name in refused)
        raise SettingsError(f"a resumed run cannot change {listed}.", hint=f"Start a new run for that. These may change: {', '.join(sorted(MAY_CHANGE))}.")
    return before.model_copy(update={name: getattr(wanted, name) for name in changed})


def _asked(run: RunFolder) -> dict[str, Any]:
    """What was asked for of the settings that were changed so that the run fits into memory."""
    asked: dict[str, Any] = {}
    for event in events.read(run.events)[0]:
        if event.get("event") == "fitted":
            asked = {**event.get("asked", {}), **asked}
    return asked


def _same(one: str, other: str) -> bool:
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).resolve() == Path(other).resolve())


def usable_clips(settings: TrainSettings) -> list[Clip]:
    """The dataset's clips on their sides, if nothing is wrong with them. Raises DatasetError that lists what is."""
    dataset = store.load(settings.data, seed=settings.seed)
    clips = [replace(clip, language=clip.language or settings.language) for clip in dataset.clips]
    found, _ = checks.check(clips)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        shown = "".join(f"\n  {problem.file}" + (f" (line {problem.line})" if problem.line else "") + f": {problem.message}" for problem in errors[:10])
        more = f"\n  and {len(errors) - 10} more" if len(errors) > 10 else ""
        raise DatasetError(f"{len(errors)} problems:{shown}{more}", file=dataset.file, hint=f"`voxtune dataset check {settings.data}` lists them all.")
    for problem in found:
        log.warning("%s: %s", problem.file, problem.message)
    return clips


def clips_of(run: RunFolder) -> list[Clip]:
    """The clips that the run was made with, on their sides."""
    return clip_files.read(run.clips)


def last_lines(run: RunFolder, count: int = 20) -> list[str]:
    """The end of a run's log."""
    if not run.log.is_file():
        return []
    with run.log.open("rb") as stream:
        left = stream.seek(0, os.SEEK_END)
        end = b""
        while left and end.count(b"\n") <= count:
            left, size = max(0, left - 65_536), min(left, 65_536)
            stream.seek(left)
            end = stream.read(size) + end
    return end.decode("utf-8", errors="replace").splitlines()[-count:]


def find(name: str | None, workspace: Path = Path()) -> RunFolder:
    """The run at a path, or of that name below the workspace, or without a name the newest one. Raises CallError where there is none."""
    if name is None:
        if not (runs := below(workspace)):
            raise CallError("there is no run here.", hint="`voxtune train` starts one; --workspace names another folder to look in.")
        return runs[0]
    for path in (Path(name), workspace / name, workspace / OUTPUTS / name):
        if RunFolder(path).status.is_file():
            return RunFolder(path)
    named = [run for run in below(workspace) if run.path.name == name]
    if len(named) == 1:
        return named[0]
    shown = ", ".join(str(run.path) for run in named or below(workspace)[:5])
    what = f"{len(named)} runs are called {name}" if named else f"{name} is not a training run"
    raise CallError(f"{what}{f': there are {shown}' if shown else ', and there is none here'}.", hint="Give the folder that `voxtune train` named.")


def below(folder: Path) -> list[RunFolder]:
    """Every run in a folder and the folders of it, newest first."""
    return sorted(_scan(folder, _SCAN_DEPTH), key=lambda run: run.settings.stat().st_mtime_ns, reverse=True)


def _scan(folder: Path, depth: int) -> Iterator[RunFolder]:
    if not os.access(folder, os.R_OK | os.X_OK):
        return
    run = RunFolder(folder)
    if run.status.is_file() and run.settings.is_file():
        yield run
    elif depth:
        for path in folder.iterdir():
            if path.is_dir() and not path.name.startswith(".") and not path.is_symlink():
                yield from _scan(path, depth - 1)
