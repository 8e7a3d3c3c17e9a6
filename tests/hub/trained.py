"""Runs on a base that is at a Hub, trained once for all tests; since then the base has moved on, to something that is of no use.

The server keeps what it holds for the whole session and is never reset: each test publishes under a name of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command
from tests.support.hub import HubServer
from voxtune.model.names import tiny_folder

BASE = "alice/voxtral-practice"

_UPLOAD = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo(sys.argv[1], exist_ok=True)
print(api.upload_folder(repo_id=sys.argv[1], folder_path=sys.argv[2], commit_message=sys.argv[3]).oid)
"""


@dataclass(frozen=True)
class Practice:
    """A run with an adapter and one of all weights, both on BASE as it was; the first one was evaluated."""

    hub: HubServer
    voxtune: Command
    """Signed in as alice."""
    data: Path
    run: Path
    full: Path
    base_revision: str
    report: dict[str, Any]

    def python(self, code: str, *words: object, folder: Path | None = None) -> str:
        """What a program of somebody else's prints, with that person's own empty cache."""
        place = folder or self.voxtune.folder
        environment = {**os.environ, **self.hub.environment(place, token="hf_write")}
        done = subprocess.run([sys.executable, "-c", code, *map(str, words)], cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def copy(self, name: str) -> Path:
        """The run with the adapter in another folder, with nothing published of it."""
        place = self.run.with_name(name)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.run, place, ignore=shutil.ignore_patterns("published.json", "README.md", ".*"))
        return place


def upload(hub: HubServer, folder: Path, repo: str, message: str, place: Path) -> str:
    """Put a folder into a repository of alice's with the client alone; gives the commit."""
    environment = {**os.environ, **hub.environment(place)}
    done = subprocess.run([sys.executable, "-c", _UPLOAD, repo, folder, message], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture(scope="session")
def practice(tmp_path_factory: pytest.TempPathFactory, demo_rows: list[tuple[Path, str]]) -> Iterator[Practice]:
    """Six steps on 40 clips of the demo voice: little, and enough to be heard."""
    folder = tmp_path_factory.mktemp("practice")
    with HubServer(folder / "server", run_spaces=True) as hub:
        voxtune = Command(folder, {"TRACKIO_DIR": str(folder / "trackio"), "VOXTUNE_STATE": str(folder / "state"), **hub.environment(folder)})
        base = Path(shutil.copytree(tiny_folder(), folder / "base"))
        (base / "params.json").write_text('{"dim": 128}\n')
        revision = upload(hub, base, BASE, "As it was trained on", folder)
        rows = demo_rows[:40]
        transcripts = folder / "t.jsonl"
        transcripts.write_text("".join(json.dumps({"audio_path": str(path), "text": text}) + "\n" for path, text in rows))
        _done(voxtune("dataset", "import", *(path for path, _ in rows), "--transcripts", transcripts, "--language", "en", "--output", "data"))
        common = ("--data", "data", "--model", BASE, "--batch-size", 4, "--no-trackio", "--json")
        _done(voxtune("train", *common, "--epochs", 1.5, "--train-tower-layers", 1, "--output", "run"))
        _done(voxtune("train", *common, "--epochs", 0.4, "--method", "full", "--freeze-audio-tower", "--output", "full"))
        _spoil(base / "model.safetensors")
        assert upload(hub, base, BASE, "Since then it has moved on", folder) != revision
        report = _done(voxtune("evaluate", "run", "--json"))
        yield Practice(hub, voxtune, folder / "data", folder / "run", folder / "full", revision, report)


def _done(done: Any) -> Any:
    assert done.code == 0, done.err
    return done.json if done.out.startswith("{") else None


def _spoil(weights: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file({name: weight * 0 for name, weight in load_file(weights).items()}, weights, metadata={"format": "pt"})
