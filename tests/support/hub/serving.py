"""An ASGI app on a port of this machine, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

LEFT_S = 1
"""How long requests under way have at the end, after their connections were cut."""


class Serving:
    """Serves from `start` to `stop`; `at_end` is awaited last."""

    def __init__(self, app: Any, port: int = 0, name: str = "hub", at_end: Callable[[], Awaitable[None]] | None = None) -> None:
        # h11 and not whatever is installed: faults reach for its transport.
        options: dict[str, Any] = {"http": "h11", "ws": "none", "lifespan": "off", "log_level": "critical", "timeout_graceful_shutdown": LEFT_S}
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, **options))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=name, daemon=True)
        self._at_end = at_end
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> int:
        """Begin, and give the port."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise OSError("the server could not start; is its port taken?")
            time.sleep(0.002)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """End."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cut)
        self._server.should_exit = True
        self._thread.join(10)

    def wait(self) -> None:
        """Return when it has ended."""
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._server.serve()
        finally:
            if self._at_end is not None:
                await self._at_end()

    def _cut(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
