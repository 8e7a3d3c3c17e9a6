"""Trackio: the figures of a run in a local database that `trackio show` draws. Whatever fails here stops no run."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import sqlite3
from collections.abc import Iterator
from typing import Any

from voxtune.settings import TrainSettings
from voxtune.workspace import RunFolder

log = logging.getLogger("voxtune")

PROJECT = "voxtune"
# Whatever is wrong with Trackio, its files or its installation.
_ERRORS = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ImportError, AssertionError, sqlite3.Error)


class Tracking:
    """One run in Trackio, under one name however often it is resumed."""

    def __init__(self, run: RunFolder, settings: TrainSettings) -> None:
        self._run = _open(run, settings)

    def log(self, values: dict[str, float]) -> None:
        """Figures of one step, which is under `step`."""
        if self._run is not None:
            try:
                self._run.log({name: value for name, value in values.items() if name != "step"}, step=int(values["step"]))
            except _ERRORS as error:
                self._drop(error)

    def close(self) -> None:
        """Let Trackio write what it still holds."""
        if self._run is not None:
            try:
                with _told_to_log():
                    import trackio

                    # The module's own finish: the run's would leave it current, and Trackio would finish it again at exit, on standard output.
                    trackio.finish()
            except _ERRORS as error:
                self._drop(error)

    def _drop(self, error: Exception) -> None:
        log.warning("Trackio failed and is left out from here on: %s", error)
        self._run = None


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


def _name(run: RunFolder) -> str:
    """The folder's name and a mark: runs of one name in different folders stay apart, and a resumed run goes on under its own."""
    mark = f"{run.path.resolve()} {run.clips.stat().st_mtime_ns}"
    return f"{run.path.name}-{hashlib.sha256(mark.encode()).hexdigest()[:6]}"


def _open(run: RunFolder, settings: TrainSettings) -> Any:
    config = settings.model_dump(mode="json")
    try:
        with _on_this_machine(), _told_to_log():
            import trackio

            return trackio.init(project=PROJECT, name=_name(run), config=config, resume="allow", embed=False, auto_log_cpu=False)
    except _ERRORS as error:
        log.warning("Trackio could not be started; the run goes on without it: %s", error)
        return None
