"""The dataset that grows by recording: what was held out once stays held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.takes import demo_lines, phrase, record, wav_of
from voxtune.dataset import recorded, store
from voxtune.dataset.clips import Clip
from voxtune.errors import DatasetError
from voxtune.phrases.cleaning import sentence_key
from voxtune.recordings.takes import Takes, new_key
from voxtune.workspace import RecordingsFolder


@pytest.fixture
def takes(tmp_path: Path) -> Takes:
    return Takes(RecordingsFolder(tmp_path / "voice"))


def test_it_is_a_dataset_like_any_other(takes: Takes) -> None:
    record(takes, 12)
    about = recorded.make(takes.folder, sources={"file": {"licence": "mine"}, "granary": {"licence": "theirs"}})
    dataset = store.load(takes.folder.path)
    assert [clip.text for clip in dataset.clips] == [text for _, text in demo_lines(12)]
    assert (dataset.language, about["num_clips"], about["sources"]) == ("en", 12, {"file": {"licence": "mine"}})
    assert {side: len(dataset.side(side)) for side in ("train", "validation", "test")} == about["split"]["counts"]  # type: ignore[arg-type]


def test_no_sentence_changes_sides_while_it_grows(takes: Takes) -> None:
    sides: dict[str, str | None] = {}
    lines = demo_lines(40)
    for number, (path, text) in enumerate(lines, start=1):
        takes.save(wav_of(path), phrase(text), key=new_key())
        if number >= 6 and number % 3 == 0:
            recorded.make(takes.folder, sources={})
            for clip in store.load(takes.folder.path).clips:
                assert sides.setdefault(sentence_key(clip.text), clip.split) == clip.split
    assert set(sides.values()) == {"train", "validation", "test"}


def test_trashed_takes_and_former_tries_are_left_out_and_edits_are_in(takes: Takes) -> None:
    made = record(takes, 6)
    again = takes.save(wav_of(demo_lines(1)[0][0]), phrase(made[0].text), key=new_key())
    takes.trash(made[1].key)
    takes.edit(made[2].key, "something else was said")
    recorded.make(takes.folder, sources={})
    clips = {clip.audio_path: clip.text for clip in store.load(takes.folder.path, strict=False).clips}
    assert made[0].file not in clips
    assert again.file in clips
    assert made[1].file not in clips
    assert clips[made[2].file] == "something else was said"
    assert recorded.in_dataset(takes.folder) == clips


def test_nothing_recorded_is_said(takes: Takes) -> None:
    with pytest.raises(DatasetError, match="nothing was recorded"):
        recorded.make(takes.folder, sources={})


def test_two_sentences_are_a_dataset_without_a_split(takes: Takes) -> None:
    record(takes, 2)
    assert recorded.make(takes.folder, sources={})["split"]["counts"] == {"train": 0, "validation": 0, "test": 0}


def test_clips_that_were_imported_stay_as_they_are(takes: Takes) -> None:
    clips = [Clip(audio_path=path.name, path=path, text=text) for path, text in demo_lines(20)[12:]]
    store.create(clips, takes.folder.path, language="en")
    before = {clip.audio_path: (clip.text, clip.split) for clip in store.load(takes.folder.path).clips}
    record(takes, 12)
    about = recorded.make(takes.folder, sources={})
    after = {clip.audio_path: (clip.text, clip.split) for clip in store.load(takes.folder.path).clips}
    assert before.items() <= after.items()
    assert about["num_clips"] == len(after) == 20


def test_a_held_out_recording_stays_held_out_when_it_is_corrected_to_a_sentence_of_training(takes: Takes) -> None:
    made = record(takes, 30)
    recorded.make(takes.folder, sources={})
    sides = {clip.audio_path: clip.split for clip in store.load(takes.folder.path).clips}
    held_out = [take for take in made if sides[take.file] == "test"]
    for take in held_out:
        trained = next(each for each in reversed(made) if sides[each.file] == "train")
        takes.edit(take.key, trained.text)
        recorded.make(takes.folder, sources={})
        assert {clip.audio_path: clip.split for clip in store.load(takes.folder.path).clips}[take.file] == "test"


def test_what_cannot_stand_beside_takes_is_said_with_its_line(takes: Takes) -> None:
    takes.folder.path.mkdir(parents=True)
    record(takes, 3)
    for row, words in (
        ({"audio_path": "gone.wav", "text": "x"}, "not there"),
        ({"audio_path": "a.wav", "text": "x", "start_s": 0.0, "end_s": 1.0}, "part of a file"),
    ):
        (takes.folder.path / "data.jsonl").write_text(json.dumps(row) + "\n")
        with pytest.raises(DatasetError, match=words) as error:
            recorded.make(takes.folder, sources={})
        assert error.value.line == 1
