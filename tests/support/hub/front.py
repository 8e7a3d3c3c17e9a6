"""The address of a Space: a reverse proxy that lets in who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.hub.faults import Wire
from tests.support.hub.serving import Serving
from tests.support.hub.state import Hub, Repo

HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding", "upgrade"}
COOKIE = "spaces-jwt"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Front:
    """One Space's own port. `target` tells the Space's stage, and the port of its app when it may be asked."""

    def __init__(self, hub: Hub, repo: Repo, target: Callable[[], tuple[str, int | None]]) -> None:
        self.url = ""
        self._hub = hub
        self._repo = repo
        self._target = target
        self._client: httpx2.AsyncClient | None = None
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=METHODS)])
        self._serving = Serving(Wire(app, hub.faults, hub.calls, f"/@{repo.id}"), name=f"front {repo.id}", at_end=self._close)

    def start(self) -> None:
        """Take a port."""
        self.url = f"http://127.0.0.1:{self._serving.start()}"

    def stop(self) -> None:
        """Give it up."""
        self._serving.stop()

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _answer(self, request: Request) -> Response:
        signed = request.query_params.get("__sign")
        if self._repo.private and not self._may_enter(request, signed):
            return HTMLResponse("<h1>404</h1><p>Sorry, we can't find the page you are looking for.</p>", 404)
        if signed and request.method == "GET":
            answer = RedirectResponse(str(request.url.remove_query_params("__sign")), 302)
            answer.set_cookie(COOKIE, signed, httponly=True)
            return answer
        stage, port = self._target()
        if port is None:
            return HTMLResponse(f"<h1>503</h1><p>This Space is not running: {stage}</p>", 503)
        return await self._passed_on(request, port)

    def _may_enter(self, request: Request, signed: str | None) -> bool:
        given = request.headers.get("x-hf-authorization") or request.headers.get("authorization", "")
        token = self._hub.tokens.get(given.removeprefix("Bearer "))
        visitor = token.user if token else self._hub.visitors.get(signed or request.cookies.get(COOKIE, ""))
        return visitor is not None and self._hub.may_read(visitor, self._repo)

    async def _passed_on(self, request: Request, port: int) -> Response:
        if self._client is None:
            # Made here: it belongs to the loop of this thread.
            self._client = httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=None), trust_env=False)
        # What opens the door is not for the app: a visitor's token is none of its business.
        dropped = HOP_BY_HOP | {"authorization", "x-hf-authorization"}
        headers = [(name, value) for name, value in request.headers.items() if name not in dropped]
        body: dict[str, Any] = {"content": request.stream()} if {"content-length", "transfer-encoding"} & set(request.headers) else {}
        query = f"?{request.url.query}" if request.url.query else ""
        asked = self._client.build_request(request.method, f"http://127.0.0.1:{port}{request.url.path}{query}", headers=headers, **body)
        try:
            answer = await self._client.send(asked, stream=True)
        except httpx2.TransportError as error:
            return HTMLResponse(f"<h1>502</h1><p>The app does not answer: {type(error).__name__}</p>", 502)
        response = StreamingResponse(_bytes(answer), answer.status_code)
        response.raw_headers = [(name.lower(), value) for name, value in answer.headers.raw if name.decode().lower() not in HOP_BY_HOP]
        return response


async def _bytes(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
