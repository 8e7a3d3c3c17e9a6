"""One small run that several tests look at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command


@dataclass(frozen=True)
class Trained:
    """A finished run, the dataset it is of, and what `train --json` printed."""

    voxtune: Command
    data: Path
    run: Path
    status: dict[str, Any]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, demo_rows: list[tuple[Path, str]]) -> Trained:
    """LoRA on 24 clips of the demo voice for three epochs."""
    folder = tmp_path_factory.mktemp("trained")
    voxtune = Command(folder=folder, environment={"TRACKIO_DIR": str(folder / "trackio"), "VOXTUNE_STATE": str(folder / "state")})
    transcripts = folder / "t.jsonl"
    transcripts.write_text("".join(json.dumps({"audio_path": str(path), "text": text}) + "\n" for path, text in demo_rows[:24]))
    done = voxtune("dataset", "import", *(path for path, _ in demo_rows[:24]), "--transcripts", transcripts, "--language", "en", "--output", "data")
    assert done.code == 0, done.err
    done = voxtune("train", "--data", "data", "--model", "tiny", "--epochs", 3, "--batch-size", 4, "--logging-steps", 1, "--output", "run", "--json")
    assert done.code == 0, done.err
    return Trained(voxtune, folder / "data", folder / "run", done.json)
