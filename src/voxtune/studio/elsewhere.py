"""The run that the page is about to start, as a command and as a settings file: the same on any machine with voxtune."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from voxtune import files
from voxtune import settings as settings_files
from voxtune.settings import TrainSettings

_ALWAYS = ("data", "model", "output")


def flags(settings: TrainSettings) -> list[list[str]]:
    """What to give `voxtune train` for these settings, one list a setting; those that are as by default are left out."""
    found = []
    for name, field in TrainSettings.model_fields.items():
        value = getattr(settings, name)
        if value is None or (value == field.default and name not in _ALWAYS):
            continue
        flag = name.replace("_", "-")
        found.append([f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", _plain(value)])
    return found


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def command(settings: TrainSettings) -> str:
    """What to type for this run, a setting a line."""
    return " \\\n  ".join(["voxtune train", *(shlex.join(each) for each in flags(settings))])


def yaml(settings: TrainSettings) -> str:
    """The settings file of this run, as a run folder has it."""
    with tempfile.TemporaryDirectory() as folder:
        settings_files.save(settings, Path(folder) / "settings.yaml")
        return files.read_text(Path(folder) / "settings.yaml")
