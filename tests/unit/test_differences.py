"""What the report shows as wrong is what the rates count as wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.errors import MissingDependencyError
from voxtune.evaluation import wer
from voxtune.evaluation.differences import Difference, differences

SPOKEN = st.text(alphabet="abcéїß' .,-!?1２\u0301", max_size=40)


def _errors(found: list[Difference]) -> int:
    return sum(operation != "equal" for operation, _, _ in found)


def test_each_word_says_what_happened_to_it() -> None:
    assert differences("please turn on the fan in here", "please on the fan now in there", None) == [
        ("equal", "please", "please"),
        ("delete", "", "turn"),
        ("equal", "on", "on"),
        ("equal", "the", "the"),
        ("equal", "fan", "fan"),
        ("insert", "now", ""),
        ("equal", "in", "in"),
        ("substitute", "there", "here"),
    ]


def test_words_stand_as_they_were_written() -> None:
    assert differences("«Гей», сказав Б'ялик —", "гей сказав Бялик", "uk") == [
        ("equal", "гей", "«Гей»,"),
        ("equal", "сказав", "сказав"),
        ("substitute", "Бялик", "Б'ялик —"),
    ]


def test_numbers_that_are_compared_in_digits_are_shown_in_words() -> None:
    assert ("substitute", "forty eight", "forty") in differences("set it for forty hours", "set it for forty eight hours", "en")
    assert all(operation == "equal" for operation, _, _ in differences("Dr. Smith has twenty-one cats", "doctor smith has 21 cats", "en"))


@pytest.mark.parametrize(("said", "heard"), [("", ""), ("...", "a b"), ("a b", ""), ("a", "a"), ("¿?", "!")])
def test_nothing_said_and_nothing_heard_are_no_accident(said: str, heard: str) -> None:
    assert _errors(differences(said, heard, None)) == wer.count_words(said, heard, None).errors


@given(SPOKEN, SPOKEN, st.sampled_from(["en", "de", None]))
def test_as_many_words_are_marked_as_the_rates_count(said: str, heard: str, language: str | None) -> None:
    found = differences(said, heard, language)
    assert _errors(found) == wer.count_words(said, heard, language).errors
    assert all((operation == "delete") == (not word) for operation, word, _ in found)
    assert all((operation == "insert") == (not word) for operation, _, word in found)


def test_without_the_train_extra_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(MissingDependencyError, match="jiwer is not installed"):
        differences("a", "b", None)


def test_it_loads_neither_torch_nor_the_counters_of_rates_before_they_are_needed() -> None:
    script = "import sys, voxtune.evaluation.differences; print({'torch', 'jiwer', 'numpy', 'whisper_normalizer'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
