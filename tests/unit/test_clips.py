from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from voxtune.dataset import clips
from voxtune.errors import CallError, DatasetError
from voxtune.phrases.cleaning import sentence_key


@pytest.mark.parametrize("audio_key", ["audio_path", "audio", "audio_filepath", "file_name"])
@pytest.mark.parametrize("text_key", ["text", "transcription", "sentence", "transcript"])
def test_all_names_of_the_columns_are_read(tmp_path: Path, audio_key: str, text_key: str) -> None:
    file = tmp_path / "d.jsonl"
    row = {audio_key: "a/b.wav", text_key: " hello ", "language": "FR", "start_s": 1, "end_s": 2.5, "speaker": 7, "split": "test"}
    file.write_text(json.dumps(row) + "\n")
    (clip,) = clips.read(file)
    assert clip.path == tmp_path / "a/b.wav"
    assert (clip.text, clip.language, clip.start_s, clip.end_s, clip.speaker, clip.split, clip.line) == ("hello", "fr", 1.0, 2.5, "7", "test", 1)


def test_text_is_stored_in_nfc(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps({"audio": "x.wav", "text": unicodedata.normalize("NFD", "Ærøskøbing café")}) + "\n")
    assert clips.read(file)[0].text == unicodedata.normalize("NFC", "Ærøskøbing café")


def test_a_byte_order_mark_and_a_missing_last_newline_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"audio": "x.wav", "text": "a"}\n{"audio": "y.wav", "text": "b"}')
    assert [clip.text for clip in clips.read(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "blank"),
        ("{oops", "not JSON"),
        ("[1]", "object"),
        ('{"text": "a"}', "no column for the audio"),
        ('{"wav": "x", "text": "a"}', "there is wav, text"),
        ('{"audio": "x.wav"}', "no column for the transcript"),
        ('{"audio": 3, "text": "a"}', "must be text"),
        ('{"audio": "", "text": "a"}', "empty"),
        ('{"audio": "x.wav", "text": "a", "split": "dev"}', "split"),
        ('{"audio": "x.wav", "text": "a", "language": "english"}', "two-letter"),
        ('{"audio": "x.wav", "text": "a", "start_s": "soon"}', "number of seconds"),
        ('{"audio": "x.wav", "text": "a", "start_s": 3, "end_s": 2}', "enclose"),
    ],
)
def test_a_line_that_is_no_clip_is_named(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"audio": "x.wav", "text": "a"}\n' + line + '\n{"audio": "y.wav", "text": "b"}\n')
    with pytest.raises(DatasetError, match=reason) as caught:
        clips.read(file)
    assert caught.value.line == 2
    assert f"{file}, line 2" in str(caught.value)
    good, bad = clips.read_lines(file)
    assert [clip.line for clip in good] == [1, 3]
    assert [each.line for each in bad] == [2]


def test_a_file_that_is_not_text_or_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00\x01")
    for name, reason in (("x.jsonl", "UTF-8"), ("y.jsonl", "does not exist"), (".", "folder")):
        with pytest.raises(CallError, match=reason):
            clips.read(tmp_path / name)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Yes!", "yes", True),
        ("Turn on the light.", "turn on  the light", True),
        ("Café", unicodedata.normalize("NFD", "café"), True),
        ("forty", "fourteen", False),
        ("…", "?!", False),
        ("नमस्ते", "नमस्त", False),
    ],
)
def test_the_same_sentence_is_known_by_its_letters(one: str, other: str, same: bool) -> None:
    assert (sentence_key(one) == sentence_key(other)) is same
