"""Addresses of the publishing step: who is signed in, how each step stands, starting and stopping it, and forgetting."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import BaseRoute

from voxtune.errors import CallError
from voxtune.studio import forgetting, publishing, run_sights, sign_in
from voxtune.studio.access import Gate, Room
from voxtune.studio.routes import json_body, route
from voxtune.workspace import RunFolder


def routes(gate: Gate) -> list[BaseRoute]:
    """All of them."""
    return [
        route(gate, "publishing", _sight),
        route(gate, "publishing/account", _account),
        route(gate, "publishing/consent", _consent, method="POST"),
        route(gate, "publishing/card", _card),
        route(gate, "publishing/forget", _plan),
        route(gate, "publishing/forget", _forget, method="POST"),
        route(gate, "publishing/steps/{step}", _start, method="POST"),
        route(gate, "publishing/steps/{step}/stop", _stop, method="POST"),
    ]


async def _sight(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: _whole(room, request.query_params.get("run", "")))


def _whole(room: Room, wanted: str) -> dict[str, Any]:
    """All that the page shows, of the run that it wants, or of the newest."""
    runs = publishing.listed(room)
    chosen = next((each["id"] for each in runs if each["id"] == wanted), runs[0]["id"] if runs else "")
    run = run_sights.find(room, chosen) if chosen else None
    return {**publishing.sight(room, run), "runs": runs, "run": chosen, "forgetting": forgetting.sight(room)}


async def _account(request: Request, room: Room) -> Any:
    return await run_in_threadpool(lambda: sign_in.sight(request, fresh="fresh" in request.query_params))


async def _consent(request: Request, room: Room) -> Any:
    asked = await json_body(request)

    def done() -> dict[str, Any]:
        run = _run(room, asked)
        publishing.confirm(room, run, str(asked.get("voice", "")), sign_in.signed_in(request))
        return _whole(room, str(asked.get("run", "")))

    return await run_in_threadpool(done)


async def _card(request: Request, room: Room) -> Any:
    run = await run_in_threadpool(run_sights.find, room, request.query_params.get("run", ""))
    return {"text": await run_in_threadpool(publishing.card, run)}


async def _start(request: Request, room: Room) -> Any:
    asked = await json_body(request)
    step = str(request.path_params["step"])

    def done() -> dict[str, Any]:
        more = {**sign_in.environment(request), **publishing.space_token(asked)}
        publishing.start(room, _run(room, asked), step, publishing.wish_of(asked), sign_in.signed_in(request), more)
        return _whole(room, str(asked.get("run", "")))

    return await run_in_threadpool(done)


async def _stop(request: Request, room: Room) -> Any:
    asked = await json_body(request)

    def done() -> dict[str, Any]:
        publishing.stop(room, _run(room, asked), str(request.path_params["step"]))
        return _whole(room, str(asked.get("run", "")))

    return await run_in_threadpool(done)


async def _plan(request: Request, room: Room) -> Any:
    chosen = {name: name in request.query_params for name in ("runs", "remote")}
    return await run_in_threadpool(lambda: forgetting.plan(room, **chosen))


async def _forget(request: Request, room: Room) -> Any:
    asked = await json_body(request)
    if asked.get("confirmed") is not True:
        raise CallError("nobody has confirmed that.", hint="Type the word that is asked for.")

    def done() -> dict[str, Any]:
        forgetting.start(room, runs=asked.get("runs") is True, remote=asked.get("remote") is True, more=sign_in.environment(request))
        return forgetting.sight(room)

    return await run_in_threadpool(done)


def _run(room: Room, asked: dict[str, Any]) -> RunFolder | None:
    wanted = str(asked.get("run", ""))
    return run_sights.find(room, wanted) if wanted else None
