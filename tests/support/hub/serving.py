"""An ASGI app on a port of this machine, in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import Any

import uvicorn


class Serving:
    """Serves from `start` to `stop`; what is under way at the end is dropped."""

    def __init__(self, app: Any, port: int = 0, name: str = "hub") -> None:
        # h11 and not whatever is installed: faults reach for its transport.
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, http="h11", ws="none", log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, name=name, daemon=True)

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
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def wait(self) -> None:
        """Return when it has ended."""
        self._thread.join()
