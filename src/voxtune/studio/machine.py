"""What this machine has for training, asked of `voxtune doctor` in a process of its own: the studio itself never loads torch."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.model.names import DEFAULT_ON_GPU, TINY
from voxtune.studio.children import command

log = logging.getLogger("voxtune.studio")

_WAIT_S = 120.0
"""A cold disk takes its time for torch; without a network the doctor waits for the Hub."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that torch can use."""

    name: str
    total_bytes: int
    free_bytes: int
    bf16: bool


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the doctor found."""

    torch: bool = False
    gpu: Gpu | None = None
    """The one that a run takes: the first."""
    gpu_advice: str = ""
    """Why there is none that could be used, where the doctor knows."""
    packages: str = ""
    """What is wrong with the packages for training; empty where they fit."""
    packages_hint: str = ""
    has_token: bool = False
    hub: str = "unknown"
    """ok, offline (switched off by HF_HUB_OFFLINE), silent (no answer) or unknown."""
    problem: str = ""
    """Why nothing could be found out."""

    @property
    def suggested_model(self) -> str:
        """Where to begin: the real model where there is a GPU, else the one that trains anywhere."""
        return DEFAULT_ON_GPU if self.gpu else TINY


_lock = threading.Lock()
_found: Machine | None = None
_thread: threading.Thread | None = None


def look(workspace: Path, *, again: bool = False) -> Machine | None:
    """What is known of this machine now, without waiting; None while the first look is under way. `again` begins a new look."""
    global _thread
    with _lock:
        if (_found is None or again) and not (_thread is not None and _thread.is_alive()):
            _thread = threading.Thread(target=_ask, args=(workspace,), name="machine", daemon=True)
            _thread.start()
        return _found


def is_looking() -> bool:
    """Whether a look is under way."""
    return _thread is not None and _thread.is_alive()


def _ask(workspace: Path) -> None:
    global _found
    wanted = [*command("voxtune"), "doctor", "--json"]
    try:
        done = subprocess.run(wanted, cwd=workspace, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_WAIT_S, check=False)  # noqa: S603
        found = of_report(json.loads(done.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        log.warning("the doctor gave no answer: %s", error)
        found = Machine(problem="no answer")
    _found = found


def of_report(report: Mapping[str, Any]) -> Machine:
    """What `voxtune doctor --json` printed, as far as training needs it."""
    checks = {check["name"]: check for check in report["checks"]}
    torch, packages, hub = (checks.get(name, {}) for name in ("torch", "packages", "hub"))
    devices = torch.get("details", {}).get("devices") or []
    wrong = packages.get("state") == "error"
    return Machine(
        torch="version" in torch.get("details", {}),
        gpu=Gpu(**{name: devices[0][name] for name in ("name", "total_bytes", "free_bytes", "bf16")}) if devices else None,
        gpu_advice=torch.get("hint", "") if torch.get("details", {}).get("nvidia_driver") and not devices else "",
        packages=packages.get("message", "") if wrong else "",
        packages_hint=packages.get("hint", "") if wrong else "",
        has_token=bool(checks.get("hub_token", {}).get("details", {}).get("source")),
        hub="offline" if hub.get("details", {}).get("offline") else {"ok": "ok", "warning": "silent"}.get(hub.get("state", ""), "unknown"),
    )
