"""What a run says of itself: status.json, replaced as a whole at each change. Loads no torch."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from voxtune import files
from voxtune.errors import CallError, TrainingError
from voxtune.training.process import Process
from voxtune.workspace import SCHEMA, RunFolder

State = Literal["queued", "running", "stopping", "stopped", "failed", "finished"]
Stage = Literal["preparing", "training", "evaluating", "saving", ""]

NEXT: dict[State, frozenset[State]] = {
    "queued": frozenset({"running", "stopped", "failed"}),
    "running": frozenset({"stopping", "stopped", "failed", "finished"}),
    "stopping": frozenset({"stopped", "failed", "finished"}),
    "stopped": frozenset({"queued"}),
    "failed": frozenset({"queued"}),
    "finished": frozenset({"queued"}),
}
"""Which state may follow which; a run that has ended is queued again when it is resumed."""

ACTIVE: frozenset[State] = frozenset({"queued", "running", "stopping"})
"""States in which a process works on the run."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a run at one moment."""

    state: State = "queued"
    stage: Stage = ""
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    pid: int = 0
    pid_started_at: float = 0.0
    """When the process began, in seconds since 1970: with pid and host it tells the process from a later one of the same pid."""
    host: str = ""
    starting: bool = False
    """Whether that process is the one that starts the run, and not yet the one that works on it."""
    request_id: str = ""
    """Of the request that started the run: the same request again starts nothing new."""
    device: str = ""
    """What the run holds while it works, and others wait for."""
    waits_for: str = ""
    """While queued: the run that is before it."""
    started_at: float = field(default_factory=time.time)
    """Seconds since 1970, as the next one."""
    updated_at: float = field(default_factory=time.time)
    seconds_left: float | None = None
    """Estimate until the end, from the steps and validations timed so far."""
    trainable_parameters: dict[str, int] = field(default_factory=dict)
    """Numbers that train in language_model, projector and audio_tower."""
    clips: dict[str, int] = field(default_factory=dict)
    """Clips on each side of the split."""
    memory: dict[str, int] = field(default_factory=dict)
    """Bytes: what was estimated before the start, what there was, and the most that was measured."""
    best_step: int | None = None
    best_wer: float | None = None
    """Lowest WER on the validation clips."""
    base_wer: float | None = None
    """WER on the validation clips before the first step."""
    code: str = ""
    """Which of `failures.CODES` it failed with."""
    message: str = ""
    hint: str = ""
    suggestion: dict[str, Any] = field(default_factory=dict)
    """Settings with which a new run should go where this one failed."""
    last_lines: list[str] = field(default_factory=list)
    """The end of the log of a run that failed."""
    schema: int = SCHEMA

    def process(self, run: RunFolder) -> Process:
        """Who works on the run, or last did."""
        return Process(pid=self.pid, started_at=self.pid_started_at, host=self.host, run=str(run.path.resolve()))


class StatusFile:
    """The status of one run, kept on disk by the one process that works on it."""

    def __init__(self, run: RunFolder, status: Status) -> None:
        self.run = run
        self.now = status

    def update(self, **changes: Any) -> None:
        """Change some fields and write the whole."""
        state = changes.get("state", self.now.state)
        assert state == self.now.state or state in NEXT[self.now.state], f"{self.now.state} cannot become {state}"
        changed = replace(self.now, updated_at=time.time(), **changes)
        files.write_json(self.run.status, asdict(changed))
        self.now = changed

    def taken_by(self, process: Process, **changes: Any) -> None:
        """Say which process works on the run from now on."""
        self.update(**{"starting": False, **changes}, pid=process.pid, pid_started_at=process.started_at, host=process.host)


def read(run: RunFolder) -> Status:
    """What status.json holds. Raises CallError where there is no run, TrainingError where the file cannot be read."""
    try:
        value = json.loads(run.status.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "Give the folder that `voxtune train --output` named, or a name that `voxtune runs list` shows."
        raise CallError(f"{run.path} is not a training run: there is no {run.status.name} in it.", hint=hint) from None
    except (OSError, ValueError):
        raise TrainingError(f"{run.status} cannot be read as JSON.", hint="Start the run anew under another --output.") from None
    known = {each.name for each in fields(Status)}
    if not isinstance(value, dict) or not isinstance(value.get("schema"), int) or value["schema"] > SCHEMA or value.get("state") not in NEXT:
        raise TrainingError(f"{run.status} is not a status that this voxtune writes.", hint="Update voxtune, or start the run anew under another --output.")
    wrong = [each.name for each in fields(Status) if each.name in ("pid", "step", "total_steps") and not isinstance(value.get(each.name, 0), int)]
    if wrong or not all(isinstance(value.get(name, 0.0), int | float) for name in ("pid_started_at", "updated_at")):
        raise TrainingError(f"{run.status} holds what is no number.", hint="Start the run anew under another --output.")
    return Status(**{name: value[name] for name in value if name in known})
