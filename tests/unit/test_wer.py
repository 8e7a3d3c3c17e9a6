from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from voxtune.errors import EvaluationError
from voxtune.evaluation import wer
from voxtune.evaluation.text import prepare, steps


@pytest.mark.parametrize(
    ("said", "heard", "errors", "length"),
    [
        ("turn on the light", "turn on the light", 0, 4),
        ("turn on the light", "turn of the lights", 2, 4),
        ("turn on the light", "", 4, 4),
        ("on", "on and on and on", 4, 1),
        ("a b c", "b c", 1, 3),
    ],
)
def test_word_errors_are_counted(said: str, heard: str, errors: int, length: int) -> None:
    assert wer.count_words(said, heard, "de") == wer.Count(errors=errors, length=length)


def test_an_empty_transcript_is_deletions_and_not_left_out() -> None:
    assert wer.total_rate([wer.count_words("one two three", "", "de"), wer.count_words("four", "four", "de")]) == 0.75


def test_a_reference_with_nothing_to_say_counts_what_was_heard() -> None:
    assert wer.count_words("…", "hello there", "de") == wer.Count(errors=2, length=0)
    with pytest.raises(EvaluationError, match="no word"):
        wer.total_rate([wer.count_words("…", "hello", "de")])


@pytest.mark.parametrize("language", ["en", "de", "hi", None])
@pytest.mark.parametrize("normalised", [True, False])
@given(text=some.text(alphabet=some.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40))
def test_the_way_a_keyboard_encodes_letters_makes_no_error(language: str | None, normalised: bool, text: str) -> None:
    one = prepare(text, language, normalised=normalised)
    other = prepare(unicodedata.normalize("NFD", text), language, normalised=normalised)
    assert one == other


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("fr", "L’été, c’est «chaud»\u00a0!", "l'été c'est chaud"),
        ("cs", "Příliš žluťoučký kůň…", "příliš žluťoučký kůň"),
        ("hi", "नमस्ते, दुनिया।", "नमस्ते दुनिया"),
        ("de", "Straße\u00ad - 'so'", "straße so"),
        ("en", "It's twenty-five minutes, isn't it?", "it is 25 minutes is not it"),
        (None, "One\u200b two", "one two"),
        *(("uk", f"Свіжа м{apostrophe}ята!", "свіжа м'ята") for apostrophe in "'’ʼ‘"),
    ],
)
def test_normalising_keeps_letters_and_their_marks(language: str | None, text: str, expected: str) -> None:
    assert prepare(text, language, normalised=True) == expected


def test_raw_text_keeps_case_and_punctuation() -> None:
    assert prepare(" Hello,\u00a0 World! ", "en", normalised=False) == "Hello, World!"
    assert wer.count_words("Hello, World!", "hello world", "en", normalised=False).errors == 2
    assert wer.count_words("Hello, World!", "hello world", "en").errors == 0


def test_the_steps_have_names_for_the_report() -> None:
    assert all(step.name for language in ("en", "fr") for step in steps(language, normalised=True))


def test_better_is_said_only_when_the_interval_says_so() -> None:
    def counts(*errors: int) -> list[wer.Count]:
        return [wer.Count(errors=each, length=5) for each in errors]

    clear = wer.compare(counts(*[4] * 10), counts(*[1] * 9, 2))
    assert clear.verdict == "better"
    assert clear.ci95[0] > 0
    assert clear.wer_reduction == pytest.approx(0.58)
    assert wer.compare(counts(*[1] * 10), counts(*[4] * 10)).verdict == "worse"
    mixed = wer.compare(counts(4, 0, 3, 1, 2, 2), counts(0, 4, 2, 2, 1, 2))
    assert mixed.verdict == "no clear change"
    assert mixed.ci95[0] <= 0 <= mixed.ci95[1]
    assert wer.compare(counts(2, 2, 2, 2), counts(2, 2, 2, 2)).verdict == "no clear change"


@pytest.mark.parametrize("clips", [1, 2, 3])
def test_too_few_clips_prove_nothing(clips: int) -> None:
    found = wer.compare([wer.Count(errors=5, length=5)] * clips, [wer.Count(errors=0, length=5)] * clips)
    assert (found.verdict, found.ci95) == ("no clear change", (-1.0, 1.0))


def test_the_interval_is_the_same_every_time() -> None:
    base, tuned = [wer.Count(errors=n % 4, length=5) for n in range(12)], [wer.Count(errors=n % 3, length=5) for n in range(12)]
    assert wer.compare(base, tuned) == wer.compare(base, tuned)
