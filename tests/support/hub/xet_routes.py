"""The addresses of the store behind Xet, and the tokens that open it."""

from __future__ import annotations

import re
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.hub.access import bearer, repository, visible, writable
from tests.support.hub.downloads import part_of
from tests.support.hub.state import Hub, RefusalError


async def token(hub: Hub, request: Request) -> Response:
    """A token for the store, for who may read or write the repository; hf_xet reads the body, the Python client the headers."""
    if request.path_params["mode"] == "read":
        repository(hub, request)
    elif request.query_params.get("create_pr") in ("1", "true"):
        visible(hub, request)
    else:
        writable(hub, request)
    expires = int(time.time()) + 3600
    headers = {"X-Xet-Access-Token": hub.cas.token, "X-Xet-Token-Expiration": str(expires), "X-Xet-Cas-Url": hub.cas.url}
    return JSONResponse({"accessToken": hub.cas.token, "exp": expires, "casUrl": hub.cas.url}, headers=headers)


def _let_in(hub: Hub, request: Request) -> None:
    if bearer(request) != hub.cas.token:
        raise RefusalError(401, "this is not a token of the store")
    if request.path_params["place"] != hub.cas.url.rpartition("/")[2]:
        raise RefusalError(404, "this store is gone")


async def put_xorb(hub: Hub, request: Request) -> Response:
    """Take a xorb."""
    _let_in(hub, request)
    hub.cas.put_xorb(request.path_params["hash"], await request.body())
    return JSONResponse({"was_inserted": True})


async def put_shard(hub: Hub, request: Request) -> Response:
    """Take what xorbs mean."""
    _let_in(hub, request)
    hub.cas.put_shard(await request.body())
    return JSONResponse({"result": 1})


async def reconstruction(hub: Hub, request: Request) -> Response:
    """How to put a file, or a range of it, together."""
    _let_in(hub, request)
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "bytes=0-"))
    if match is None or request.path_params["hash"] not in hub.cas.files:
        raise RefusalError(404, "unknown file")
    at = hub.url + request.url.path.partition("/v1/")[0]
    found = hub.cas.reconstruction(request.path_params["hash"], int(match[1]), int(match[2]) + 1 if match[2] else None, at=at)
    return JSONResponse(found) if found else Response(status_code=416)


async def data(hub: Hub, request: Request) -> Response:
    """Bytes of a xorb; no token is needed for its address."""
    return part_of(request, hub.cas.xorb(request.path_params["hash"]), {})


async def telemetry(hub: Hub, request: Request) -> Response:
    """hf_xet tells how it went, at the root of the store's origin."""
    return JSONResponse({})
