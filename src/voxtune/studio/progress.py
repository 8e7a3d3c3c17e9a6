"""How far a person is: which steps are open, which are done, and with which to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import BaseRoute

from voxtune.errors import VoxtuneError
from voxtune.publishing import records
from voxtune.studio.access import Gate, Room
from voxtune.studio.page import STEPS
from voxtune.studio.routes import route
from voxtune.training import opening, runs
from voxtune.training.status import ACTIVE, State
from voxtune.workspace import DATA_FILE, RunFolder

ENOUGH = 10
"""Recordings with which the step counts as done; more is better, and the page says so."""


def routes(gate: Gate) -> list[BaseRoute]:
    """Where the bar of steps asks."""
    return [route(gate, "steps", _steps)]


async def _steps(request: Request, room: Room) -> Any:
    return await run_in_threadpool(steps, room)


def steps(room: Room) -> dict[str, Any]:
    """{"open", "done": names of steps, "suggest": the one to show first}."""
    now = room.reading.now()
    kept = room.takes.kept()
    has_data = (room.folder.path / DATA_FILE).is_file()
    here = opening.below(room.workspace.outputs)
    states = _states(here)
    open_ = {"language"}
    if now is not None:
        open_ |= {"phrases", "recordings"}
    if kept or has_data:
        open_ |= {"recordings", "dataset"}
    if has_data or states:
        open_.add("training")
    if has_data or "finished" in states:
        open_.add("publishing")  # a dataset can be published without any training
    if "finished" in states:
        open_.add("evaluation")
    done = {
        "language": now is not None,
        "phrases": now is not None and now.shown > 0,
        "recordings": len(kept) >= ENOUGH,
        "dataset": has_data,
        "training": "finished" in states,
        "evaluation": any(run.report.is_file() for run in here),
        "publishing": any(_is_published(folder) for folder in (room.folder.path, *(run.path for run in here))),
    }
    suggest = "language"
    if now is not None:
        suggest = "recordings" if now.shown else "phrases"
    if states and states[0] in ACTIVE:
        suggest = "training"  # whoever comes back while it trains wants to see that
    return {"open": [step for step in STEPS if step in open_], "done": [step for step in STEPS if done[step]], "suggest": suggest}


def _is_published(folder: Path) -> bool:
    try:
        return any(step in records.read(folder) for step in ("dataset", "model", "space"))
    except VoxtuneError:
        return False  # a damaged record is told of where it is shown


def _states(here: list[RunFolder]) -> list[State]:
    """Of those runs that can be read, in their order."""
    found: list[State] = []
    for run in here:
        try:
            found.append(runs.look(run).state)
        except VoxtuneError:
            continue  # a damaged one is told of where runs are listed
    return found
