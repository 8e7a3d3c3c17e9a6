"""Who publishes: the person of this machine, by the token that the Hub's own tools keep; on a Space the visitor alone, who signs in there.

A visitor's token comes from the session of their own browser at each request. It is kept nowhere, goes to a command by its
environment, and where there is none the token of whoever owns the Space is not taken in its place.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from voxtune.errors import HubError
from voxtune.publishing import account
from voxtune.publishing.account import Account

LOGIN = "/login/huggingface?_target_url=%2F%23publishing"
LOGOUT = "/logout?_target_url=%2F%23publishing"
MAKE_ONE = "/settings/tokens/new?tokenType=fineGrained&ownUserPermissions=repo.content.read&ownUserPermissions=repo.write"
"""The Hub's page for a new token, filled in with what publishing needs and no more."""
HOME = "https://huggingface.co"

_FRESH_S = 300.0
"""How long an answer of the Hub counts: it asks not to be asked who one is with each look at a page."""
_HINTLESS = frozenset({"signed_out", "token_refused", "forbidden"})
"""States that the page has words of its own for."""


def is_on_space() -> bool:
    """Whether this studio serves the visitors of a Space."""
    return bool(os.environ.get("SPACE_ID"))


def by_browser() -> bool:
    """Whether visitors can sign in here: on a Space whose README says `hf_oauth: true`, and which has `gradio[oauth]`, as all Spaces do."""
    told = all(os.environ.get(name) for name in ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL"))
    return is_on_space() and os.environ.get("SYSTEM") == "spaces" and told and all(importlib.util.find_spec(name) for name in ("authlib", "itsdangerous"))


def environment(request: Request) -> Mapping[str, str]:
    """What a command for this page's person is told besides the studio's own environment: on a Space their token, or that there is none."""
    if not is_on_space():
        return {}
    # Every other way to a token is the owner's of the Space, and no visitor's.
    others = dict.fromkeys(("HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE", "VOXTUNE_SPACE_TOKEN"), "")
    return {"HF_TOKEN": _visitors(request) or "", "HF_TOKEN_PATH": os.devnull, **others}


def signed_in(request: Request) -> Account:
    """Who this page's person is at the Hub. Raises HubError."""
    return _ASKED.account(_token(request), fresh=False)


def sight(request: Request, *, fresh: bool) -> dict[str, Any]:
    """For the page: {"state": in|signed_out|token_refused|offline|unreachable..., who and what they may, and where to go}."""
    at = account.endpoint()
    doors = {"login": LOGIN if by_browser() else "", "logout": LOGOUT if by_browser() else "", "new_token": at + MAKE_ONE}
    source = "HF_TOKEN" if os.environ.get("HF_TOKEN", "").strip() else "hf auth login"
    found = {"state": "in", "message": "", "hint": "", "endpoint": "" if at == HOME else at, "on_space": is_on_space(), "source": source, **doors}
    try:
        person = _ASKED.account(_token(request), fresh=fresh)
    except HubError as error:
        state = "offline" if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE") else error.code
        return {**found, "state": state, **({} if error.code in _HINTLESS else {"message": error.message, "hint": error.hint})}
    said = {"name": person.name, "fullname": person.fullname, "role": person.role, "may_write": person.may_write, "source": person.source}
    return {**found, **said, "organizations": list(person.organizations)}


def _token(request: Request) -> str:
    """Whose token counts for this page. Raises HubError where nobody signed in."""
    from huggingface_hub import get_token

    found = _visitors(request) if is_on_space() else get_token()
    if not found:
        raise HubError("nobody is signed in at the Hugging Face Hub.", hint="Sign in on this page.", code="signed_out")
    return found


def _visitors(request: Request) -> str | None:
    """The token in the signed session that Gradio's sign-in keeps in the visitor's browser."""
    from gradio.oauth import require_oauth_token
    from starlette.exceptions import HTTPException

    if not by_browser():
        return None
    try:
        return str(require_oauth_token(request))
    except HTTPException:
        return None


class _Asked:
    """The Hub's answers by the hash of the token, so that no token is kept."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Account, float]] = {}
        self._lock = threading.Lock()

    def account(self, token: str, *, fresh: bool) -> Account:
        """Whose token it is. Raises HubError."""
        mark = hashlib.sha256(token.encode()).hexdigest()
        with self._lock:
            person, until = self._known.get(mark, (None, 0.0))
        if person is not None and not fresh and time.monotonic() < until:
            return person
        person = account.signed_in(token if is_on_space() else None)
        with self._lock:
            self._known = {each: kept for each, kept in self._known.items() if kept[1] > time.monotonic()}
            self._known[mark] = (person, time.monotonic() + _FRESH_S)
        return person


_ASKED = _Asked()
