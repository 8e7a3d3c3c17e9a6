from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.support.takes import record
from voxtune.dataset import archive, recorded
from voxtune.dataset.store import load
from voxtune.errors import CallError, DatasetError
from voxtune.recordings.takes import Take, Takes
from voxtune.workspace import RecordingsFolder

SOURCES = {"file": {"revision": "", "licence": "CC-BY-4.0", "attribution": "Sentences of somebody"}}


@pytest.fixture
def folder(tmp_path: Path) -> RecordingsFolder:
    return RecordingsFolder(tmp_path / "datasets" / "mine")


@pytest.fixture
def saved(folder: RecordingsFolder) -> list[Take]:
    """Twelve takes, of which the last was thrown away after the dataset had been made once."""
    saved = record(Takes(folder), 12)
    recorded.make(folder, sources=SOURCES)
    Takes(folder).trash(saved[-1].key)
    recorded.make(folder, sources=SOURCES)
    return saved


def _unpacked(file: Path, to: Path) -> Path:
    with zipfile.ZipFile(file) as packed:
        packed.extractall(to)
    (inside,) = to.iterdir()
    return inside


def test_the_folder_comes_back_as_it_is_with_its_kept_clips_alone(folder: RecordingsFolder, saved: list[Take], tmp_path: Path) -> None:
    file = archive.pack(folder.path, tmp_path / "out", layout="voxtune")
    inside = _unpacked(file, tmp_path / "unpacked")
    names = sorted(path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file())
    assert names == sorted(["README.txt", "data.jsonl", "dataset.json", *(take.file for take in saved[:-1])])
    assert (inside / "data.jsonl").read_bytes() == (folder.path / "data.jsonl").read_bytes()
    for take in saved[:-1]:
        assert (inside / take.file).read_bytes() == (folder.path / take.file).read_bytes()
    here, there = load(folder.path), load(inside)
    assert [(clip.audio_path, clip.text, clip.split) for clip in here.clips] == [(clip.audio_path, clip.text, clip.split) for clip in there.clips]
    everything = "".join(path.read_text() for path in inside.rglob("*.json*"))
    assert saved[-1].key not in everything
    assert "rate_hz" not in everything
    assert (inside / "README.txt").read_text().splitlines()[1] == "The sentences: Sentences of somebody (CC-BY-4.0)."


@pytest.mark.parametrize(("layout", "listing"), [("audiofolder", "train/metadata.jsonl"), ("ljspeech", "metadata.csv"), ("nemo", "train_manifest.json")])
def test_other_forms_hold_every_clip(folder: RecordingsFolder, saved: list[Take], tmp_path: Path, layout: str, listing: str) -> None:
    inside = _unpacked(archive.pack(folder.path, tmp_path / "out", layout=layout), tmp_path / "unpacked")
    assert (inside / listing).is_file()
    assert len(list(inside.rglob("*.wav"))) == len(saved) - 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"recordings-en-{layout}.zip"]


def test_a_failure_leaves_nothing(folder: RecordingsFolder, saved: list[Take], tmp_path: Path) -> None:
    (folder.path / saved[0].file).unlink()
    with pytest.raises(DatasetError, match=saved[0].key):
        archive.pack(folder.path, tmp_path / "out", layout="voxtune")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".partial-*")) == []
    with pytest.raises(CallError):
        archive.pack(folder.path, tmp_path / "out", layout="parquet")


def test_a_clip_outside_the_folder_does_not_go_out(folder: RecordingsFolder, saved: list[Take], tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes((folder.path / saved[0].file).read_bytes())
    for path in ("../../secret.wav", str(tmp_path / "secret.wav")):
        (folder.path / "data.jsonl").write_text(json.dumps({"audio_path": path, "text": "x"}) + "\n")
        with pytest.raises(DatasetError, match="outside"):
            archive.pack(folder.path, tmp_path / "out", layout="voxtune")
