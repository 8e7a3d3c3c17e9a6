"""The token with which a Space reads a private model: one that can do nothing else, and never the one that publishes."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from voxtune.errors import CallError, HubError
from voxtune.publishing.calls import api, call

VARIABLE = "VOXTUNE_SPACE_TOKEN"
"""Where a person puts it; never an argument, which others on the machine could see."""
SECRET = "HF_TOKEN"  # noqa: S105 - the name of the secret
_MAKE_ONE = (
    f"Make one of the kind Read at https://huggingface.co/settings/tokens (or a fine-grained one that may only read the model), and put it into {VARIABLE}."
)


def given(token: str | None) -> str | None:
    """The token for a Space: the one handed over, else that of the environment."""
    return (token or os.environ.get(VARIABLE, "")).strip() or None


def check(token: str, needed_for: tuple[str, ...]) -> None:
    """Raise CallError for a token that may write, or may not read the models; HubError for one that the Hub refuses."""
    said = _whoami(token)
    if told := _may_write(said):
        raise CallError(f"the token in {VARIABLE} may write ({told}): in a Space, whoever finds it could change everything of yours.", hint=_MAKE_ONE)
    hub = api()
    for repo in needed_for:
        try:
            call(f"let the token in {VARIABLE} read {repo}", lambda repo=repo: hub.auth_check(repo, token=token))  # type: ignore[misc]  # bound at once
        except HubError as error:
            if error.code not in ("not_found", "forbidden", "token_refused"):
                raise
            raise CallError(f"the token in {VARIABLE} may not read {repo}.", hint=_MAKE_ONE) from None


def _whoami(token: str) -> dict[str, Any]:
    hub = api()
    try:
        said: dict[str, Any] = call(f"say whose the token in {VARIABLE} is", lambda: hub.whoami(token=token))
    except HubError as error:
        if error.code != "token_refused":
            raise
        raise CallError(f"the Hub does not know the token in {VARIABLE}.", hint=_MAKE_ONE) from None
    return said


def _may_write(said: dict[str, Any]) -> str:
    """What the Hub tells of a token beyond reading; empty where it can only read."""
    auth: dict[str, Any] = (said.get("auth") or {}).get("accessToken") or {}
    if auth.get("role") == "read":
        return ""
    if auth.get("role") != "fineGrained":
        return f"its role is {auth.get('role') or 'unknown'}"
    fine = auth.get("fineGrained") or {}
    rights = [*fine.get("global", []), *(right for scope in fine.get("scoped", []) for right in scope.get("permissions", []))]
    return ", ".join(sorted({right for right in rights if not right.endswith(".read")}))


def missing(space: str, needed_for: tuple[str, ...]) -> CallError:
    """A Space cannot read private models without a token."""
    are = "is" if len(needed_for) == 1 else "are"
    return CallError(
        f"{' and '.join(needed_for)} {are} private, and the Space {space} has no token to read {'it' if are == 'is' else 'them'} with.", hint=_MAKE_ONE
    )


def mark(token: str) -> str:
    """By what the same token is known again, and nobody can tell it: a few digits of its hash."""
    return hashlib.sha256(token.encode()).hexdigest()[:8]
