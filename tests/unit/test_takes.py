"""Takes: saved once and for good, the newest counts, and nothing is ever overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.takes import demo_lines, phrase, record, wav_of
from voxtune.errors import AudioError, CallError, DatasetError
from voxtune.recordings.takes import KEY, Takes, new_key
from voxtune.workspace import RecordingsFolder

SENTENCE = phrase(demo_lines(1)[0][1])
WAV = wav_of(demo_lines(1)[0][0])


@pytest.fixture
def takes(tmp_path: Path) -> Takes:
    return Takes(RecordingsFolder(tmp_path / "voice"))


def test_keys_sort_by_time_and_are_never_the_same() -> None:
    keys = [new_key() for _ in range(200)]
    assert len(set(keys)) == 200
    assert [key[:9] for key in keys] == sorted(key[:9] for key in keys)
    assert all(KEY.fullmatch(key) for key in keys)


def test_a_saved_take_is_there_byte_for_byte(takes: Takes) -> None:
    take = takes.save(WAV, SENTENCE, key=new_key(), device={"label": "Headset"})
    again = Takes(takes.folder).get(take.key)
    assert takes.path(again).read_bytes() == WAV
    assert again == take
    assert (again.text, again.language, again.device["label"], again.device["rate_hz"]) == (SENTENCE.text, "en", "Headset", 16_000)
    assert again.is_good


def test_the_same_key_again_saves_nothing_twice(takes: Takes) -> None:
    key = new_key()
    first = takes.save(WAV, SENTENCE, key=key)
    assert takes.save(WAV, SENTENCE, key=key) == first
    assert len(takes.folder.takes.read_text().splitlines()) == 1


def test_the_newest_take_of_a_sentence_counts_whatever_the_order_of_arrival(takes: Takes) -> None:
    older, newer = sorted((new_key(), "zzzzzzzzz" + "0" * 32))
    takes.save(WAV, SENTENCE, key=newer)
    takes.save(WAV, SENTENCE, key=older)  # one that waited in the page while the network was gone
    assert takes.kept()[SENTENCE.id].key == newer
    assert len(takes.all()) == 2


def test_trash_brings_the_former_take_back_and_restore_undoes_it(takes: Takes) -> None:
    first, second = (takes.save(WAV, SENTENCE, key=f"{number:09d}" + "a" * 32) for number in (1, 2))
    takes.trash(second.key)
    assert takes.kept()[SENTENCE.id].key == first.key
    assert takes.path(second).is_file()
    takes.restore(second.key)
    assert takes.kept()[SENTENCE.id].key == second.key


def test_takes_of_two_languages_are_never_mixed(takes: Takes) -> None:
    for language in ("en", "de"):
        takes.save(WAV, phrase("Hallo Anna", language), key=new_key())
    assert sorted(take.language for take in takes.kept().values()) == ["de", "en"]


def test_each_upload_counts_even_of_the_same_sentence(takes: Takes) -> None:
    for _ in range(2):
        takes.save(WAV, SENTENCE, key=new_key(), source="upload")
    assert len(takes.kept()) == 2


def test_a_transcript_can_be_corrected_but_not_to_nothing(takes: Takes) -> None:
    take = takes.save(WAV, SENTENCE, key=new_key())
    takes.edit(take.key, "  turn on\nthe lamp ")
    assert takes.get(take.key).text == "turn on the lamp"
    with pytest.raises(DatasetError, match="empty"):
        takes.edit(take.key, "   ")
    assert takes.get(take.key).text == "turn on the lamp"


def test_what_is_no_audio_is_refused_and_leaves_nothing(takes: Takes) -> None:
    with pytest.raises(AudioError):
        takes.save(b"#EXTM3U\n/etc/passwd\n", SENTENCE, key=new_key())
    assert takes.all() == {}
    assert not takes.folder.clips.exists()


@pytest.mark.parametrize("key", ["", "../../../etc/passwd", "a" * 41 + "/", "A" * 41, "0" * 40])
def test_a_key_that_is_none_is_refused(takes: Takes, key: str) -> None:
    with pytest.raises(CallError, match="no key"):
        takes.save(WAV, SENTENCE, key=key)


def test_lines_that_cannot_be_read_lose_no_other(takes: Takes) -> None:
    made = record(takes, 3)
    lines = takes.folder.takes.read_text().splitlines()
    lines[1:1] = ['{"event": "take"', "[]", '{"event": "change", "take": "unknown", "trashed": true}', '{"event": "dance"}', "\x00"]
    takes.folder.takes.write_text("\n".join(lines) + "\n")
    assert list(takes.all()) == [take.key for take in made]


def test_a_take_whose_line_was_lost_is_found_again(takes: Takes) -> None:
    take = takes.save(WAV, SENTENCE, key=new_key())
    takes.folder.takes.write_text("")
    (takes.folder.clips / "song.wav").write_bytes(WAV)  # a person's own file is none of ours
    (takes.folder.clips / f"{SENTENCE.id}-{new_key()}.wav").write_bytes(b"half")
    found = takes.recover({SENTENCE.id: SENTENCE})
    assert [each.key for each in found] == [take.key]
    assert takes.get(take.key).text == SENTENCE.text
    assert takes.recover({SENTENCE.id: SENTENCE}) == []


def test_the_journal_holds_what_the_docs_say(takes: Takes) -> None:
    takes.save(WAV, SENTENCE, key=new_key())
    row = json.loads(takes.folder.takes.read_text())
    assert {"event", "take", "phrase", "text", "language", "audio_path", "source", "recorded_at", "judgement", "device"} <= set(row)
