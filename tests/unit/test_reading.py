"""The reading list: sentences come and go, and none is ever another's."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.takes import phrase_list
from voxtune.errors import CallError, DatasetError
from voxtune.recordings.reading import Reading
from voxtune.workspace import RecordingsFolder

SENTENCES = [f"Sentence number {number} is here." for number in range(130)]


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return Reading(RecordingsFolder(tmp_path / "voice"))


def test_ten_are_shown_first_and_ten_more_each_time_up_to_a_hundred(reading: Reading) -> None:
    reading.choose("en", "file", phrase_list(SENTENCES), set())
    assert len(reading.show().rows) == 10
    assert len(reading.more().rows) == 20
    for _ in range(12):
        reading.more()
    now = reading.now()
    assert now is not None
    assert len(now.rows) == 100
    assert not now.can_grow


def test_a_skipped_sentence_never_comes_again_and_the_next_takes_its_place(reading: Reading) -> None:
    reading.choose("en", "file", phrase_list(SENTENCES), set())
    rows = reading.show().rows
    after = reading.skip(rows[3].id, "hard")
    assert [row.text for row in after.rows] == [*SENTENCES[:3], SENTENCES[10], *SENTENCES[4:10]]
    reading.choose("en", "pack", phrase_list(SENTENCES), set())
    assert rows[3].id not in {row.id for row in reading.show().rows}
    assert reading.find(rows[3].id).text == SENTENCES[3]  # a take of it may still be on its way


def test_all_can_be_skipped(reading: Reading) -> None:
    reading.choose("en", "file", phrase_list(SENTENCES[:12]), set())
    for _ in range(12):
        now = reading.show()
        reading.skip(now.rows[0].id, "other")
    assert reading.show().rows == []


def test_each_language_keeps_its_list(reading: Reading) -> None:
    reading.choose("en", "file", phrase_list(SENTENCES), set())
    reading.show()
    reading.more()
    reading.choose("de", "file", phrase_list(["Guten Tag."], "de"), set())
    assert [row.text for row in reading.show().rows] == ["Guten Tag."]
    assert len(reading.choose("en", "file", None, set()).rows) == 20


def test_sentences_that_come_late_replace_only_what_nobody_saw(reading: Reading) -> None:
    reading.choose("en", "auto", phrase_list(SENTENCES), set())
    shown = reading.show().rows
    reading.arrive(phrase_list(["A late sentence.", *SENTENCES[:2], "Another late one."]))
    now = reading.now()
    assert now is not None
    assert now.rows == shown
    assert [phrase.text for phrase in now.phrases[10:]] == ["A late sentence.", "Another late one."]


def test_recorded_sentences_stay_in_front_when_the_source_changes(reading: Reading) -> None:
    first = reading.choose("en", "pack", phrase_list(SENTENCES), set()).phrases
    reading.show()
    now = reading.choose("en", "file", phrase_list(["Mine."]), {first[4].id})
    assert [row.text for row in now.rows] == [SENTENCES[4], "Mine."]


def test_every_id_ever_shown_is_found_with_its_own_text(reading: Reading) -> None:
    rng = random.Random(0)
    shown: dict[str, str] = {}
    for turn in range(60):
        choice = rng.choice(["choose", "more", "skip", "arrive"])
        language = rng.choice(["en", "de"])
        sentences = phrase_list(rng.sample(SENTENCES, 30), language)
        now = reading.now()
        if choice == "choose" or now is None:
            reading.choose(language, str(turn), sentences, set(rng.sample(sorted(shown), min(3, len(shown)))))
        elif choice == "arrive":
            reading.arrive(sentences)
        elif choice == "skip" and now.rows:
            reading.skip(rng.choice(now.rows).id, "hard")
        else:
            reading.more()
        shown |= {row.id: row.text for row in reading.show().rows}
        assert {each: reading.find(each).text for each in shown} == shown


def test_what_was_never_given_out_is_unknown(reading: Reading) -> None:
    with pytest.raises(CallError, match="no language"):
        reading.show()
    reading.choose("en", "file", phrase_list(SENTENCES), set())
    with pytest.raises(CallError, match="not known"):
        reading.find("../../etc")
    with pytest.raises(CallError, match="not on the page"):
        reading.skip(reading.show().phrases[50].id, "hard")


def test_a_damaged_list_is_told_and_left_alone(reading: Reading) -> None:
    reading.folder.path.mkdir(parents=True)
    reading.folder.reading.write_text('{"schema": 1, "lists": {"en": []}}')
    with pytest.raises(DatasetError, match=r"reading\.json"):
        reading.now()


def test_sentences_that_come_late_are_for_who_left_the_choice_to_us(reading: Reading) -> None:
    reading.choose("en", "auto", phrase_list(SENTENCES), set())
    reading.choose("en", "file", phrase_list(["Mine.", "Mine too."]), set())
    reading.arrive(phrase_list(["A late sentence."]))
    now = reading.now()
    assert now is not None
    assert [phrase.text for phrase in now.phrases] == ["Mine.", "Mine too."]
    assert reading.choose("en", "auto", None, set()).phrases[0].text == "A late sentence."


def test_ones_own_sentences_outlive_another_choice(reading: Reading) -> None:
    own = [f"My own sentence {number}." for number in range(25)]
    reading.choose("en", "file", phrase_list(own), set())
    reading.show()
    reading.more()
    reading.choose("en", "pack", phrase_list(SENTENCES), set())
    reading.choose("de", "pack", phrase_list(["Guten Tag."], "de"), set())
    back = reading.choose("en", "file", None, set())
    assert [phrase.text for phrase in back.phrases] == own
    assert len(back.rows) == 20


def test_a_recorded_sentence_of_another_choice_comes_to_the_front_once(reading: Reading) -> None:
    first = reading.choose("en", "pack", phrase_list(SENTENCES), set()).phrases[0]
    reading.show()
    reading.choose("en", "file", phrase_list(["Mine."]), set())
    reading.show()
    for _ in range(2):
        now = reading.choose("en", "file", None, {first.id})
        assert [row.text for row in now.rows] == [first.text, "Mine."]
