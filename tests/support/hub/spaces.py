"""Spaces: their secrets, variables, hardware and what they do just now."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.hub.access import signed_in, visible, writable
from tests.support.hub.metadata import HARDWARE
from tests.support.hub.state import Hub, RefusalError, now


async def runtime(hub: Hub, request: Request) -> Response:
    """What a Space does just now."""
    return JSONResponse(hub.spaces.runtime(visible(hub, request)))


async def restart(hub: Hub, request: Request) -> Response:
    """Start a Space again."""
    repo = writable(hub, request)
    hub.spaces.changed(repo)
    return JSONResponse(hub.spaces.runtime(repo))


async def pause(hub: Hub, request: Request) -> Response:
    """Stop a Space until it is started again."""
    repo = writable(hub, request)
    hub.spaces.pause(repo)
    return JSONResponse(hub.spaces.runtime(repo))


async def hardware(hub: Hub, request: Request) -> Response:
    """Ask for other hardware, which starts the Space again."""
    repo, body = writable(hub, request), await request.json()
    if body["flavor"] not in HARDWARE:
        raise RefusalError(400, f'"flavor" must be one of [{", ".join(HARDWARE)}]')
    hub.require_paying(signed_in(hub, request).user, body["flavor"])
    repo.hardware, repo.sleep_s = body["flavor"], body.get("sleepTimeSeconds", repo.sleep_s)
    hub.spaces.changed(repo)
    return JSONResponse(hub.spaces.runtime(repo))


async def sleep_time(hub: Hub, request: Request) -> Response:
    """After how long without visitors it stops."""
    repo, body = writable(hub, request), await request.json()
    repo.sleep_s = body["seconds"]
    return JSONResponse(hub.spaces.runtime(repo))


async def list_hardware(hub: Hub, request: Request) -> Response:
    """What a Space can run on."""
    return JSONResponse([{"name": name, "prettyName": pretty, "cpu": "2 vCPU", "ram": "16 GB", "accelerator": None} for name, pretty in HARDWARE.items()])


async def store(hub: Hub, request: Request) -> Response:
    """Secrets and variables: list, set, take away. What a secret says is never told again; a change starts the Space again."""
    name = request.path_params["store"]
    repo = writable(hub, request) if name == "secrets" or request.method != "GET" else visible(hub, request)
    kept: dict[str, dict[str, Any]] = repo.secrets if name == "secrets" else repo.variables
    body = json.loads(await request.body() or "{}")
    if request.method == "POST":
        kept[body["key"]] = {"value": body["value"], "description": body.get("description"), "updatedAt": now()}
    elif request.method == "DELETE":
        kept.pop(body["key"], None)
    if request.method != "GET":
        hub.spaces.changed(repo)
    hidden = {"value"} if name == "secrets" else set()
    shown = {key: {"key": key, **{part: value for part, value in row.items() if part not in hidden and value is not None}} for key, row in kept.items()}
    return JSONResponse(shown)


async def volumes(hub: Hub, request: Request) -> Response:
    """What is mounted into a Space."""
    repo = writable(hub, request)
    repo.volumes = (await request.json()).get("volumes", []) if request.method in ("PUT", "POST") else []
    hub.spaces.changed(repo)
    return JSONResponse(hub.spaces.runtime(repo))


async def logs(hub: Hub, request: Request) -> Response:
    """What a Space said so far, as server-sent events."""
    repo = writable(hub, request)
    text, since = hub.spaces.log(repo, build=request.path_params["log"] == "build")
    body = "".join(f"data: {json.dumps({'data': line, 'timestamp': since})}\n\n" for line in text.splitlines(keepends=True))
    return Response(body, media_type="text/event-stream")


async def jwt(hub: Hub, request: Request) -> Response:
    """What opens a private Space to a browser: `?__sign=` of it at the Space's address."""
    repo, user = visible(hub, request), signed_in(hub, request).user
    token = hub.sealed(f"jwt {repo.id} {user}")
    hub.visitors[token] = user
    return JSONResponse({"token": token})
