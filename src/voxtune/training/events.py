"""What is seen of a run from outside: events.jsonl, Trackio, and a progress line."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from typing import Any, Protocol

from voxtune import files
from voxtune.settings import TrainSettings
from voxtune.workspace import RunFolder

log = logging.getLogger("voxtune")

TRACKIO_PROJECT = "voxtune"
_TRACKIO_ERRORS = (OSError, RuntimeError, ValueError, TypeError, sqlite3.Error)


class Watcher(Protocol):
    """Someone who looks on while a run goes: a terminal's progress bar, later a page."""

    def stage(self, name: str) -> None:
        """A new stage began."""

    def model(self, name: str, trainable: dict[str, int]) -> None:
        """Which model it is, and how many numbers train in each part of it."""

    def step(self, step: int, total_steps: int) -> None:
        """An optimizer step is done."""

    def metrics(self, values: dict[str, float]) -> None:
        """There are new figures."""


class Quiet:
    """A watcher that looks away."""

    def stage(self, name: str) -> None:
        """Nothing."""

    def model(self, name: str, trainable: dict[str, int]) -> None:
        """Nothing."""

    def step(self, step: int, total_steps: int) -> None:
        """Nothing."""

    def metrics(self, values: dict[str, float]) -> None:
        """Nothing."""


class Events:
    """Writes the events of one run to all who keep them."""

    def __init__(self, run: RunFolder, settings: TrainSettings, watcher: Watcher) -> None:
        self._run = run
        self.watcher = watcher
        self._trackio = _open_trackio(run, settings) if settings.trackio else None

    def stage(self, name: str, **more: Any) -> None:
        """A stage began."""
        self._append({"event": "stage", "stage": name, **more})
        self.watcher.stage(name)

    def metrics(self, values: dict[str, float]) -> None:
        """Figures of one step; those of training carry `step` and `loss`, those of validation `eval_loss` and `eval_wer`."""
        self._append({"event": "metrics", **values})
        self.watcher.metrics(values)
        if self._trackio is not None:
            try:
                self._trackio.log({name: value for name, value in values.items() if name != "step"}, step=int(values["step"]))
            except _TRACKIO_ERRORS as error:
                self._drop_trackio(error)

    def error(self, message: str, hint: str) -> None:
        """The run failed."""
        self._append({"event": "error", "message": message, "hint": hint})

    def close(self) -> None:
        """Let Trackio write what it still holds."""
        if self._trackio is not None:
            try:
                with _told_to_log():
                    import trackio

                    # The module's own finish: the run's would leave it current, and Trackio would finish it again at exit, on standard output.
                    trackio.finish()
            except _TRACKIO_ERRORS as error:
                self._drop_trackio(error)

    def _append(self, values: dict[str, Any]) -> None:
        files.append_line(self._run.events, {"time": round(time.time(), 3), **values})

    def _drop_trackio(self, error: Exception) -> None:
        log.warning("Trackio failed and is left out from here on: %s", error)
        self._trackio = None


@contextlib.contextmanager
def _on_this_machine() -> Iterator[None]:
    """Hide the variables by which Trackio would send metrics elsewhere: nothing leaves the machine unless asked for by name."""
    names = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def _told_to_log() -> Iterator[None]:
    """What Trackio prints goes to the log."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            log.info("%s", line)


def _trackio_name(run: RunFolder) -> str:
    """The folder's name and a mark: runs of one name in different folders stay apart, and a resumed run goes on under its own."""
    mark = f"{run.path.resolve()} {run.clips.stat().st_mtime_ns}"
    return f"{run.path.name}-{hashlib.sha256(mark.encode()).hexdigest()[:6]}"


def _open_trackio(run: RunFolder, settings: TrainSettings) -> Any:
    config = settings.model_dump(mode="json")
    try:
        with _on_this_machine(), _told_to_log():
            import trackio

            return trackio.init(project=TRACKIO_PROJECT, name=_trackio_name(run), config=config, resume="allow", embed=False, auto_log_cpu=False)
    except (ImportError, *_TRACKIO_ERRORS) as error:
        log.warning("Trackio could not be started; the run goes on without it: %s", error)
        return None
