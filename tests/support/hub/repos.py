"""Accounts and repositories: who am I, create, delete, list, describe."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.hub.access import belongs, known, repository, require_creating, signed_in, visible, writable
from tests.support.hub.cards import card_of, tags_of
from tests.support.hub.commits import LARGE_SUFFIXES
from tests.support.hub.running import subdomain
from tests.support.hub.state import KINDS, File, Hub, Kind, RefusalError, Repo, Token, now

WRITING = ["repo.content.read", "repo.write", "discussion.write"]


def _about_token(token: Token) -> dict[str, Any]:
    if token.role == "oauth":
        return {"type": "oauth", "expiresAt": "2099-01-01T00:00:00.000Z"}
    about: dict[str, Any] = {"displayName": "test", "role": token.role, "createdAt": "2026-01-01T00:00:00.000Z"}
    if token.role == "fineGrained":
        rights = WRITING if token.writes else WRITING[:1]
        scoped = [{"entity": {"_id": name, "type": "user", "name": name}, "permissions": rights} for name in token.only or (token.user,)]
        about["fineGrained"] = {"canReadGatedRepos": True, "global": [], "scoped": scoped}
    return {"type": "access_token", "accessToken": about}


async def whoami(hub: Hub, request: Request) -> Response:
    """Whose token it is, what it may do, and which organisations they belong to."""
    token = signed_in(hub, request)
    name = token.user
    mine = [(each, roles[name]) for each, roles in hub.organizations.items() if name in roles]
    orgs = [{"type": "org", "id": org, "name": org, "fullname": hub.fullnames.get(org, org), "roleInOrg": role, "isEnterprise": False} for org, role in mine]
    about = {"type": "user", "id": name, "name": name, "fullname": hub.fullnames.get(name, name), "email": f"{name}@example.org", "emailVerified": True}
    return JSONResponse({**about, "isPro": False, "canPay": name in hub.payers, "avatarUrl": "", "orgs": orgs, "auth": _about_token(token)})


async def harnesses(hub: Hub, request: Request) -> Response:
    """Asked once a process for the user agent; any answer will do."""
    return JSONResponse({"harnesses": {}})


def _settings(rows: list[dict[str, str]] | None) -> dict[str, dict[str, Any]]:
    return {row["key"]: {"value": row["value"], "description": row.get("description"), "updatedAt": now()} for row in rows or []}


async def create(hub: Hub, request: Request) -> Response:
    """Make a repository with its first commit."""
    body = await request.json()
    kind: Kind = body.get("type") or "model"
    token = signed_in(hub, request)
    namespace, name = body.get("organization") or token.user, body["name"]
    require_creating(hub, request, kind, namespace)
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,95}", name, re.ASCII) or re.search(r"\.\.|--|[.-]$|\.git$", name):
        raise RefusalError(400, f'"name" with value "{name}" fails to match the required pattern')
    address = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{namespace}/{name}"
    if hub.find(kind, f"{namespace}/{name}"):
        raise RefusalError(409, f"You already created this {kind} repo: {namespace}/{name}", url=address)
    by_default = "private" if body.get("private") or namespace in hub.private_by_default else "public"
    repo = Repo(kind, f"{namespace}/{name}", private=body.get("visibility", by_default) == "private", sdk=body.get("sdk"))
    repo.variables, repo.secrets = _settings(body.get("variables")), _settings(body.get("secrets"))
    repo.volumes, repo.sleep_s = body.get("volumes") or [], body.get("sleepTimeSeconds")
    if body.get("hardware"):
        hub.require_paying(token.user, body["hardware"])
        repo.hardware = body["hardware"]
    attributes = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_SUFFIXES)
    files: dict[str, File] = {".gitattributes": hub.keep(attributes.encode())}
    if kind == "space":
        card = f"---\ntitle: {name}\nemoji: 🏆\ncolorFrom: blue\ncolorTo: green\nsdk: {body.get('sdk')}\napp_file: app.py\npinned: false\n---\n"
        files["README.md"] = hub.keep(card.encode())
    repo.commit("main", "initial commit", "", files, token.user)
    hub.repos[kind, repo.id] = repo
    return JSONResponse({"url": address, "name": repo.id, "id": repo.id})


async def delete(hub: Hub, request: Request) -> Response:
    """Take a repository away for good."""
    body = await request.json()
    token = signed_in(hub, request)
    kind: Kind = body.get("type") or "model"
    repo = hub.find(kind, f"{body.get('organization') or token.user}/{body['name']}")
    if repo is None or not hub.may_read(token.user, repo):
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    if not token.writes or not belongs(hub, token, repo.namespace):
        raise RefusalError(403, f'You don\'t have the rights to delete "{repo.id}"')
    del hub.repos[kind, repo.id]
    if kind == "space":
        hub.spaces.gone(repo)
    return Response("OK")


async def move(hub: Hub, request: Request) -> Response:
    """Give a repository another name; the old one leads to the new one."""
    body, token = await request.json(), signed_in(hub, request)
    kind: Kind = body.get("type") or "model"
    old, new = body["fromRepo"], body["toRepo"]
    repo = hub.find(kind, old)
    if repo is None or not hub.may_read(token.user, repo):
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    for namespace in (repo.namespace, new.partition("/")[0]):
        require_creating(hub, request, kind, namespace)
    if hub.find(kind, new):
        raise RefusalError(409, f"A {kind} repository called {new} already exists")
    if kind == "space":
        hub.spaces.gone(repo)
    hub.moved.pop((kind, new), None)
    hub.moved[kind, repo.id] = new
    hub.repos[kind, new] = hub.repos.pop((kind, repo.id))
    repo.id = new
    if kind == "space":
        hub.spaces.changed(repo)
    return Response("OK")


async def settings(hub: Hub, request: Request) -> Response:
    """Change who may see a repository."""
    repo, body = writable(hub, request), await request.json()
    if "visibility" in body or "private" in body:
        repo.private = body.get("visibility", "private" if body.get("private") else "public") == "private"
    repo.gated = body.get("gated", repo.gated)
    return JSONResponse(body)


async def auth_check(hub: Hub, request: Request) -> Response:
    """Nothing, or the refusal that a download would meet."""
    repository(hub, request)
    return JSONResponse({})


async def list_repos(hub: Hub, request: Request) -> Response:
    """Repositories of a kind that whoever asks may see."""
    kind, asked, token = KINDS[request.path_params["kind"]], request.query_params, known(hub, request)
    user = token.user if token else None
    seen = [repo for repo in hub.repos.values() if repo.kind == kind and hub.may_read(user, repo)]
    rows = []
    for repo in seen:
        if asked.get("search", "").lower() in repo.id.lower() and asked.get("author") in (None, repo.namespace):
            tags = tags_of(card_of(hub, repo), repo.kind)
            if set(asked.getlist("filter")) <= set(tags):
                rows.append({"id": repo.id, "author": repo.namespace, "private": repo.private, "tags": tags, "createdAt": repo.created})
    return JSONResponse(rows[: int(asked.get("limit", len(rows)))])


def _sibling(path: str, file: File, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    large = {"lfs": {"sha256": file.sha256, "size": file.size, "pointerSize": 134}} if file.sha256 else {}
    return {"rfilename": path, "size": file.size, "blobId": file.oid, **large}


async def info(hub: Hub, request: Request) -> Response:
    """What the Hub says of a repository at a revision."""
    # A gated repository may be looked at; its files may not.
    repo = visible(hub, request)
    revision = request.path_params.get("revision", "main")
    commit = repo.commits[repo.resolve(revision)]
    card = card_of(hub, repo, revision)
    about: dict[str, Any] = {"_id": commit.sha[:24], "id": repo.id, "author": repo.namespace, "sha": commit.sha, "private": repo.private, "gated": repo.gated}
    about |= {"disabled": False, "lastModified": commit.date, "createdAt": repo.created, "downloads": 0, "likes": 0, "cardData": card}
    about |= {"tags": tags_of(card, repo.kind), "usedStorage": sum(file.size for file in commit.files.values())}
    about["siblings"] = [_sibling(path, file, bool(request.query_params.get("blobs"))) for path, file in sorted(commit.files.items())]
    if repo.kind == "model":
        about |= {
            "modelId": repo.id,
            "pipeline_tag": card.get("pipeline_tag"),
            "library_name": card.get("library_name"),
            "model-index": card.get("model-index"),
        }
    if repo.kind == "space":
        about |= {"sdk": card.get("sdk", repo.sdk), "subdomain": subdomain(repo), "models": card.get("models", [])}
        about |= {"host": hub.spaces.host(repo), "runtime": hub.spaces.runtime(repo), "datasets": card.get("datasets", [])}
    wanted = request.query_params.getlist("expand")
    return JSONResponse({name: value for name, value in about.items() if not wanted or name in (*wanted, "_id", "id")})
