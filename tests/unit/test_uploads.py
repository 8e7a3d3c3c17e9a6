from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.clips import speech_like
from voxtune.dataset import uploads
from voxtune.errors import CallError
from voxtune.phrases.phrase import Phrase
from voxtune.recordings.takes import Takes
from voxtune.workspace import RecordingsFolder

Sent = list[tuple[Path, str]]


@pytest.fixture
def takes(tmp_path: Path) -> Takes:
    return Takes(RecordingsFolder(tmp_path / "datasets" / "mine"))


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., Sent]:
    """Sends clips under their names, as a page does: each lies somewhere else."""

    def make(*names: str, same: bool = False) -> Sent:
        sent = []
        for number, name in enumerate(names):
            path = tmp_path / "sent" / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = speech_like(1.0, seed=0 if same else number, rate_hz=22_050)
            soundfile.write(path, sound, 22_050, format="FLAC" if path.suffix == ".flac" else "WAV")
            sent.append((path, name))
        return sent

    return make


def _texts(found: uploads.Preview) -> dict[str, str]:
    return {pair.name: pair.text for pair in found.pairs}


def _findings(found: uploads.Preview) -> dict[str, list[tuple[str, str]]]:
    return {pair.name: [(each.severity, each.message) for each in pair.problems] for pair in found.pairs if pair.problems}


NAMES = [f"clip{number}.wav" for number in (10, 2, 1)]
EXPECTED = {"clip1.wav": "one, two", "clip2.wav": "three", "clip10.wav": "four"}


@pytest.mark.parametrize(
    "transcripts",
    [
        "one, two\nthree\nfour\n",
        "one, two\r\nthree\r\nfour",
        "clip10.wav\tfour\nclip1.wav\tone, two\n\nclip2.wav\tthree\n",
        "clip2 | three\nclip10 | four\nclip1 | one, two\n",
        "clip1.wav,one, two\nclip2.wav,three\nclip10.wav,four\n",
        'clip1,"one, two"\nclip2,three\nclip10,four\n',
        "clip1;one, two\nclip2;three\nclip10;four\n",
        'file_name,sentence\nclip1.wav,"one, two"\nclip2.wav,three\nclip10.wav,four\n',
        "audio\ttext\nwavs/clip1.wav\tone, two\nwavs/clip2.wav\tthree\nwavs/clip10.wav\tfour\n",
        "clip1|1, 2|one, two\nclip2|3|three\nclip10|4|four\n",
        "".join(json.dumps({"audio_path": f"elsewhere/{name}", "text": text}) + "\n" for name, text in EXPECTED.items()),
    ],
    ids=["lines", "windows", "tabs", "bars", "commas", "quotes", "semicolons", "csv", "tsv", "ljspeech", "jsonl"],
)
def test_every_form_of_transcripts_gives_the_same_pairs(takes: Takes, send: Callable[..., Sent], transcripts: str) -> None:
    found = uploads.preview(send(*NAMES), transcripts, takes, "en")
    assert _texts(found) == EXPECTED
    assert list(_texts(found)) == ["clip1.wav", "clip2.wav", "clip10.wav"]
    assert [pair.duration_s for pair in found.pairs] == pytest.approx([1.0] * 3, abs=0.01)
    assert found.is_clean
    assert takes.all() == {}


def test_names_that_look_like_headers_are_names(takes: Takes, send: Callable[..., Sent]) -> None:
    found = uploads.preview(send("audio_1.wav", "audio_2.wav"), "audio_1|a text\naudio_2|another\n", takes, "en")
    assert _texts(found) == {"audio_1.wav": "a text", "audio_2.wav": "another"}


def test_a_line_that_is_missing_is_shown_beside_the_names(takes: Takes, send: Callable[..., Sent]) -> None:
    found = uploads.preview(send(*(f"c{number}.wav" for number in range(1, 9))), "\n".join("abcdefg"), takes, "en")
    assert found.pairs == []
    assert not found.is_clean
    (refusal,) = found.refusals
    assert refusal.startswith("7 lines for 8 clips: the line for c8.wav is missing, or one before it.")
    assert found.beside == [(4, "c4.wav", "d"), (5, "c5.wav", "e"), (6, "c6.wav", "f"), (7, "c7.wav", "g"), (8, "c8.wav", "")]


def test_a_line_too_many_is_shown_beside_the_names(takes: Takes, send: Callable[..., Sent]) -> None:
    found = uploads.preview(send("a.wav", "b.wav"), "x\ny\nz", takes, "en")
    assert found.refusals[0].startswith("line 3: 3 lines for 2 clips")
    assert found.beside == [(1, "a.wav", "x"), (2, "b.wav", "y"), (3, "", "z")]


def test_every_bad_line_is_named_by_its_number(takes: Takes, send: Callable[..., Sent]) -> None:
    blank = uploads.preview(send(*"abcde"), "one\n\nthree\n \nfive", takes, "en")
    assert [refusal.split(":")[0] for refusal in blank.refusals] == ["line 2", "line 4"]
    named = uploads.preview(send("a.wav", "b.wav", "c.wav", "d.wav"), "a.wav\tone\n\nbb.wav\ttwo\ncc.wav\tthree\nd.wav\t\n", takes, "en")
    assert [refusal.split(":")[0] for refusal in named.refusals[:3]] == ["line 3", "line 4", "line 5"]
    assert "bb.wav is not among the audio" in named.refusals[0]
    assert "there is no transcript for b.wav" in named.refusals[-1]
    jsonl = uploads.preview(send("a.wav", "b.wav"), '{"audio_path": "a.wav", "text": "x"}\n{broken\n["b"]\n{"audio_path": "b.wav", "text": "y"}', takes, "en")
    assert [refusal.split(":")[0] for refusal in jsonl.refusals] == ["line 2", "line 3"]


def test_a_table_with_names_of_other_files_is_never_taken_for_sentences(takes: Takes, send: Callable[..., Sent]) -> None:
    found = uploads.preview(send("a.wav", "b.wav"), "x.wav,one\ny.wav,two", takes, "en")
    assert [refusal.split(":")[0] for refusal in found.refusals] == ["line 1", "line 2"]


@pytest.mark.parametrize(("files", "transcripts"), [((), "x"), (("a.wav",), " \n"), (("a.wav", "a.wav"), "x\ny")])
def test_nothing_to_pair_is_refused_in_words(takes: Takes, send: Callable[..., Sent], files: tuple[str, ...], transcripts: str) -> None:
    with pytest.raises(CallError) as refused:
        uploads.preview(send(*files), transcripts, takes, "en")
    assert refused.value.hint


def test_a_file_that_cannot_be_decoded_is_named_and_stops_all(takes: Takes, send: Callable[..., Sent]) -> None:
    sent = send("a.wav", "b.wav", "c.wav")
    sent[1][0].write_bytes(b"no audio at all")
    found = uploads.preview(sent, "one\ntwo\nthree", takes, "en")
    assert [name for name, each in _findings(found).items() if each[0][0] == "error"] == ["b.wav"]
    assert not found.is_clean
    with pytest.raises(CallError):
        uploads.save(found.pairs, takes)
    assert takes.all() == {}


def test_what_was_looked_at_is_what_is_saved(takes: Takes, send: Callable[..., Sent]) -> None:
    sent = send("a.wav", "b.flac")
    found = uploads.preview(sent, "Ein  Satz.\nNoch einer.", takes, "de")
    saved = uploads.save(found.new, takes)
    assert [(take.text, take.language, take.source, take.phrase_source) for take in saved] == [
        ("Ein Satz.", "de", "upload", "file"),
        ("Noch einer.", "de", "upload", "file"),
    ]
    for take in saved:
        assert soundfile.info(takes.path(take)).samplerate == 16_000
    assert set(takes.kept()) == {take.key for take in saved}


def test_a_file_that_changed_since_the_preview_stops_all(takes: Takes, send: Callable[..., Sent]) -> None:
    sent = send("a.wav", "b.wav")
    found = uploads.preview(sent, "one\ntwo", takes, "en")
    soundfile.write(sent[1][0], np.zeros(16_000), 16_000)
    with pytest.raises(CallError, match=r"b\.wav"):
        uploads.save(found.new, takes)
    assert takes.all() == {}


def test_what_is_there_already_is_left_out_and_said(takes: Takes, send: Callable[..., Sent]) -> None:
    sent = send("a.wav", "b.wav")
    first = uploads.preview(sent[:1], "one", takes, "en")
    (take,) = uploads.save(first.new, takes)
    assert uploads.save(first.pairs, takes) == []  # the button pressed twice
    again = uploads.preview(sent, "one\ntwo", takes, "en")
    assert [pair.name for pair in again.new] == ["b.wav"]
    assert _findings(again)["a.wav"][-1][0] == "known"
    assert again.is_clean
    assert not uploads.preview(sent[:1], "one", takes, "en").is_clean
    assert _findings(uploads.preview(sent[:1], "other words", takes, "en"))["a.wav"][-1][0] == "warning"
    takes.trash(take.key)
    assert len(uploads.preview(sent, "one\ntwo", takes, "en").new) == 2


def test_one_recording_under_two_names_is_kept_once_and_never_with_two_texts(takes: Takes, send: Callable[..., Sent]) -> None:
    sent = send("a.wav", "b.wav", same=True)
    assert [pair.name for pair in uploads.preview(sent, "one\none", takes, "en").new] == ["a.wav"]
    other = uploads.preview(sent, "one\ntwo", takes, "en")
    assert not other.is_clean
    assert "a.wav" in _findings(other)["b.wav"][-1][1]


def test_a_quiet_or_short_recording_is_said_and_saved_all_the_same(takes: Takes, tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(16_000), 16_000)
    found = uploads.preview([(path, "silent.wav")], "one", takes, "en")
    assert [severity for severity, _ in _findings(found)["silent.wav"]] == ["warning"]
    (take,) = uploads.save(found.new, takes)
    assert take.judgement.problems


def test_parts_of_one_long_file_are_clips_of_their_own(takes: Takes, send: Callable[..., Sent]) -> None:
    rows = [{"audio_path": "long.wav", "text": text, "start_s": start, "end_s": start + 0.4} for text, start in (("two", 0.5), ("one", 0.0))]
    found = uploads.preview(send("long.wav"), "".join(json.dumps(row) + "\n" for row in rows), takes, "en")
    assert [(pair.text, pair.duration_s) for pair in found.pairs] == [("one", pytest.approx(0.4)), ("two", pytest.approx(0.4))]
    assert len(uploads.save(found.new, takes)) == 2
    assert uploads.preview(send("long.wav"), "".join(json.dumps(row) + "\n" for row in rows), takes, "en").new == []


def test_uploads_of_one_sentence_all_count(takes: Takes, send: Callable[..., Sent]) -> None:
    found = uploads.preview(send("a.wav", "b.wav"), "the same\nthe same", takes, "en")
    assert len(uploads.save(found.new, takes)) == 2
    assert len(takes.kept()) == 2
    assert {take.phrase for take in takes.all().values()} == {Phrase(text="the same", language="en", source="file").id}


def test_a_transcript_file_that_is_no_text_is_refused_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(CallError) as refused:
        uploads.read_transcripts(tmp_path / "t.csv", "t.csv")
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(CallError, match="saved as CSV"):
        uploads.read_transcripts(tmp_path / "t.xlsx", "t.xlsx")
