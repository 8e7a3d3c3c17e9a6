"""One call to the Hub: tried again where that can help, and what goes wrong told as a HubError.

huggingface_hub 2.4 waits without limit for an answer, tries some of its calls again by itself (uploads) and others never (making a
repository, commits, questions), and its Xet part raises bare ConnectionErrors (facts: tests/hub).
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from voxtune.errors import HubError

T = TypeVar("T")
Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and of how much, if that is known."""
SENDING = "sending"
"""What it is told from the first byte on that goes to the Hub."""

TRIES = 5
LONGEST_WAIT_S = 300
"""A Hub that asks for more patience than this is told of, not waited for."""
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_TIMEOUT_S, _CONNECT_S = 120.0, 15.0
_TOKENS_PAGE = "https://huggingface.co/settings/tokens"


def silent(what: str, done: int, total: int | None) -> None:
    """A Progress that tells nobody."""


@functools.cache
def api() -> Any:
    """The Hub's client, with an end to its patience. Raises HubError in offline mode."""
    import httpx2
    from huggingface_hub import HfApi, constants, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def client() -> httpx2.Client:
        made: httpx2.Client = default_client_factory()
        hooks = made.event_hooks
        made.event_hooks = {"request": [*hooks.get("request", []), _impatient], "response": [*hooks.get("response", []), _Crowded()]}
        return made

    if constants.is_offline_mode():
        raise HubError("HF_HUB_OFFLINE is set: nothing can be published in offline mode.", hint="Unset HF_HUB_OFFLINE and try again.", code="unreachable")
    set_client_factory(client)
    return HfApi(library_name="voxtune")


def _impatient(request: Any) -> None:
    """An end to each wait; some of the client's calls say that they want none, so that a default would not do."""
    patience = float(os.environ.get("VOXTUNE_HUB_TIMEOUT", _TIMEOUT_S))
    request.extensions = {**request.extensions, "timeout": {"connect": min(_CONNECT_S, patience), "read": patience, "write": patience, "pool": patience}}


class _Crowded:
    """Ends huggingface_hub's own loop over "another conflicting operation is in progress", which neither waits nor ends."""

    def __init__(self) -> None:
        self._times = 0

    def __call__(self, response: Any) -> None:
        if not str(response.request.url).endswith("/api/repos/create"):
            return
        response.read()
        if response.status_code != 409 or "conflicting operation is in progress" not in response.text:
            self._times = 0
        else:
            self._times += 1
            if self._times >= TRIES:
                raise HubError("the Hub is making another repository of this account.", hint="Try again in a minute.", code="conflict", status=409)
            time.sleep(2.0 ** (self._times - 1))


def call(what: str, work: Callable[[], T], *, tries: int = TRIES, came_through: Callable[[], T | None] = lambda: None) -> T:
    """What `work` gives; `what` completes "the Hub could not ...". Raises HubError.

    Tried again, `tries` times in all, where the Hub is busy or the line broke, after the time that it asks for (Retry-After, or
    the RateLimit header of the IETF draft). What it refused is never asked again. 1 try is for what the client itself tries again.
    `came_through` is asked before each further try, and gives the result where only the answer to the last one was lost.
    """
    import httpx2
    from huggingface_hub import errors

    for attempt in range(1, tries + 1):
        try:
            return work()
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            pause = wait_s(error.response.headers, attempt)
            if status not in _AGAIN or attempt == tries or pause > LONGEST_WAIT_S:
                raise refused(what, error) from None
        except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
            pause = wait_s({}, attempt)
            if isinstance(error, errors.OfflineModeIsEnabled) or attempt == tries:
                raise unreachable(what, error) from None
        except (httpx2.HTTPError, errors.OIDCError, RuntimeError, ValueError, KeyError, OSError) as error:
            raise unforeseen(what, error) from None
        time.sleep(pause)
        if (found := came_through()) is not None:
            return found
    raise AssertionError("the last try returns or raises")


def wait_s(headers: Any, attempt: int) -> float:
    """How long to wait before the next try: as long as the Hub asks for, else 1, 2, 4, 8 s."""
    asked = headers.get("retry-after", "")
    if asked.isdigit():
        return float(asked) + 0.5
    reset = re.search(r"r=0\s*;\s*t=(\d+)", headers.get("ratelimit", ""))
    return float(reset.group(1)) + 0.5 if reset else float(min(8, 2 ** (attempt - 1)))


def refused(what: str, error: Any) -> HubError:
    """What the Hub's HTTP error means, and what to do about it."""
    status: int = error.response.status_code
    said = _said(error)
    message = f"the Hub could not {what}: {said}"
    code, hint = _meaning(status, said.lower())
    return HubError(message, hint=hint, code=code, status=status)


def _meaning(status: int, said: str) -> tuple[str, str]:
    if status == 401:
        return "token_refused", f"Sign in again with `hf auth login --force`, or correct HF_TOKEN; tokens are made at {_TOKENS_PAGE}."
    if status == 402 or (status in (403, 413) and ("storage" in said or "quota" in said)):
        return "storage", "The account has no room or no plan for this: free some, or publish under another account."
    if status == 403:
        return "forbidden", f"The token must be allowed to write there: make one at {_TOKENS_PAGE} and sign in with `hf auth login --force`."
    if status == 404:
        return "not_found", "Check the name, and whether this account may see it."
    if status in (409, 412):
        return "conflict", "Somebody changed it at the same moment; try again."
    if status == 429:
        return "limited", "The Hub asks to wait; try again later. What was sent is kept."
    if status >= 500 or status == 408:
        return "unreachable", "The Hub has trouble of its own (status.huggingface.co); try again later. What was sent is kept."
    return "invalid", "Run it again with --debug and report what it prints."


def unreachable(what: str, error: Exception) -> HubError:
    """No answer, or a broken line; or a refusal of its storage, of which hf_xet says no more than "(403 Forbidden)"."""
    said = _plain(str(error)) or type(error).__name__
    if refusal := re.search(r"error \((\d{3}) ([\w ]+)\)", said):
        status = int(refusal.group(1))
        code, hint = _meaning(status, "")
        hint += " Or its storage is full." if status == 403 else ""
        return HubError(f"the Hub could not {what}: its storage answered {status} {refusal.group(2)}.", hint=hint, code=code, status=status)
    return HubError(f"the Hub could not {what}: no answer ({said}).", hint="Check the network and try again; what was sent is kept.", code="unreachable")


def unforeseen(what: str, error: Exception) -> HubError:
    """What the client itself raises: a card it refuses, an upload that the Hub's storage refused."""
    import httpx2

    cause = error.__cause__
    if hasattr(cause, "response"):
        return refused(what, cause)
    if isinstance(cause, httpx2.TransportError):
        return unreachable(what, cause)
    said = _plain(str(error)) or type(error).__name__
    return HubError(f"the Hub could not {what}: {said}", hint="Correct what it names and try again.", code="invalid")


def _said(error: Any) -> str:
    """The Hub's own words, or the status where it has none (a proxy's page of HTML)."""
    words = _plain(error.server_message or "")
    return words if words and "<" not in words else f"it answered {error.response.status_code}."


def _plain(text: str) -> str:
    """One line, without anything that looks like a token."""
    return without_tokens(" ".join(text.split()))[:500]


def without_tokens(text: str) -> str:
    """A text of others, without anything that looks like a token."""
    return re.sub(r"hf_\w{4,}", "hf_…", text)
