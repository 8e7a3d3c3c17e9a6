"""The evaluation of a run, started from the page or by itself once the run has finished, and its report made ready to look at."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from voxtune import audio
from voxtune.dataset import clips as clip_files
from voxtune.dataset.clips import Clip
from voxtune.errors import CallError, EvaluationError, InUseError, MissingDependencyError, VoxtuneError
from voxtune.evaluation.differences import differences
from voxtune.studio.access import Room
from voxtune.studio.children import Child
from voxtune.studio.listening import LISTENER
from voxtune.training import opening, runs
from voxtune.training.status import ACTIVE, Status
from voxtune.workspace import RunFolder


def sight(run: RunFolder) -> dict[str, Any]:
    """How the evaluation of a run stands: {"state": none|working|failed|done, "what", "done", "total", "message", "hint", "report_at"}."""
    child = _child(run)
    found: dict[str, Any] = {"state": "none", "what": "", "done": 0, "total": 0, "message": "", "hint": "", "report_at": _modified(run.report)}
    if child.is_working:
        progress = child.progress
        return {**found, "state": "working", "what": progress.what, "done": progress.done, "total": progress.total}
    failure = child.failure
    if failure is not None and child.started_at > _modified(run.report):
        return {**found, "state": "failed", "message": failure.message, "hint": failure.hint}
    return {**found, "state": "done" if run.report.is_file() else "none"}


def start(room: Room, run: RunFolder) -> None:
    """Evaluate a run beside the studio, if that is not being done already. Raises CallError where it has no model, InUseError where others are at work."""
    if _child(run).is_working:
        return
    if not run.model.is_dir():
        raise CallError("this run has no model yet.", hint="Let it finish first.")
    refuse_if_busy(room)
    LISTENER.make_room()
    _child(run).start(["evaluate", str(run.path.resolve()), "--json"])


def refuse_if_busy(room: Room) -> None:
    """Raise InUseError while a run of the room is trained or evaluated."""
    if _is_busy(room):
        raise InUseError("a run is being trained or evaluated, and both would want the memory.", hint="Wait until it is done.")


def refuse_if_evaluating(room: Room) -> None:
    """Raise InUseError while a run of the room is evaluated."""
    if any(_child(run).is_working for run in opening.below(room.workspace.outputs)):
        raise InUseError("a run is being evaluated, and both would want the memory.", hint="Wait until it is done: a minute or two.")


def start_if_due(room: Room, run: RunFolder, status: Status) -> None:
    """Evaluate a run that has finished and was not evaluated since, if nothing else is at work."""
    if status.state != "finished" or not run.model.is_dir() or max(_modified(run.report), _child(run).started_at) >= status.updated_at:
        return
    worker = status.process(run)
    if (worker.is_here and worker.is_alive) or _is_busy(room):
        return  # it may still hold the memory while it says good-bye; asked again in a second
    start(room, run)


def report(run: RunFolder) -> dict[str, Any]:
    """The report of a run with the differences of each clip, and clips told by their numbers in place of their paths. Raises CallError where there is none."""
    return _report(run.report, _report_at(run), run.clips)


@functools.lru_cache(maxsize=16)
def _report(file: Path, changed_at: int, clips: Path) -> dict[str, Any]:  # noqa: ARG001 - a part of the cache's key
    found = _read(file)
    known = _languages(clips)
    only = list(found.get("normalisation", {}))
    fallback = only[0] if len(only) == 1 and only[0] != "automatic" else None
    rows = []
    for number, clip in enumerate(found["clips"]):
        language = known.get((clip["audio_path"], clip["text"]), fallback)
        row = {name: clip[name] for name in ("text", "base_text", "tuned_text", "base_wer", "tuned_wer")}
        rows.append({"audio": number, "language": language or "", **row, **_differences(clip, language)})
    return {**found, "clips": rows}


def _differences(clip: dict[str, Any], language: str | None) -> dict[str, Any]:
    try:
        return {which: differences(clip["text"], clip[f"{which}_text"], language) for which in ("base", "tuned")}
    except MissingDependencyError:
        return {"base": None, "tuned": None}  # recorded and looked at here, trained elsewhere: the rates alone


def _languages(clips: Path) -> dict[tuple[str, str], str | None]:
    try:
        return {(clip.audio_path, clip.text): clip.language for clip in clip_files.read(clips)}
    except VoxtuneError:
        return {}


def clip_audio(run: RunFolder, number: int) -> bytes:
    """One clip of the report as a WAV, as the models heard it. Raises CallError for one that is not among the run's own clips."""
    rows = _read(run.report)["clips"]
    if not 0 <= number < len(rows):
        raise CallError("the report has no such clip.", hint="Reload the page.")
    clip = _own(run, rows[number]["audio_path"], rows[number]["text"])
    return audio.write_wav(audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s))


def _own(run: RunFolder, audio_path: str, text: str) -> Clip:
    for clip in opening.clips_of(run):
        if (clip.audio_path, clip.text) == (audio_path, text):
            return clip
    raise CallError("this clip is not one of the run's own.", hint="It was evaluated with other recordings; play it from where they are.")


def language(run: RunFolder) -> str | None:
    """The language of most of a run's clips; None leaves it to the model to tell."""
    found = [clip.language for clip in opening.clips_of(run)]
    return max(set(found), key=found.count) if found else None


def verdict(run: RunFolder) -> str | None:
    """better, worse or no clear change; None before there is a report."""
    try:
        return str(_read(run.report)["verdict"])
    except VoxtuneError:
        return None


def _read(file: Path) -> dict[str, Any]:
    try:
        return _parsed(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        raise CallError("this run was not evaluated yet.", hint="Start the evaluation.") from None


@functools.lru_cache(maxsize=64)
def _parsed(file: Path, changed_at: int) -> dict[str, Any]:  # noqa: ARG001 - a part of the cache's key
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("clips"), list) or "verdict" not in value:
        raise EvaluationError("the report of this run cannot be read.", hint="Evaluate it again.")
    return value


def _report_at(run: RunFolder) -> int:
    return run.report.stat().st_mtime_ns if run.report.is_file() else 0


def _modified(file: Path) -> float:
    return file.stat().st_mtime if file.is_file() else 0.0


def _is_busy(room: Room) -> bool:
    """Whether a run of the room is trained or evaluated."""
    for run in opening.below(room.workspace.outputs):
        try:
            if _child(run).is_working or runs.look(run).state in ACTIVE:
                return True
        except VoxtuneError:
            continue  # a damaged one is at no work
    return False


def _child(run: RunFolder) -> Child:
    return Child(run.path, "evaluation")
