from __future__ import annotations

import pytest

from voxtune.phrases import practice


def test_sentences_are_different_seeded_and_of_known_words() -> None:
    drawn = practice.sentences(150, seed=4)
    assert len(set(drawn)) == 150
    assert drawn == practice.sentences(150, seed=4)
    assert drawn != practice.sentences(150, seed=5)
    assert {word for text in drawn for word in text.split()} == set(practice.words())


def test_the_grammar_has_about_a_hundred_words() -> None:
    assert 95 <= len(practice.words()) <= 120


def test_more_sentences_than_there_are_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "TEMPLATES", ("turn {switch} the {device}",))
    with pytest.raises(ValueError, match="fewer"):
        practice.sentences(15, seed=0)
