"""The studio's own words: all of them in each language, none that nothing says, none that are missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from voxtune.languages import LANGUAGES as SPOKEN
from voxtune.recordings.quality import WORST_FIRST
from voxtune.settings import TrainSettings
from voxtune.studio import words

STUDIO = Path(words.__file__).parent
ENGLISH = words.words("en")
SOURCE = "\n".join(path.read_text() for path in [*STUDIO.rglob("*.py"), *STUDIO.glob("static/*.js"), *STUDIO.glob("static/*.html")])


def _file(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STUDIO / "words" / f"{language}.json").read_text())
    return found


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_language_has_every_word_with_its_values_and_marks(language: str) -> None:
    found = _file(language)
    assert list(found) == list(_file("en"))
    for key, text in found.items():
        assert text.strip() or not ENGLISH[key].strip(), key
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", ENGLISH[key])), key
        assert text.startswith("## ") == ENGLISH[key].startswith("## "), key
        assert "<" not in text, key
    if language != "en":
        same = [key for key, text in found.items() if text == ENGLISH[key] and len(text.split()) > 3]
        assert len(same) <= 3, f"not translated: {same}"


def test_every_word_is_said_somewhere() -> None:
    """By its whole key, or by its beginning where the rest is put together."""
    unused = [key for key in ENGLISH if f"'{key}'" not in SOURCE and f'"{key}"' not in SOURCE and not re.search(_begun(key), SOURCE)]
    assert unused == []


def _begun(key: str) -> str:
    places = [match.end() for match in re.finditer(r"[._]", key)]
    begun = "|".join(rf"['\"`]{re.escape(key[:place])}(?:['\"]|\$?\{{)" for place in places)
    # The title of a step: f"{step}.title".
    return begun + (r"|\{step\}\.title" if key.endswith(".title") else "")


def test_every_key_that_is_named_has_words() -> None:
    named = set(re.findall(r"""(?:\bt\(|\.say\(|\blabel\(|data-t(?:-\w+)?=)\s*["']([a-z]+\.[\w.]*\w)["']""", SOURCE))
    assert len(named) > 150
    assert [key for key in sorted(named) if key not in ENGLISH and not any(each.startswith(key) for each in ENGLISH)] == []


def test_what_is_put_together_has_words_too() -> None:
    wanted = [f"verdict.{code}" for code in WORST_FIRST] + [f"verdict.{code}.short" for code in WORST_FIRST]
    wanted += [f"language.known.{each.knowledge}" for each in SPOKEN.values()] + [f"language.short.{each.knowledge}" for each in SPOKEN.values()]
    own = {"data", "output", "language", "optimizer", "fit_memory", "tower_cache", "cache_gb"}
    wanted += [f"setting.{name}" for name in TrainSettings.model_fields if name not in own]
    assert [key for key in wanted if key not in ENGLISH] == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("ja,uk;q=0.5", "uk"),
        ("en;q=0.1, fr;q=0.9", "fr"),
        ("", "en"),
        ("*", "en"),
        ("xx;q=oops, pl", "pl"),
    ],
)
def test_the_language_is_the_first_that_the_browser_wants_and_we_speak(header: str, language: str) -> None:
    assert words.chosen(header) == language
