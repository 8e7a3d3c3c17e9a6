"""Who is signed in at the Hugging Face Hub, and what may be published under which name.

The token is huggingface_hub's own: HF_TOKEN, or what `hf auth login` stored. It is never shown, and never an argument.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from voxtune.errors import CallError, HubError
from voxtune.publishing.calls import api, call

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_LONGEST = 96
_SIGN_IN = "Sign in with `hf auth login`, or set HF_TOKEN, with a token that may write: https://huggingface.co/settings/tokens"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person at the Hub, as the token on this machine tells."""

    name: str
    fullname: str
    role: str
    """write, read, fineGrained, or oauth for a sign-in in the browser."""
    source: str
    """Where the token comes from: HF_TOKEN or hf auth login."""
    organizations: tuple[str, ...]
    """Those that this person may write to."""
    endpoint: str
    """The Hub's address, without what may be secret in it."""

    @property
    def may_write(self) -> bool:
        """Whether the token can publish at all; what a fine-grained one may do, only the Hub knows."""
        return self.role != "read"


def signed_in(token: str | None = None, *, cached: bool = False) -> Account:
    """Who the token belongs to: the given one, else this machine's. Raises HubError: signed_out, token_refused, unreachable.

    With `cached` it is asked once in a process: the Hub answers this question less often than any other.
    """
    from huggingface_hub import get_token

    hub = api()
    if not (token or get_token()):
        raise HubError("nobody is signed in at the Hugging Face Hub.", hint=_SIGN_IN, code="signed_out")
    said: dict[str, Any] = call("say who is signed in", lambda: hub.whoami(token=token, cache=cached))
    auth = said.get("auth") or {}
    kind = str(auth.get("type") or "")
    role = str((auth.get("accessToken") or {}).get("role") or ("oauth" if "oauth" in kind else kind or "unknown"))
    source = "given" if token else "HF_TOKEN" if os.environ.get("HF_TOKEN", "").strip() else "hf auth login"
    groups = tuple(str(each["name"]) for each in said.get("orgs") or [] if each.get("roleInOrg", "write") not in ("read", "no_access"))
    return Account(
        name=str(said["name"]), fullname=str(said.get("fullname") or said["name"]), role=role, source=source, organizations=groups, endpoint=endpoint()
    )


def endpoint() -> str:
    """The Hub's address (HF_ENDPOINT), without a user or password in it."""
    from huggingface_hub import constants

    return re.sub(r"//[^/@]*@", "//", constants.ENDPOINT)


def check_name(given: str) -> None:
    """Raise CallError for a repository's name, NAME or OWNER/NAME, that the Hub would not take; asks nothing of the Hub."""
    parts = given.split("/")
    fits = all(_NAME.fullmatch(part) and ".." not in part and "--" not in part and not part.endswith(".git") for part in parts)
    if len(parts) > 2 or not fits or len(given) > _LONGEST:
        hint = f"Use OWNER/NAME of letters, digits, '-', '_' and '.', no '--' and '..', at most {_LONGEST} characters."
        raise CallError(f"the Hub takes no repository of the name {given[:120]!r}.", hint=hint)


def repo_name(given: str, account: Account) -> str:
    """OWNER/NAME of a repository; without an owner it is the account's. Raises CallError."""
    name = given if "/" in given else f"{account.name}/{given}"
    check_name(name)
    return name


def publisher(repo: str) -> tuple[Account, str]:
    """Who publishes, and OWNER/NAME of where; refused before anything is sent. Raises CallError or HubError."""
    check_name(repo)
    account = signed_in(cached=True)
    name = repo_name(repo, account)
    require_write(account, name)
    return account, name


def require_write(account: Account, repo: str) -> None:
    """Raise HubError, before anything is sent, where this account cannot publish under that name."""
    owner = repo.split("/")[0]
    if not account.may_write:
        raise HubError(f"the token from {account.source} can only read.", hint=_SIGN_IN, code="forbidden")
    if owner.lower() not in {each.lower() for each in (account.name, *account.organizations)}:
        where = ", ".join((account.name, *account.organizations))
        raise HubError(f"{account.name} cannot publish under {owner}.", hint=f"Publish under {where}.", code="forbidden")
