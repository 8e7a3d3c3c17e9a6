"""Spaces at the Hugging Face Hub: their secrets, what they are doing, what they said, where they answer."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from voxtune.errors import HubError
from voxtune.publishing.calls import api, call


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What a Space is doing."""

    stage: str
    """RUNNING, BUILDING, APP_STARTING, SLEEPING, PAUSED, BUILD_ERROR, RUNTIME_ERROR, CONFIG_ERROR and others, by the Hub's names."""
    hardware: str | None
    requested_hardware: str | None
    revision: str | None
    """The commit that runs, where the Hub tells."""
    message: str
    """Why it failed, in the Hub's words."""


def secrets(repo: str) -> set[str]:
    """The names of a Space's secrets. Raises HubError."""
    hub = api()
    return set(call(f"list the secrets of {repo}", lambda: hub.get_space_secrets(repo)))


def set_secret(repo: str, name: str, value: str) -> None:
    """Keep a secret with a Space, which is restarted by it. Raises HubError."""
    hub = api()
    call(f"keep {name} as a secret of {repo}", lambda: hub.add_space_secret(repo, name, value))


def runtime(repo: str) -> Runtime:
    """What a Space is doing now. Raises HubError."""
    hub = api()
    found = call(f"say how {repo} is", lambda: hub.get_space_runtime(repo))
    raw: dict[str, Any] = found.raw or {}
    return Runtime(
        stage=str(found.stage),
        hardware=found.hardware and str(found.hardware),
        requested_hardware=found.requested_hardware and str(found.requested_hardware),
        revision=raw.get("sha"),
        message=str(raw.get("errorMessage") or ""),
    )


def request_hardware(repo: str, hardware: str) -> None:
    """Ask for other hardware; paid hardware costs from then on. Raises HubError."""
    hub = api()
    call(f"give {repo} the hardware {hardware}", lambda: hub.request_space_hardware(repo, hardware))


def restart(repo: str) -> None:
    """Start a Space that sleeps, is paused or failed. Raises HubError."""
    hub = api()
    call(f"restart {repo}", lambda: hub.restart_space(repo))


def logs(repo: str, *, build: bool, lines: int = 40) -> str:
    """The end of what a Space's build, or its app, printed; empty where the Hub does not tell."""
    hub = api()
    with contextlib.suppress(HubError):
        said = call(f"give the log of {repo}", lambda: list(hub.fetch_space_logs(repo, build=build)), tries=1)
        return "".join(each if each.endswith("\n") else f"{each}\n" for each in said[-lines:])
    return ""


def address(repo: str) -> str:
    """Where a Space answers, such as https://owner-name.hf.space. Raises HubError."""
    hub = api()
    host = call(f"say where {repo} answers", lambda: hub.space_info(repo)).host
    if not host:
        raise HubError(f"{repo} has no address yet.", hint="Wait until it is built.", code="not_found")
    return str(host)
