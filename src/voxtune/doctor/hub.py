"""Whether the Hub answers, and what the token on this machine may do there."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from voxtune.doctor.check import Check

T = TypeVar("T")
HUB_WAIT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a token may do, or the status with which the Hub refused to say."""

    name: str | None = None
    """read, write or fineGrained; for a login in the browser what the Hub calls that."""
    refused: int | None = None


def checks() -> list[Check]:
    """Whether it can be reached and what the token may do; takes seconds, even where no network answers."""
    try:
        from huggingface_hub import constants
    except (ImportError, ValueError) as error:  # it reads its variables when it is loaded
        hint = "Install it again: pip install --force-reinstall huggingface_hub" if isinstance(error, ImportError) else "Correct or unset HF_ENDPOINT."
        unasked = Check(name="hub_token", state="unknown", message="not looked for.")
        return [Check(name="hub", state="error", message=f"huggingface_hub cannot be loaded: {error}.", hint=hint), unasked]
    address = urlsplit(constants.ENDPOINT)
    endpoint = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    details = {"endpoint": endpoint, "offline": constants.is_offline_mode()}
    if details["offline"]:
        message = "offline mode: HF_HUB_OFFLINE is set, and only models that are in the cache can be used."
        return [Check(name="hub", state="unknown", message=message, details=details), _token(ask=False)]
    if silent := _within(HUB_WAIT_S + 1, _silence, f"no answer within {HUB_WAIT_S:.0f} s"):
        hint = "Models that are in the cache, and the tiny one, work without it. Behind a proxy set HTTPS_PROXY; for a mirror HF_ENDPOINT."
        return [Check(name="hub", state="warning", message=f"{endpoint} cannot be reached: {silent}.", hint=hint, details=details), _token(ask=False)]
    return [Check(name="hub", state="ok", message=f"{endpoint} answers.", details=details), _token(ask=True)]


def _silence() -> str:
    """Why the Hub does not answer; empty where it does."""
    from huggingface_hub import constants

    http: Any = importlib.import_module("huggingface_hub.utils")  # its httpx is another package from one version to the next
    try:
        status = http.get_session().head(constants.ENDPOINT, timeout=HUB_WAIT_S).status_code
    except (http.httpx.HTTPError, http.httpx.InvalidURL, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return f"it answers {status}" if status >= 500 and status != 501 else ""  # 501: it is there and knows no HEAD


def _token(*, ask: bool) -> Check:
    """Whether there is a token, where from and what it may do; its text is told nowhere."""
    source = _token_source()
    details = {"source": source, "role": None}
    if source is None:
        message, hint = "none; public models need none.", "Publishing needs one: hf auth login"
        return Check(name="hub_token", state="ok", message=message, hint=hint, details=details)
    answer = _within(HUB_WAIT_S + 1, _role, Role()) if ask else Role()
    role = details["role"] = answer.name
    if answer.refused == 401:
        hint = "Until it is replaced the Hub refuses even public models: hf auth login --force, or correct HF_TOKEN."
        return Check(name="hub_token", state="error", message=f"the Hub does not accept the one from {source}.", hint=hint, details=details)
    if role is None:
        return Check(name="hub_token", state="unknown", message=f"there is one, from {source}; what it may do could not be asked.", details=details)
    hint = "It can download, and cannot publish: that needs a token that may write." if role == "read" else ""
    return Check(name="hub_token", state="ok", message=f"{role}, from {source}.", hint=hint, details=details)


def _token_source() -> str | None:
    from huggingface_hub import constants

    for name in ("HF_OIDC_RESOURCE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):  # in the order in which huggingface_hub looks
        if os.environ.get(name, "").strip():
            return name
    with contextlib.suppress(OSError, ValueError):
        if Path(constants.HF_TOKEN_PATH).read_text().strip():
            return constants.HF_TOKEN_PATH
    return None


def _role() -> Role:
    from huggingface_hub import HfApi, errors

    http: Any = importlib.import_module("huggingface_hub.utils")
    try:
        answer: Any = HfApi().whoami()
        access = answer.get("auth") or {}
        return Role(name=(access.get("accessToken") or {}).get("role") or access.get("type"))
    except errors.HfHubHTTPError as error:
        return Role(refused=error.response.status_code)
    except (http.httpx.HTTPError, errors.OIDCError, OSError, ValueError, AttributeError):  # their texts may hold the token
        return Role()


def _within(seconds: float, work: Callable[[], T], otherwise: T) -> T:
    """What `work` gives, or `otherwise`: looking up a name and asking whoami have no timeout of their own, so their thread is left behind."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else otherwise
