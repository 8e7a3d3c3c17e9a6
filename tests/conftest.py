"""Fixtures shared by all tests: clips made of sine sweeps, datasets of them, and the command line."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import speech_like, write_dataset
from tests.support.command import Command

# Before any library of the Hub is loaded: no test may reach out, and Trackio's database is the test's own.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# As the command line has it, for what is trained in the tests' own process; before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is kept of clips is kept for the tests alone, and shared by them."""
    os.environ["VOXTUNE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections leave this machine only over loopback."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def voxtune(tmp_path: Path) -> Command:
    """The command line, run as a person runs it: as a process of its own, in an empty folder."""
    return Command(folder=tmp_path, environment={"TRACKIO_DIR": str(tmp_path / "trackio"), "VOXTUNE_STATE": str(tmp_path / "state")})


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Path]:
    """Makes a dataset folder with JSONL rows of some sentences and clips to go with them."""

    def make(texts: list[str], name: str = "data", **options: object) -> Path:
        return write_dataset(tmp_path / name, texts, **options)

    return make


@pytest.fixture
def wave() -> Callable[..., np.ndarray]:
    """Speech-like sound of some seconds."""
    return speech_like


@pytest.fixture(scope="session")
def demo_rows() -> list[tuple[Path, str]]:
    """Every clip of the demo voice with what is said in it."""
    folder = ROOT / "examples" / "demo_voice"
    lines = (folder / "metadata.csv").read_text().splitlines()
    return [(folder / "wavs" / f"{line.split('|')[0]}.flac", line.split("|")[1]) for line in lines]


@pytest.fixture
def demo_part(tmp_path: Path, demo_rows: list[tuple[Path, str]]) -> Callable[[int], Path]:
    """A JSONL of the first clips of the demo voice."""

    def make(count: int) -> Path:
        file = tmp_path / f"demo-{count}.jsonl"
        rows = [{"audio_path": str(path), "text": text, "language": "en"} for path, text in demo_rows[:count]]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    return make
