"""Addresses of training runs: how they go, what can be done with them, and what came out."""

from __future__ import annotations

import threading
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from voxtune.errors import CallError, VoxtuneError
from voxtune.studio import evaluations, run_sights
from voxtune.studio.access import Gate, Room
from voxtune.studio.listening import LISTENER
from voxtune.studio.routes import Handler, route
from voxtune.studio.tickets import Tickets
from voxtune.studio.tracking_page import DASHBOARD
from voxtune.training import runs
from voxtune.training.status import ACTIVE
from voxtune.workspace import RunFolder

_ANSWER_S = 1.5
"""How long a page waits for a run to stop; it goes on stopping after that, and the page sees it."""


def routes(gate: Gate) -> list[BaseRoute]:
    """All of them."""
    tickets = Tickets()
    return [
        route(gate, "runs", _runs),
        route(gate, "runs/{id}", _run),
        route(gate, "runs/{id}/stop", _stop, method="POST"),
        route(gate, "runs/{id}/resume", _resume, method="POST"),
        route(gate, "runs/{id}/ticket", _ticket(tickets), method="POST"),
        route(gate, "runs/{id}/report", _report),
        route(gate, "runs/{id}/clips/{index}/audio", _clip),
        route(gate, "runs/{id}/evaluate", _evaluate, method="POST"),
        route(gate, "trackio", _trackio(gate), method="POST"),
        # A browser that saves a file sends no key with it: the ticket stands for it.
        Route("/vx/download-log/{ticket}", _download(tickets), methods=["GET"]),
    ]


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _number(text: str, *, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= 1 << 60:
        raise HTTPException(400, "a number is needed.")
    return number


async def _runs(request: Request, room: Room) -> Any:
    return {"runs": await run_in_threadpool(run_sights.listed, room)}


async def _run(request: Request, room: Room) -> Any:
    events = _number(request.query_params.get("events", "0"), least=0)
    log = _number(request.query_params.get("log", "-1"), least=-1)
    found = await run_in_threadpool(lambda: run_sights.full(room, _id(request), events_offset=events, log_offset=log))
    if found["status"]["state"] in ACTIVE:
        LISTENER.make_room()
    return found


async def _stop(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: _stopped(room, _id(request)))


def _stopped(room: Room, id_: str) -> dict[str, Any]:
    """Ask a run to stop; whatever is left of the time that it may take passes in a thread."""
    run = run_sights.find(room, id_)
    failures: list[VoxtuneError] = []
    thread = threading.Thread(target=_stop_in_time, args=(run, failures), name=f"stop {id_}", daemon=True)
    thread.start()
    thread.join(_ANSWER_S)
    if failures:
        raise failures[0]
    return run_sights.short(id_, run)


def _stop_in_time(run: RunFolder, failures: list[VoxtuneError]) -> None:
    try:
        runs.stop(run)
    except VoxtuneError as error:
        failures.append(error)


async def _resume(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: _resumed(room, _id(request)))


def _resumed(room: Room, id_: str) -> dict[str, Any]:
    run = run_sights.find(room, id_)
    LISTENER.make_room()
    runs.resume(run, {})
    return run_sights.short(id_, run)


def _ticket(tickets: Tickets) -> Handler:
    async def answer(request: Request, room: Room) -> Any:
        run = await run_in_threadpool(run_sights.find, room, _id(request))
        if not run.log.is_file():
            raise CallError("this run has no log yet.", hint="Try again in a moment.")
        return {"url": f"vx/download-log/{tickets.issue(run.log)}"}

    return answer


def _download(tickets: Tickets) -> Any:
    async def answer(request: Request) -> Response:
        file = tickets.redeem(request.path_params["ticket"])
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if file is None or not file.is_file():
            return PlainTextResponse("This link was for one time. Go back to the studio and ask for the log again.", 404, headers)
        name = f"{file.parent.name}-{file.name}"
        return FileResponse(file, media_type="text/plain; charset=utf-8", filename=name, headers=headers)

    return answer


async def _report(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: evaluations.report(run_sights.find(room, _id(request))))


async def _clip(request: Request, room: Room) -> Response:
    number = _number(request.path_params["index"], least=0)
    data = await run_in_threadpool(lambda: evaluations.clip_audio(run_sights.find(room, _id(request)), number))
    return Response(data, media_type="audio/wav", headers={"Cache-Control": "no-store"})


async def _evaluate(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: _evaluating(room, _id(request)))


def _evaluating(room: Room, id_: str) -> dict[str, Any]:
    run = run_sights.find(room, id_)
    evaluations.start(room, run)
    return {"evaluating": evaluations.sight(run)}


def _trackio(gate: Gate) -> Handler:
    async def answer(request: Request, room: Room) -> Any:
        if gate.is_shared:
            raise CallError("Trackio shows the runs of everyone here, so it is not opened on a Space.", hint="Run voxtune on a machine of your own.")
        return {"url": await run_in_threadpool(DASHBOARD.open, room.workspace.private / "trackio.log")}

    return answer
