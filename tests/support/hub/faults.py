"""What goes wrong on purpose, and what was asked: both sit between the wire and the Hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

KEPT_BYTES = 256 * 1024
"""Of longer bodies only so much is recorded."""

OWN = "own"
"""Below this the server reads what it holds itself: no fault happens there, and nothing is recorded."""

BUSY_PAGE = "<!DOCTYPE html><html><head><title>503</title></head><body><h1>503 Service Unavailable</h1><p>We are doing our best.</p></body></html>"
SAID = {
    401: "Invalid credentials in Authorization header",
    403: "Authorization error.",
    404: "Repository not found",
    409: "Another operation is in progress for this repository",
    412: "The branch was updated since you opened this page. Please refresh and try again.",
    429: "We had to rate limit you. Please retry later.",
}
"""What the Hub says with a status; of its own faults it is sorry."""

SORRY = "Internal Error - We're working hard to fix this as soon as possible!"
STORAGE_FULL = "Private repository storage limit reached, please upgrade your plan to increase your private storage limit."


@dataclass
class Call:
    """One request. `status` is 0 where no answer was begun; `host` tells the Hub (127.0.0.1) from its CDN (localhost) and from Spaces."""

    method: str
    path: str
    query: str
    status: int
    token: str | None
    headers: dict[str, str]
    body: bytes = b""
    host: str = ""
    fault: bool = False


@dataclass
class Fault:
    """Something that goes wrong at requests whose method and path fit; the path is searched for `path` as it was sent, %2F and all.

    `status` is what happens:

    - a number: that answer, with `headers` and `body` (HTML where it is text that begins with <; by default what the Hub says), and nothing is done;
    - "reset": the connection breaks, before anything is read or, with `after_bytes`, when so much of the body was read (GET: sent);
    - "stall": nothing comes for `delay` seconds, then the connection breaks; `after_bytes` as above;
    - "lost": the Hub does what was asked, and the connection breaks before it answers.

    `times`: how often, None for ever. `skip`: so many requests pass first. `delay`: seconds before it happens. `hits` counts.
    """

    method: str
    path: str
    status: int | Literal["reset", "stall", "lost"]
    times: int | None = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | str | None = None
    delay: float = 0.0
    after_bytes: int | None = None
    skip: int = 0
    hits: int = 0

    @classmethod
    def busy(cls, path: str, method: str = "*", **more: Any) -> Fault:
        """503 with a page of HTML, as a load balancer answers."""
        return cls(method, path, 503, body=BUSY_PAGE, **more)

    @classmethod
    def limited(cls, path: str, seconds: int, method: str = "*", *, header: Literal["Retry-After", "RateLimit"] = "RateLimit", **more: Any) -> Fault:
        """429 that says in one of two ways when to come back."""
        policy = {"RateLimit": f'"api";r=0;t={seconds}', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
        headers = policy if header == "RateLimit" else {"Retry-After": str(seconds)}
        return cls(method, path, 429, headers=headers, **more)

    @classmethod
    def storage_full(cls, path: str = r"/commit/|/lfs/objects/batch|/xet-write-token/", method: str = "*", **more: Any) -> Fault:
        """403 because nothing more fits into the account."""
        return cls(method, path, 403, body={"error": STORAGE_FULL}, **more)

    def fits(self, method: str, path: str) -> bool:
        """Whether it happens at this request."""
        return self.times != 0 and self.method in ("*", method) and re.search(self.path, path) is not None


class Wire:
    """Records every request, and lets faults happen. `place` goes before the paths of what is not the Hub itself."""

    def __init__(self, app: App, faults: list[Fault], calls: list[Call], place: str = "") -> None:
        self.app = app
        self.faults = faults
        self.calls = calls
        self.place = place

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        # Revisions and folders arrive as refs%2Fpr%2F1: routes must see the path as it was sent.
        scope["path"] = scope["raw_path"].decode("latin-1").partition("?")[0]
        if scope["path"].startswith(f"/{OWN}/"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        scheme, _, token = headers.get("authorization", "").partition(" ")
        call = Call(scope["method"], self.place + scope["path"], scope["query_string"].decode(), 0, token if scheme == "Bearer" else None, headers)
        call.host = headers.get("host", "")
        self.calls.append(call)
        line = _Line(call, receive, send)
        fault = self._due(call)
        if fault is None:
            await self.app(scope, line.receive, line.send)
        else:
            await self._happen(fault, scope, line)

    def _due(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if fault.fits(call.method, call.path):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times = None if fault.times is None else fault.times - 1
                fault.hits += 1
                call.fault = True
                return fault
        return None

    async def _happen(self, fault: Fault, scope: Message, line: _Line) -> None:
        if isinstance(fault.status, int):
            await line.drain()
            await asyncio.sleep(fault.delay)
            await line.answer(fault.status, fault.headers, {"error": SAID.get(fault.status, SORRY)} if fault.body is None else fault.body)
        elif fault.status == "lost":
            line.mute = True
            await self.app(scope, line.receive, line.send)
            line.cut()
        elif fault.after_bytes is None:
            await line.give_up(fault)
        else:
            line.fault = fault
            line.left = fault.after_bytes
            # What was cut off ends in a ClientDisconnect somewhere within.
            with contextlib.suppress(Exception):
                await self.app(scope, line.receive, line.send)
            line.cut()


class _Line:
    """The connection of one request, which may break."""

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        self.call = call
        self.fault: Fault | None = None
        self.left = 0
        self.mute = False
        self._receive = receive
        self._send = send
        self._gone = False

    @property
    def _of_request(self) -> bool:
        return self.call.method not in ("GET", "HEAD")

    async def receive(self) -> Message:
        if self._gone:
            return {"type": "http.disconnect"}
        message = await self._receive()
        body = message.get("body", b"")
        self.call.body += body[: KEPT_BYTES - len(self.call.body)]
        if self.fault is not None and self._of_request and message["type"] == "http.request":
            self.left -= len(body)
            if self.left <= 0:
                await self.give_up(self.fault)
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self._gone:
            return
        if message["type"] == "http.response.start":
            self.call.status = message["status"]
        if self.mute:
            return
        if self.fault is not None and not self._of_request and message["type"] == "http.response.body":
            body = message.get("body", b"")
            if len(body) >= self.left:
                await self._send({"type": "http.response.body", "body": body[: self.left], "more_body": True})
                await self.give_up(self.fault, gently=True)
                return
            self.left -= len(body)
        await self._send(message)

    async def drain(self) -> None:
        """Read what is sent, to the end."""
        while (message := await self.receive())["type"] == "http.request" and message.get("more_body"):
            pass

    async def answer(self, status: int, headers: dict[str, str], body: dict[str, Any] | str) -> None:
        kind = "text/html; charset=utf-8" if isinstance(body, str) and body.startswith("<") else "text/plain" if isinstance(body, str) else "application/json"
        said = {"X-Error-Message": body["error"].encode("ascii", "replace").decode()} if isinstance(body, dict) and "error" in body and status < 500 else {}
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        given = {"Content-Type": kind, "Content-Length": str(len(content)), **said, **headers}
        await self.send({"type": "http.response.start", "status": status, "headers": [(name.encode(), value.encode()) for name, value in given.items()]})
        await self.send({"type": "http.response.body", "body": b"" if self.call.method == "HEAD" else content})

    async def give_up(self, fault: Fault, *, gently: bool = False) -> None:
        """Break the connection, now or after nothing has come for long enough."""
        if fault.status == "stall":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(fault.delay or 3600):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
        else:
            await asyncio.sleep(fault.delay)
        self.cut(gently=gently)

    def cut(self, *, gently: bool = False) -> None:
        """Close the socket. uvicorn has no way to do it, so it is found behind the `send` that it gave."""
        if self._gone:
            return
        self._gone = True
        transport = self._send.__self__.transport  # type: ignore[attr-defined]
        transport.close() if gently else transport.abort()
