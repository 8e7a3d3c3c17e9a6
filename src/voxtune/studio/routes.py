"""The studio's own addresses, under vx/: the page's modules, and what Gradio's events are too slow or too lossy for.

Takes are sent here as bytes, and audio is played from here. Login of Gradio does not cover these addresses, so each asks for the
page's key, and answers only to pages of its own origin.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from voxtune.errors import AudioError, CallError, DatasetError, DiskFullError, HubError, InUseError, VoxtuneError
from voxtune.studio import words
from voxtune.studio.access import Gate, Room, UnknownKeyError
from voxtune.studio.shell import caught

Handler = Callable[[Request, Room], Awaitable[Any]]
"""Gives a response, or what is sent as JSON."""

KEY_HEADER = "x-vx-key"
STATIC = Path(str(resources.files("voxtune.studio") / "static"))

_STATUS: list[tuple[type[VoxtuneError], int]] = [
    (UnknownKeyError, 401),
    (InUseError, 409),
    (CallError, 400),
    (AudioError, 415),
    (DatasetError, 422),
    (DiskFullError, 507),
    (HubError, 502),
]


@functools.cache
def mark() -> str:
    """Of all static files: another after any change, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def address(name: str) -> str:
    """Where the page finds a static file, relative to itself."""
    return f"vx/static/{mark()}/{name}"


class _KeptForEver(StaticFiles):
    async def get_response(self, path: str, scope: Any) -> Response:
        """Answer with the file, to be kept."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def route(gate: Gate, path: str, handler: Handler, *, method: str = "GET") -> Route:
    """An address of the studio: for pages of its own origin that have a key."""

    async def answer(request: Request) -> Response:
        if not _is_own_page(request):
            return _refusal()
        found, failure = await caught(lambda: _handled(gate, handler, request))
        if failure is not None:
            status = next((status for kind, status in _STATUS if isinstance(failure, kind)), 500)
            return JSONResponse({"error": failure.message, "hint": failure.hint, "code": failure.code}, status)
        return found if isinstance(found, Response) else JSONResponse(found, headers={"Cache-Control": "no-store"})

    return Route(f"/vx/{path}", answer, methods=[method])


async def _handled(gate: Gate, handler: Handler, request: Request) -> Any:
    try:
        return await handler(request, gate.room(request.headers.get(KEY_HEADER)))
    except HTTPException as error:
        return JSONResponse({"error": error.detail, "hint": ""}, error.status_code)
    except ClientDisconnect:
        return Response(status_code=499)  # nobody hears it


class OwnPagesOnly:
    """Middleware that refuses whatever a page of another origin wants changed, by whichever address: uploads of Gradio's among them."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD") and not _is_own_page(Request(scope)):
            await _refusal()(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _refusal() -> Response:
    return JSONResponse({"error": "this address is for the studio's own page.", "hint": ""}, 403)


def _is_own_page(request: Request) -> bool:
    """Gradio's own check lets any origin in where the host is not local, and forms of other pages need none: so it is made here."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host"), request.headers.get("x-forwarded-host", request.headers.get("host"))}
    return origin is None or urlsplit(origin).netloc in hosts


async def body(request: Request, limit_bytes: int) -> bytes:
    """What a request carries. Raises HTTPException 413 as soon as it is too much."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit_bytes:
            raise HTTPException(413, f"more than {limit_bytes / 1e6:.0f} MB.")
    return bytes(data)


async def json_body(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries. Raises HTTPException 400."""
    try:
        value = json.loads(await body(request, 65_536))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise HTTPException(400, "a JSON object is needed.")
    return value


async def _words(request: Request) -> Response:
    found = words.of(request)
    return JSONResponse({"language": found.language, "words": found}, headers={"Cache-Control": "no-store", "Vary": "Accept-Language"})


def common() -> list[BaseRoute]:
    """Static files and words: for everyone, for they are in the package that everyone has."""
    return [Route("/vx/words", _words), Mount(f"/vx/static/{mark()}", _KeptForEver(directory=STATIC))]
