"""A run small enough to be killed many times, and what it comes to if nobody kills it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.support import dying
from voxtune import files, settings
from voxtune.training import events, opening, process, runs, status
from voxtune.workspace import RunFolder

SETTINGS: dict[str, object] = {
    "model": "tiny",
    "epochs": 4,
    "batch_size": 2,
    "gradient_accumulation_steps": 2,
    "train_tower_layers": 1,
    "eval_steps": 2,
    "save_steps": 2,
    "save_total_limit": 1,
    "logging_steps": 3,
    "lora_dropout": 0.1,
    "trackio": False,
}
"""8 clips to train on: 2 steps an epoch, 8 in all; log lines and checkpoints fall on different steps."""


@dataclass(frozen=True)
class Small:
    """Makes runs of the same settings, and knows how one comes out."""

    folder: Path
    data: Path
    environment: dict[str, str]

    def make(self, name: str, **changes: object) -> RunFolder:
        """A new run, queued."""
        wanted = settings.make({**SETTINGS, "data": str(self.data), "output": self.folder / name, **changes})
        return opening.create(wanted, process.this_process(), request_id="")

    def train(self, run: RunFolder, where: str = "", die_at: int | None = None) -> int:
        """Work on it, or die."""
        return dying.train(run.path, where=where, die_at=die_at, environment=self.environment)

    def again(self, run: RunFolder, where: str = "", die_at: int | None = None) -> int:
        """Queue a run that died once more, as `runs.resume` does, and work on it."""
        dead = runs.look(run)
        assert dead.state in ("failed", "stopped", "finished"), dead
        files.write_json(run.status, asdict(dead) | {"state": "queued", "stage": ""})
        return self.train(run, where, die_at)


def outcome(run: RunFolder) -> dict[str, object]:
    """All that must be the same to the last bit: the adapter, every loss and WER, and what was chosen as best."""
    now = status.read(run)
    assert now.state == "finished", now
    adapter = hashlib.sha256((run.model / "adapter_model.safetensors").read_bytes()).hexdigest()
    names = ("loss", "eval_loss", "eval_wer", "eval_cer", "grad_norm")
    figures = [(row["step"], *(float(row[name]).hex() for name in names if name in row)) for row in events.surviving_metrics(run.events)]
    return {"adapter": adapter, "figures": figures, "best_step": now.best_step, "best_wer": now.best_wer, "base_wer": now.base_wer}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, demo_rows: list[tuple[Path, str]]) -> Small:
    """Ten clips of the demo voice."""
    folder = tmp_path_factory.mktemp("crash")
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps({"audio_path": str(path), "text": text, "language": "en"}) + "\n" for path, text in demo_rows[:10]))
    return Small(folder, data, {"VOXTUNE_STATE": str(folder / "state"), "TRACKIO_DIR": str(folder / "trackio"), "HF_HUB_OFFLINE": "1"})


@pytest.fixture(scope="session")
def undisturbed(small: Small) -> tuple[RunFolder, dict[str, object]]:
    """A run that nobody killed."""
    run = small.make("undisturbed")
    assert small.train(run) == 0, run.log.read_text()
    return run, outcome(run)


@pytest.fixture
def copied(tmp_path: Path, undisturbed: tuple[RunFolder, dict[str, object]]) -> Callable[[], RunFolder]:
    """Copies of that run."""

    def copy() -> RunFolder:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        return RunFolder(Path(shutil.copytree(undisturbed[0].path, tmp_path / "copy")))

    return copy
