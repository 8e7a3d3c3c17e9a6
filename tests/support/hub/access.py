"""Who asks, and whether they may. What somebody may not see does not exist for them."""

from __future__ import annotations

from starlette.requests import Request

from tests.support.hub.state import KINDS, Hub, RefusalError, Repo, Token

BAD_TOKEN = "Invalid credentials in Authorization header"
ANONYMOUS = "Invalid username or password."


def bearer(request: Request) -> str | None:
    """The token that came with a request."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def known(hub: Hub, request: Request) -> Token | None:
    """Whose token came with a request; None where none did."""
    given = bearer(request)
    if not given:
        return None
    if given not in hub.tokens:
        raise RefusalError(401, BAD_TOKEN)
    return hub.tokens[given]


def signed_in(hub: Hub, request: Request) -> Token:
    """The same, of a request that must carry one."""
    token = known(hub, request)
    if token is None:
        raise RefusalError(401, ANONYMOUS)
    return token


def belongs(hub: Hub, token: Token, namespace: str) -> bool:
    """Whether a namespace is open for what a token's owner writes, and the token was made for it."""
    own = namespace == token.user or hub.organizations.get(namespace, {}).get(token.user) in ("admin", "write", "contributor")
    return own and (token.only is None or namespace in token.only)


def require_creating(hub: Hub, request: Request, kind: str, namespace: str) -> Token:
    """The token, if it may make or delete repositories there."""
    token = signed_in(hub, request)
    if not token.writes or not belongs(hub, token, namespace):
        raise RefusalError(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    return token


def repository(hub: Hub, request: Request) -> Repo:
    """The repository that a path names, if whoever asks may know of it and what is in it."""
    repo = visible(hub, request)
    token = known(hub, request)
    if repo.gated and not (token and belongs(hub, token, repo.namespace)):
        raise RefusalError(403 if token else 401, f"Access to {repo.kind} {repo.id} is restricted and you are not in the authorized list.", "GatedRepo")
    return repo


def visible(hub: Hub, request: Request) -> Repo:
    """The repository that a path names, if whoever asks may know of it."""
    token = known(hub, request)
    given = request.path_params
    kind, name = KINDS[given.get("kind", "models")], f"{given['namespace']}/{given['name']}"
    repo = hub.find(kind, name)
    if repo is None and (kind, name) in hub.moved:
        there = str(request.url.replace(path=request.url.path.replace(name, hub.moved[kind, name], 1)))
        raise RefusalError(307, f"Temporary Redirect. Redirecting to {there}", headers={"Location": there})
    if repo is None or not hub.may_read(token.user if token else None, repo):
        raise RefusalError(404, "Repository not found", "RepoNotFound") if token else RefusalError(401, ANONYMOUS, "RepoNotFound")
    return repo


def writable(hub: Hub, request: Request) -> Repo:
    """The same, if whoever asks may also change it."""
    repo = visible(hub, request)
    token = signed_in(hub, request)
    if not token.writes:
        raise RefusalError(403, "you must use a write token to upload to a repository")
    if not belongs(hub, token, repo.namespace):
        raise RefusalError(403, "Authorization error.")
    return repo
