"""Uploads: how each file is to be sent, large files over LFS, and the commit that makes them part of a repository."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.hub.access import visible, writable
from tests.support.hub.cards import check_card
from tests.support.hub.faults import OWN
from tests.support.hub.state import KINDS, File, Hub, RefusalError, Repo, git_oid

LARGE_BYTES = 10 * 1024 * 1024
LARGE_SUFFIXES = [
    *("7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gguf", "gz", "h5", "joblib", "mlmodel", "model", "msgpack", "npy", "npz", "onnx", "ot", "parquet"),
    *("pb", "pickle", "pkl", "pt", "pth", "rar", "safetensors", "tar", "tflite", "tgz", "wasm", "xz", "zip", "zst"),
    *("wav", "flac", "mp3", "ogg", "m4a", "mp4", "png", "jpg", "jpeg", "webp"),
]
STALE = "The branch was updated since you opened this page. Please refresh and try again."


def _large(path: str, size: int, sample: bytes, attributes: list[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    return size > LARGE_BYTES or b"\0" in sample or any(fnmatch(name, pattern) or fnmatch(path, pattern) for pattern in attributes)


def _lines(hub: Hub, files: dict[str, File], path: str) -> list[str]:
    text = hub.blob(files[path]).read_text(errors="replace") if path in files else ""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _ignored(path: str, rules: list[str]) -> bool:
    return any(fnmatch("/" + path, f"*/{rule.strip('/')}{end}") for rule in rules for end in ("", "/*"))


async def preupload(hub: Hub, request: Request) -> Response:
    """For each file: small or large, left out or not, and what is there under its name."""
    pull = request.query_params.get("create_pr") in ("1", "true")
    repo = visible(hub, request) if pull else writable(hub, request)
    body, files = await request.json(), repo.files(request.path_params["revision"])
    if len(body["files"]) > 256:
        raise RefusalError(400, "at most 256 files at a time")
    rules = [line.strip() for line in body["gitIgnore"].splitlines() if line.strip()] if body.get("gitIgnore") else _lines(hub, files, ".gitignore")
    attributes = [line.split()[0] for line in _lines(hub, files, ".gitattributes") if "filter=lfs" in line]
    rows = []
    for each in body["files"]:
        large = _large(each["path"], each["size"], base64.b64decode(each["sample"]), attributes)
        old = files.get(each["path"])
        row = {"path": each["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": _ignored(each["path"], rules)}
        rows.append({**row, **({"oid": old.sha256 or old.oid} if old else {})})
    return JSONResponse({"files": rows})


async def commit(hub: Hub, request: Request) -> Response:
    """Apply a list of operations to a branch, all of them or none."""
    branch, pull_wanted = request.path_params["revision"], request.query_params.get("create_pr") in ("1", "true")
    repo = visible(hub, request)
    if not pull_wanted:
        writable(hub, request)
    lines = [json.loads(line) for line in (await request.body()).splitlines() if line.strip()]
    header, steps = lines[0]["value"], [(line["key"], line["value"]) for line in lines[1:]]
    # The slow part first: from here to the end nothing else may run, or two commits could overwrite one another.
    large = await asyncio.to_thread(_received, hub, {value["oid"]: value["path"] for key, value in steps if key == "lfsFile"})
    head = repo.resolve(branch)
    if branch not in repo.refs:
        raise RefusalError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    if header.get("parentCommit") and not head.startswith(header["parentCommit"]):
        raise RefusalError(412, STALE)
    files = dict(repo.files(branch))
    for key, value in steps:
        files = _applied(hub, repo, files, key, value, large)
    author = hub.tokens[request.headers["authorization"].partition(" ")[2]].user
    pull = repo.pull(branch, header["summary"], author) if pull_wanted else None
    made = repo.commit(pull["gitReference"] if pull else branch, header["summary"], header.get("description", ""), files, author)
    if repo.kind == "space" and branch == "main" and not pull:
        hub.spaces.changed(repo)
    page = f"{hub.url}/{repo.path}"
    said = {"success": True, "commitOid": made.sha, "commitUrl": f"{page}/commit/{made.sha}", "hookOutput": ""}
    return JSONResponse({**said, **({"pullRequestUrl": f"{page}/discussions/{pull['num']}"} if pull else {})})


def _applied(hub: Hub, repo: Repo, files: dict[str, File], key: str, value: dict[str, Any], large: dict[str, File]) -> dict[str, File]:
    path = value["path"]
    if path.startswith("..\\") or {"..", ".git", ""} & set(path.rstrip("/").split("/")):
        raise RefusalError(422, f"invalid path {path}")
    if key == "file":
        data = base64.b64decode(value["content"])
        if len(data) > LARGE_BYTES:
            raise RefusalError(400, "Your push was rejected because it contains files larger than 10 MiB. Please use git-lfs or Xet to store large files.")
        if path == "README.md":
            check_card(data.decode(errors="replace"), repo.kind)
        return {**files, path: hub.keep(data)}
    if key == "lfsFile":
        return {**files, path: large[value["oid"]]}
    if key == "deletedFile":
        left = {name: file for name, file in files.items() if name != path and not name.startswith(path + "/")}
        if len(left) == len(files):
            raise RefusalError(404, f"{path} does not exist", "EntryNotFound")
        return left
    if key == "deletedFolder":
        return {name: file for name, file in files.items() if not name.startswith(path.rstrip("/") + "/")}
    raise RefusalError(400, f"unknown operation {key}")


def _received(hub: Hub, wanted: dict[str, str]) -> dict[str, File]:
    """Large files (sha256: path) that were uploaded before, over either path, each after its bytes were hashed again."""
    missing = {sha256: hub.cas.by_sha256[sha256] for sha256 in wanted if not (hub.blobs / sha256).exists() and sha256 in hub.cas.by_sha256}
    with tempfile.TemporaryDirectory(dir=hub.blobs) as folder:
        files = [(xet, hub.cas.size(xet), Path(folder) / sha256) for sha256, xet in missing.items()]
        error = hub.reader.read(hub.cas.url.replace("/cas/", f"/{OWN}/"), hub.cas.token, files) if files else ""
        if error:
            raise RefusalError(400, f"what Xet holds cannot be read back: {error}")
        for sha256 in missing:
            (Path(folder) / sha256).replace(hub.blobs / sha256)
    return {sha256: _large_file(hub, sha256, path) for sha256, path in wanted.items()}


def _large_file(hub: Hub, sha256: str, path: str) -> File:
    blob = hub.blobs / sha256
    if not blob.exists():
        raise RefusalError(400, f"Your push was rejected because an LFS pointer pointed to a file that does not exist. Offending file: {path}")
    with blob.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            blob.unlink()
            raise RefusalError(400, f"what was uploaded for {path} is not {sha256}")
    size = blob.stat().st_size
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return File(size, git_oid(pointer), sha256, hub.cas.by_sha256.get(sha256))


async def lfs_batch(hub: Hub, request: Request) -> Response:
    """Where to send large files that the repository has not got."""
    # Whoever may open a pull request may upload for it.
    repo = visible(hub, request)
    token = hub.tokens.get(request.headers.get("authorization", "").partition(" ")[2])
    if token is None or not token.writes:
        writable(hub, request)
    kind = next(plural for plural, single in KINDS.items() if single == repo.kind)
    rows = []
    for each in (await request.json())["objects"]:
        oid = each["oid"]
        target = f"/lfs/{oid}/{kind}/{repo.id}"
        upload = {"href": f"{hub.cdn_url}{target}?seal={hub.sealed(target)}", "header": {}}
        actions = {"actions": {"upload": upload, "verify": {"href": f"{hub.url}/lfs-verify", "header": {}}}}
        there = oid in repo.objects and (hub.blobs / oid).exists()
        rows.append({"oid": oid, "size": each["size"], **({} if there else actions)})
    return JSONResponse({"transfer": "basic", "objects": rows}, media_type="application/vnd.git-lfs+json")


async def lfs_put(hub: Hub, request: Request) -> Response:
    """Take a large file at the CDN's address; no token may come there, the address itself is the right to use it."""
    if request.headers.get("authorization"):
        raise RefusalError(400, "a token came to the CDN")
    if request.query_params.get("seal") != hub.sealed(request.url.path):
        raise RefusalError(403, "the signature does not fit")
    given, digest = request.path_params, hashlib.sha256()
    repo = hub.find(KINDS[given["kind"]], f"{given['namespace']}/{given['name']}")
    if repo is None:
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    with tempfile.NamedTemporaryFile(dir=hub.blobs, delete=False) as into:
        async for chunk in request.stream():
            digest.update(chunk)
            into.write(chunk)
    if digest.hexdigest() != given["oid"]:
        Path(into.name).unlink()
        raise RefusalError(400, "content does not match its oid")
    Path(into.name).replace(hub.blobs / given["oid"])
    repo.objects.add(given["oid"])
    return Response(headers={"ETag": f'"{given["oid"]}"'})


async def lfs_verify(hub: Hub, request: Request) -> Response:
    """Whether an upload arrived whole."""
    body = await request.json()
    path = hub.blobs / Path(body["oid"]).name
    if not path.exists() or path.stat().st_size != body["size"]:
        raise RefusalError(400, "verification failed")
    return JSONResponse({})
