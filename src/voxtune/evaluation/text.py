"""What is done to texts before they are compared, as a list of steps that a report can print.

Diacritics are kept in every language: they tell words apart. English takes Whisper's own normaliser (arXiv:2212.04356, appendix C),
so that figures compare with the Open ASR Leaderboard; it spells out contractions and writes numbers in digits.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One thing done to a text."""

    name: str
    apply: Callable[[str], str]


def _without_invisible(text: str) -> str:
    """Format characters (soft hyphen, bidi marks, zero-width space) are not said; U+200C and U+200D join letters and stay."""
    return "".join(character for character in text if unicodedata.category(character) != "Cf" or character in "\u200c\u200d")


def _without_punctuation(text: str) -> str:
    """Apostrophes inside words stay, however they are typed; marks (category M) are letters' own and stay."""
    typed = text.translate(_APOSTROPHES)
    spaced = "".join(" " if unicodedata.category(character)[0] in "PS" and character != "'" else character for character in typed)
    return re.sub(r"(?<!\w)'|'(?!\w)", " ", spaced)


_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´", "'"))
"""The one of Ukrainian keyboards (U+02BC) counts as a letter in Unicode."""


@functools.cache
def _whisper_english() -> Callable[[str], str]:
    from whisper_normalizer.english import EnglishTextNormalizer  # loads tables: only when English is scored

    normalizer: Callable[[str], str] = EnglishTextNormalizer()
    return normalizer


_RAW = (
    Step("Unicode NFC", lambda text: unicodedata.normalize("NFC", text)),
    Step("invisible format characters left out", _without_invisible),
    Step("white space to single spaces", lambda text: " ".join(text.split())),
)
_PLAIN = (
    Step("Unicode NFKC", lambda text: unicodedata.normalize("NFKC", text)),
    Step("lower case", lambda text: text.lower()),
    Step("punctuation and symbols to spaces", _without_punctuation),
    # Lower-casing and splitting can leave a letter and its mark apart again.
    Step("Unicode NFC", lambda text: unicodedata.normalize("NFC", text)),
    Step("white space to single spaces", lambda text: " ".join(text.split())),
)
_ENGLISH = (Step("Whisper's English normaliser", lambda text: _whisper_english()(text)), _RAW[0], _RAW[2])


def steps(language: str | None, *, normalised: bool) -> tuple[Step, ...]:
    """The steps for texts of `language`; without `normalised` only those that no reader would see."""
    if not normalised:
        return _RAW
    return (*_RAW, *(_ENGLISH if language == "en" else _PLAIN))


def prepare(text: str, language: str | None, *, normalised: bool) -> str:
    """`text` after all its steps."""
    for step in steps(language, normalised=normalised):
        text = step.apply(text)
    return text
