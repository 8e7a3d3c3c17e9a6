"""Downloads: small files from the Hub itself, large ones from its CDN, which is another origin and must never see a token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tests.support.hub.access import repository
from tests.support.hub.state import Hub, RefusalError

CHUNK_BYTES = 1 << 20


def part_of(request: Request, path: Path, headers: dict[str, str]) -> Response:
    """A file, or the range of it that was asked for."""
    size, match = path.stat().st_size, re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    start, end, status = 0, size, 200
    if match and (match[1] or match[2]):
        start, end = (int(match[1]), min(size, int(match[2] or size - 1) + 1)) if match[1] else (max(0, size - int(match[2])), size)
        if start >= size:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        status, headers = 206, {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    headers = {**headers, "Content-Length": str(end - start), "Accept-Ranges": "bytes"}
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_bytes(path, start, end), status, headers, "application/octet-stream")


def _bytes(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end and (data := stream.read(min(end - start, CHUNK_BYTES))):
            start += len(data)
            yield data


async def resolve(hub: Hub, request: Request) -> Response:
    """A file of a repository, or where it is."""
    repo, given = repository(hub, request), request.path_params
    sha = repo.resolve(given["revision"])
    headers, file = {"X-Repo-Commit": sha}, repo.commits[sha].files.get(given["path"])
    if file is None:
        raise RefusalError(404, "Entry not found", "EntryNotFound", headers=headers)
    if not file.sha256:
        return part_of(request, hub.blob(file), {**headers, "ETag": f'"{file.oid}"'})
    target = f"/cdn/{file.sha256}"
    headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size), "ETag": f'"{file.sha256}"'}
    headers |= {"Location": f"{hub.cdn_url}{target}?seal={hub.sealed(target)}&name={quote(given['path'], safe='')}"}
    if file.xet:
        headers |= {"X-Xet-Hash": file.xet, "Link": f'<{hub.url}/api/{repo.kind}s/{repo.id}/xet-read-token/{sha}>; rel="xet-auth"'}
    return Response(status_code=302, headers=headers)


async def cdn(hub: Hub, request: Request) -> Response:
    """A large file; the address itself is the right to have it."""
    if request.headers.get("authorization"):
        raise RefusalError(400, "a token came to the CDN")
    if request.query_params.get("seal") != hub.sealed(request.url.path):
        raise RefusalError(403, "the signature does not fit")
    sha256 = request.path_params["sha256"]
    return part_of(request, hub.blobs / Path(sha256).name, {"ETag": f'"{sha256}"'})
