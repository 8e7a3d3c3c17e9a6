"""A run that a command is given by its folder."""

from __future__ import annotations

from pathlib import Path

from voxtune.errors import CallError
from voxtune.workspace import RunFolder


def run_at(folder: Path) -> RunFolder:
    """The run in `folder`. Raises CallError where there is none."""
    run = RunFolder(folder)
    if not run.settings.is_file():
        hint = "Give the folder that `voxtune train --output` named."
        raise CallError(f"{folder} is not a training run: there is no {run.settings.name} in it.", hint=hint)
    return run
