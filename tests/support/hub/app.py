"""The server: one thread, one port, loopback only."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.hub.faults import Call, Fault, Wire
from tests.support.hub.routes import ROUTES, Handler
from tests.support.hub.running import Spaces
from tests.support.hub.serving import Serving
from tests.support.hub.state import Hub, Kind, RefusalError, Repo, Token


class HubServer:
    """A Hub of one's own. `url` is what HF_ENDPOINT should say.

    Its CDN is the same port by another name (localhost): another origin, so that a token that is sent there is seen and refused.
    """

    def __init__(
        self,
        folder: Path,
        *,
        run_spaces: bool = False,
        port: int = 0,
        page_size: int = 1000,
        space_environment: dict[str, str] | None = None,
        stale_runtime_s: float = 0.0,
    ) -> None:
        self.state = Hub(Path(folder))
        self.state.page_size = page_size
        self.state.spaces = Spaces(self.state, Path(folder) / "spaces", real=run_spaces, environment=space_environment or {}, stale_s=stale_runtime_s)
        routes = [Route(path, self._endpoint(handler), methods=methods.split()) for methods, path, handler in ROUTES]
        rest = Route("/{path:path}", self._endpoint(_unknown), methods=["GET", "POST", "PUT", "DELETE"])
        self._serving = Serving(Wire(Starlette(routes=[*routes, rest]), self.faults, self.calls), port)

    def __enter__(self) -> Self:
        port = self._serving.start()
        self.state.url, self.state.cdn_url = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
        self.state.forget()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.state.spaces.stop_all()
        self._serving.stop()
        # What was committed meanwhile.
        self.state.spaces.stop_all()
        self.state.reader.close()

    def wait(self) -> None:
        """Serve until somebody stops it."""
        self._serving.wait()

    @property
    def calls(self) -> list[Call]:
        """What was asked since the last reset."""
        return self.state.calls

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong; the first that fits happens."""
        return self.state.faults

    @faults.setter
    def faults(self, faults: list[Fault]) -> None:
        self.state.faults[:] = faults

    @property
    def url(self) -> str:
        """Where it is."""
        return self.state.url

    @property
    def tokens(self) -> dict[str, Token]:
        """Who may do what; more may be put in."""
        return self.state.tokens

    @property
    def repos(self) -> dict[tuple[Kind, str], Repo]:
        """Everything that it holds, by kind and name."""
        return self.state.repos

    def read(self, kind: Kind, repo: str, path: str, revision: str = "main") -> bytes:
        """What a file on it holds."""
        return self.state.read(kind, repo, path, revision)

    def reset(self) -> None:
        """Be as new: nothing in it, no faults, no calls."""
        self.state.spaces.stop_all()
        self.state.forget()
        self.calls.clear()
        self.faults.clear()

    def environment(self, folder: Path, transfer: Literal["xet", "lfs"] = "xet", token: str | None = "hf_write") -> dict[str, str]:
        """Variables for a client's process; what it keeps of the Hub goes into `folder`. An empty HF_TOKEN is no token."""
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(folder / "hf"), "HF_TOKEN": token or "", "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}
        # Nothing else is asked of anybody.
        quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
        # hf_xet would go on for four minutes before it says that something is wrong.
        short = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2", "HF_XET_CLIENT_RETRY_BASE_DELAY": "50ms"}
        quiet |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1,localhost"}
        return {**own, **quiet, **short, "HF_HUB_DISABLE_XET": "1" if transfer == "lfs" else "0"}

    def _endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            given = request.scope["path_params"]
            request.scope["path_params"] = {name: unquote(value) if isinstance(value, str) else value for name, value in given.items()}
            try:
                return await handler(self.state, request)
            except RefusalError as refusal:
                code = {"X-Error-Code": refusal.code} if refusal.code else {}
                said = refusal.message.replace("\n", " ").encode("ascii", "replace").decode()
                headers = {"X-Error-Message": said, "X-Request-Id": "Root=1-test", **code, **refusal.headers}
                return JSONResponse({"error": refusal.message, **refusal.more}, refusal.status, headers)

        return endpoint


async def _unknown(hub: Hub, request: Request) -> Response:
    path = request.url.path
    # Names without an owner belong to repositories of old, of which there are none here.
    if re.match(r"/api/(models|datasets|spaces)/[^/]+(/(revision|tree|commits|preupload|refs)/.*)?$|/[^/]+/resolve/", path):
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    raise RefusalError(404, f"Sorry, we can't find the page you are looking for. ({request.method} {path})")
