"""What a finding of the doctor is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "warning", "error", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding: what is so, and what to do about it."""

    name: str
    state: State
    message: str
    hint: str = ""
    details: dict[str, Any] = field(default_factory=dict)
