"""What is in a repository: folders, files, commits, branches, tags, pull requests."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.hub.access import repository, signed_in, writable
from tests.support.hub.state import Commit, File, Hub, RefusalError, Repo, git_oid


def _last(repo: Repo, revision: str, path: str, expand: bool) -> dict[str, Any]:
    if not expand:
        return {}
    commit = repo.last_change(revision, path)
    unscanned = {name: {"status": "unscanned"} for name in ("jFrogScan", "protectAiScan", "avScan")}
    safe = {"status": "safe", **unscanned, "pickleImportScan": None}
    return {"lastCommit": {"id": commit.sha, "title": commit.title, "date": commit.date}, "securityFileStatus": safe}


def _file(path: str, file: File) -> dict[str, Any]:
    large = {"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 134}} if file.sha256 else {}
    return {"type": "file", "oid": file.oid, "size": file.size, "path": path, **large, **({"xetHash": file.xet} if file.xet else {})}


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": git_oid(path.encode()), "size": 0, "path": path}


def _yes(value: str) -> bool:
    return value.lower() in ("true", "1")


async def tree(hub: Hub, request: Request) -> Response:
    """The entries of a folder, a page at a time."""
    repo, given, asked = repository(hub, request), request.path_params, request.query_params
    base, recursive = given.get("path", "").strip("/"), _yes(asked.get("recursive", ""))
    rows: dict[str, dict[str, Any]] = {}
    for path, file in sorted(repo.files(given["revision"]).items()):
        if base and not path.startswith(base + "/"):
            continue
        rest = path[len(base) + 1 if base else 0 :].split("/")
        for depth in range(1, len(rest)):
            folder = "/".join([*([base] if base else []), *rest[:depth]])
            if recursive or depth == 1:
                rows.setdefault(folder, _folder(folder))
        if recursive or len(rest) == 1:
            rows[path] = _file(path, file)
    if base and not rows:
        raise RefusalError(404, f'{base} does not exist on "{given["revision"]}"', "EntryNotFound")
    start = int(asked.get("cursor", 0))
    page = list(rows.values())[start : start + hub.page_size]
    expand = _yes(asked.get("expand", ""))
    page = [{**row, **_last(repo, given["revision"], row["path"], expand)} for row in page]
    more = start + hub.page_size < len(rows)
    link = {"Link": f'<{request.url.include_query_params(cursor=start + hub.page_size)}>; rel="next"'} if more else {}
    return JSONResponse(page, headers=link)


async def paths_info(hub: Hub, request: Request) -> Response:
    """Some entries; paths that are not there are left out. What is sent is a form."""
    repo, revision = repository(hub, request), request.path_params["revision"]
    files, form = repo.files(revision), parse_qs((await request.body()).decode())
    expand, rows = _yes(form.get("expand", [""])[0]), []
    for path in (each.strip("/") for each in form.get("paths", [])):
        if path in files:
            rows.append({**_file(path, files[path]), **_last(repo, revision, path, expand)})
        elif path and any(name.startswith(path + "/") for name in files):
            rows.append({**_folder(path), **_last(repo, revision, path, expand)})
    return JSONResponse(rows)


def _commit(commit: Commit, formatted: bool) -> dict[str, Any]:
    about: dict[str, Any] = {
        "id": commit.sha,
        "title": commit.title,
        "message": commit.message,
        "date": commit.date,
        "authors": [{"user": commit.author, "avatar": ""}],
    }
    if formatted:
        title = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(commit.title))
        about["formatted"] = {"title": title, "message": f"<p>{html.escape(commit.message)}</p>" if commit.message else ""}
    return about


async def commits(hub: Hub, request: Request) -> Response:
    """The history of a revision."""
    repo = repository(hub, request)
    formatted = "formatted" in request.query_params.getlist("expand[]") + request.query_params.getlist("expand")
    return JSONResponse([_commit(commit, formatted) for commit in repo.history(request.path_params["revision"])])


async def refs(hub: Hub, request: Request) -> Response:
    """Branches, tags and pull requests."""
    full = {name if name.startswith("refs/") else f"refs/heads/{name}": sha for name, sha in repository(hub, request).refs.items()}

    def below(prefix: str) -> list[dict[str, str]]:
        return [{"name": ref.removeprefix("refs/").partition("/")[2], "ref": ref, "targetCommit": sha} for ref, sha in full.items() if ref.startswith(prefix)]

    return JSONResponse({"branches": below("refs/heads/"), "tags": below("refs/tags/"), "converts": [], "pullRequests": below("refs/pr/")})


async def branch(hub: Hub, request: Request) -> Response:
    """Make a branch, or take one away."""
    repo, name = writable(hub, request), request.path_params["revision"]
    if request.method == "DELETE":
        return _drop(repo, f"heads/{name}", name)
    if name in repo.refs:
        raise RefusalError(409, f"Reference refs/heads/{name} already exists")
    body = json.loads(await request.body() or "{}")
    repo.refs[name] = repo.resolve(body.get("startingPoint", "main"))
    return Response("OK", 201)


async def super_squash(hub: Hub, request: Request) -> Response:
    """One commit in place of a branch's history; commits that nothing leads to any more are not to be had."""
    repo, branch_name = writable(hub, request), request.path_params["revision"]
    files = dict(repo.files(branch_name))
    repo.refs.pop(branch_name)
    kept = {commit.sha for reference in repo.refs for commit in repo.history(reference)}
    for sha in set(repo.commits) - kept:
        del repo.commits[sha]
    repo.commit(branch_name, (await request.json())["message"], "", files, signed_in(hub, request).user)
    return Response("OK")


async def tag(hub: Hub, request: Request) -> Response:
    """Make a tag, or take one away."""
    repo, revision = writable(hub, request), request.path_params["revision"]
    if request.method == "DELETE":
        return _drop(repo, f"tags/{revision}", f"refs/tags/{revision}")
    sha, short = repo.resolve(revision), (await request.json())["tag"]
    if re.search(r"[\s~^:?*\[\\]|\.\.|^/|/$|\.lock$|@\{", short):
        raise RefusalError(400, f"Invalid reference name: {short}")
    name = f"refs/tags/{short}"
    if name in repo.refs:
        raise RefusalError(409, f"Tag reference exists already: {name}")
    repo.refs[name] = sha
    return Response("OK", 201)


def _drop(repo: Repo, label: str, name: str) -> Response:
    if name == "main":
        raise RefusalError(403, f"Cannot delete refs/{label}")
    if repo.refs.pop(name, None) is None:
        raise RefusalError(404, f"Invalid rev id: {name}", "RevisionNotFound")
    return Response("OK")


async def discussions(hub: Hub, request: Request) -> Response:
    """Open a pull request, or look at one."""
    number = request.path_params.get("number")
    repo = repository(hub, request)
    if number is not None:
        if number not in repo.pulls:
            raise RefusalError(404, "Discussion not found")
        return JSONResponse(repo.pulls[number])
    return JSONResponse(repo.pull("main", (await request.json())["title"], signed_in(hub, request).user))


async def list_discussions(hub: Hub, request: Request) -> Response:
    """All pull requests, the newest first."""
    pulls = list(repository(hub, request).pulls.values())[::-1]
    return JSONResponse({"discussions": pulls, "count": len(pulls), "start": 0})
