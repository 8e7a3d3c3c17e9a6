from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.clips import speech_like
from voxtune.dataset import clips as clip_files
from voxtune.dataset import exporters, store
from voxtune.errors import DatasetError, InUseError

TEXTS = [f"sentence number {number}" for number in range(20)]


def test_a_dataset_is_written_as_the_design_says(dataset: Callable[..., Path], tmp_path: Path) -> None:
    clips = clip_files.read(dataset(TEXTS))
    about = store.create(clips, tmp_path / "out", language="en")
    rows = [json.loads(line) for line in (tmp_path / "out" / "data.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [{"audio_path", "text"}] * 20
    assert [row["text"] for row in rows] == TEXTS
    for row in rows:
        info = soundfile.info(tmp_path / "out" / row["audio_path"])
        assert (info.samplerate, info.channels, info.subtype, info.format) == (16_000, 1, "PCM_16", "WAV")
    assert json.loads((tmp_path / "out" / "dataset.json").read_text()) == about
    assert (about["languages"], about["num_clips"]) == (["en"], 20)
    assert sum(about["split"]["counts"].values()) == 20


def test_reading_it_back_keeps_the_split_and_the_language(dataset: Callable[..., Path], tmp_path: Path) -> None:
    about = store.create(clip_files.read(dataset(TEXTS)), tmp_path / "out", language="fr", seed=3)
    back = store.load(tmp_path / "out", seed=99)
    assert {clip.audio_path: clip.split for clip in back.clips} == about["split"]["sides"]
    assert {clip.language for clip in back.clips} == {"fr"}


def test_the_content_hash_knows_audio_and_text(dataset: Callable[..., Path], tmp_path: Path) -> None:
    clips = clip_files.read(dataset(TEXTS))
    first = store.create(clips, tmp_path / "a", language=None)["content_hash"]
    assert store.create(clips, tmp_path / "b", language=None)["content_hash"] == first
    changed = [replace(clips[0], text="another"), *clips[1:]]
    assert store.create(changed, tmp_path / "c", language=None)["content_hash"] != first


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_several_processes_write_the_same_bytes(dataset: Callable[..., Path], tmp_path: Path) -> None:
    clips = clip_files.read(dataset(TEXTS))
    moves: list[None] = []
    about = store.create(clips, tmp_path / "a", language="en", processes=2, progress=lambda: moves.append(None))
    assert about == store.create(clips, tmp_path / "b", language="en", processes=1)
    assert len(moves) == len(clips)
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


def test_several_processes_name_the_same_bad_clips(dataset: Callable[..., Path], tmp_path: Path) -> None:
    file = dataset([*TEXTS, "a bell \\u0007 in it"])
    (file.parent / "wavs" / "4.wav").write_text("no audio")
    (file.parent / "wavs" / "9.wav").unlink()
    told = []
    for processes in (1, 2):
        with pytest.raises(DatasetError) as caught:
            store.create(clip_files.read(file), tmp_path / "out", language=None, processes=processes)
        told.append((caught.value.message, caught.value.hint))
    assert told[0] == told[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_bad_clip_leaves_nothing_behind_and_every_one_is_named(dataset: Callable[..., Path], tmp_path: Path) -> None:
    file = dataset(TEXTS)
    (file.parent / "wavs" / "4.wav").write_text("no audio")
    (file.parent / "wavs" / "9.wav").unlink()
    with pytest.raises(DatasetError) as caught:
        store.create(clip_files.read(file), tmp_path / "out", language=None)
    assert "4.wav" in caught.value.message
    assert "9.wav" in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_taken_folder_is_left_alone(dataset: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(InUseError, match="already there"):
        store.create(clip_files.read(dataset(TEXTS)), tmp_path / "out", language=None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_edited_jsonl_gets_a_split_of_its_own(dataset: Callable[..., Path], tmp_path: Path) -> None:
    store.create(clip_files.read(dataset(TEXTS)), tmp_path / "out", language=None)
    soundfile.write(tmp_path / "out" / "wavs" / "new.wav", speech_like(), 16_000)
    with (tmp_path / "out" / "data.jsonl").open("a") as file:
        file.write('{"audio_path": "wavs/new.wav", "text": "a new one"}\n')
    back = store.load(tmp_path / "out")
    assert len(back.clips) == 21
    assert all(clip.split for clip in back.clips)


def test_one_clip_is_too_few_to_train_on_and_says_so(dataset: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match="at least 3 different sentences; there is 1"):
        store.load(dataset(["only one"]))


@pytest.mark.parametrize("layout", ["audiofolder", "ljspeech", "nemo"])
def test_exports_hold_every_clip_and_text(dataset: Callable[..., Path], tmp_path: Path, layout: str) -> None:
    store.create(clip_files.read(dataset(TEXTS)), tmp_path / "set", language="en")
    found = store.load(tmp_path / "set")
    out = tmp_path / "out"
    exporters.export(found.clips, out, layout=layout)  # type: ignore[arg-type]
    if layout == "audiofolder":
        assert sorted(path.name for path in out.iterdir()) == ["test", "train", "validation"]
    texts: dict[str, Path] = {}
    if layout == "ljspeech":
        for line in (out / "metadata.csv").read_text().splitlines():
            name, text, _ = line.split("|")
            texts[text] = out / "wavs" / f"{name}.wav"
    else:
        for file in [*out.rglob("metadata.jsonl"), *out.glob("*_manifest.json")]:
            for row in map(json.loads, file.read_text().splitlines()):
                texts[row.get("transcription") or row["text"]] = file.parent / (row.get("file_name") or row["audio_filepath"])
                if layout == "nemo":
                    assert row["duration"] == pytest.approx(soundfile.info(texts[row["text"]]).duration, abs=1e-3)
    assert set(texts) == set(TEXTS)
    for clip in found.clips:
        assert np.array_equal(soundfile.read(texts[clip.text], dtype="int16")[0], soundfile.read(clip.path, dtype="int16")[0])
