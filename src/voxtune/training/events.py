"""What is seen of a run from outside while it goes: events.jsonl and Trackio."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune.settings import TrainSettings
from voxtune.training.failures import Failure
from voxtune.training.tracking import Tracking
from voxtune.workspace import RunFolder


class Events:
    """Writes the events of one run to all who keep them."""

    def __init__(self, run: RunFolder, settings: TrainSettings) -> None:
        self._file = run.events
        self._tracking = Tracking(run, settings) if settings.trackio else None
        # Steps that a resumed run does again come out the same, and are in Trackio already.
        self._tracked = {_kind(event) for event in read(run.events)[0] if event.get("event") == "metrics"}

    def stage(self, name: str, **more: Any) -> None:
        """A stage began."""
        self.say("stage", stage=name, **more)

    def say(self, event: str, **more: Any) -> None:
        """Anything else that is worth keeping."""
        files.append_line(self._file, {"time": round(time.time(), 3), "event": event, **more})

    def metrics(self, values: dict[str, float]) -> None:
        """Figures of one step; those of training carry `step` and `loss`, those of validation `eval_loss` and `eval_wer`."""
        self.say("metrics", **values)
        if self._tracking is not None and (kind := _kind(values)) not in self._tracked:
            self._tracked.add(kind)
            self._tracking.log(values)

    def failure(self, failure: Failure) -> None:
        """The run failed."""
        self.say("error", code=failure.code, message=failure.message, hint=failure.hint)

    def close(self) -> None:
        """Let those who keep events write what they still hold."""
        if self._tracking is not None:
            self._tracking.close()


def _kind(metrics: Mapping[str, Any]) -> tuple[int, bool]:
    """Of which step figures are, and whether of a validation."""
    return int(metrics.get("step", 0)), "eval_wer" in metrics


def read(file: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The whole events from byte `offset` on, and the offset from which to read the next ones; half a line is left for later."""
    if not file.is_file():
        return [], offset
    with file.open("rb") as stream:
        stream.seek(offset)
        data = stream.read()
    whole = data[: data.rfind(b"\n") + 1]
    return list(_parsed(whole)), offset + len(whole)


def _parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # what a killed writer left
        if isinstance(event, dict):
            yield event


def surviving_metrics(file: Path) -> list[dict[str, Any]]:
    """The figures of the steps that made the model, in their order: those of steps done again after a resume stand once, as they came out last."""
    kept: dict[tuple[int, bool], dict[str, Any]] = {}
    for event in read(file)[0]:
        if event.get("event") == "stage" and event.get("stage") == "training":
            since = int(event.get("step", 0))
            kept = {key: value for key, value in kept.items() if key[0] <= since}
        if event.get("event") == "metrics" and isinstance(event.get("step"), int):
            kept[_kind(event)] = event
    return [kept[key] for key in sorted(kept)]
