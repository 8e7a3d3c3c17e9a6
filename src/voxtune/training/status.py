"""What a run says of itself: status.json, replaced as a whole at each change. Loads no torch."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from voxtune import files
from voxtune.errors import TrainingError
from voxtune.workspace import SCHEMA, RunFolder

State = Literal["queued", "running", "stopping", "stopped", "failed", "finished"]
Stage = Literal["preparing", "training", "evaluating", "saving", ""]


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a run at one moment."""

    state: State = "queued"
    stage: Stage = ""
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    pid: int = field(default_factory=os.getpid)
    started_at: float = field(default_factory=time.time)
    """Seconds since 1970, as the next one."""
    updated_at: float = field(default_factory=time.time)
    trainable_parameters: dict[str, int] = field(default_factory=dict)
    """Numbers that train in language_model, projector and audio_tower."""
    clips: dict[str, int] = field(default_factory=dict)
    """Clips on each side of the split."""
    best_step: int | None = None
    best_wer: float | None = None
    """Lowest WER on the validation clips."""
    base_wer: float | None = None
    """WER on the validation clips before the first step."""
    message: str = ""
    hint: str = ""
    schema: int = SCHEMA


class StatusFile:
    """The status of one run, kept on disk."""

    def __init__(self, run: RunFolder, status: Status) -> None:
        self.run = run
        self.now = status
        self._write()

    def update(self, **changes: Any) -> None:
        """Change some fields and write the whole."""
        self.now = replace(self.now, updated_at=time.time(), **changes)
        self._write()

    def _write(self) -> None:
        files.write_json(self.run.status, asdict(self.now))


def read(run: RunFolder) -> dict[str, Any]:
    """What status.json holds. Raises TrainingError where there is none to read."""
    try:
        value = json.loads(run.status.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise TrainingError(f"{run.path} has no readable {run.status.name}.", hint="Start the run anew under another --output.") from None
    if not isinstance(value, dict):
        raise TrainingError(f"{run.status} is not a JSON object.", hint="Start the run anew under another --output.")
    return value
