"""From lines of a speech corpus to sentences that a person can read aloud at first sight."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

MIN_WORDS, MAX_WORDS = 4, 14
MIN_CHARACTERS, MAX_CHARACTERS = 15, 100
MAX_CHARACTERS_PER_S = 30.0
"""Faster than anyone speaks: a line whose clip is shorter than that is not what is said in it."""

SCRIPTS = {"bg": "CYRILLIC", "ru": "CYRILLIC", "uk": "CYRILLIC", "el": "GREEK", "hi": "DEVANAGARI", "ar": "ARABIC"}
"""By the first word of Unicode's names of letters; all other languages of the table are written in Latin ones."""

_SENTENCE_END = re.compile(r"(?<=[.!?…;。।؟])\s+")
# Letters and marks of any script, spaces, and the punctuation of plain sentences.
_PLAIN = re.compile(r"[^\W\d_]|[\u0300-\u036f\u0900-\u0903\u093a-\u094f\u064b-\u0652]|[ ,.!?…'’\-–¿¡;।؟،]")
# What machine transcripts of videos are full of, in the languages of Granary.
_CREDITS = re.compile(
    r"subtitl|untertit|sous-titr|subtít|subtit|sottotit|legend(?:a|ado) por|ondertitel|napisy|titulk|titlov|felirat|tekstity|undertext|undertekst|"
    r"subtiitr|subtitr|субтитр|υπότιτλ|amara|www|http|subscribe|abonn",
    re.IGNORECASE,
)


def sentences(line: str, language: str) -> Iterator[str]:
    """The readable sentences in a line of any length; none where there is music, a loop, a credit or another script."""
    for piece in _SENTENCE_END.split(one_line(line)):
        sentence = piece.strip(" -–")
        if is_readable(sentence, language):
            yield sentence


def is_readable(sentence: str, language: str) -> bool:
    """Whether a sentence can be read aloud as it stands, and only in one way."""
    words = sentence.split()
    if not (MIN_WORDS <= len(words) <= MAX_WORDS and MIN_CHARACTERS <= len(sentence) <= MAX_CHARACTERS):
        return False
    if not _is_whole(sentence) or _CREDITS.search(sentence) or len(_PLAIN.findall(sentence)) != len(sentence):
        return False
    return _is_in_script(sentence, SCRIPTS.get(language, "LATIN")) and not _loops([word.strip(",.!?…").casefold() for word in words])


def _is_whole(sentence: str) -> bool:
    """From a capital (where there are capitals) to a full stop."""
    first = next((letter for letter in sentence if letter.isalpha()), "")
    begins = not first.islower()
    shouted = sentence.isupper()
    names = sum(word[:1].isupper() for word in sentence.split()[1:])  # German writes nouns so; more is a list of names
    return begins and sentence[-1] in ".!?…।؟" and not shouted and names <= max(2, len(sentence.split()) // 2)


def _is_in_script(sentence: str, script: str) -> bool:
    return all(unicodedata.name(letter, "").startswith(script) for letter in sentence if letter.isalpha())


def _loops(words: list[str]) -> bool:
    """Whether words stand again and again, as machine transcripts of noise do."""
    return len(set(words)) < 0.7 * len(words) or any(one == other for one, other in pairwise(words))


def one_line(text: str) -> str:
    """`text` in NFC on one line, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def sentence_key(text: str) -> str:
    """What makes two transcripts the same sentence: letters, their marks and digits alone, case-folded, so that "Yes!" is "yes"."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    spoken = "".join(character if unicodedata.category(character)[0] in "LMN" else " " for character in folded)
    return " ".join(spoken.split()) or " ".join(folded.split())


def text_problem(text: str) -> str | None:
    """Why `text` cannot be a transcript, or None if it can: it is empty or holds control characters."""
    if not text.strip():
        return "the transcript is empty."
    # Format characters (Cf) stay allowed: Persian and Hindi need the zero-width joiners.
    controls = sorted({character for character in text if unicodedata.category(character) in ("Cc", "Cs", "Co") or character in "\u2028\u2029"})
    if controls:
        names = ", ".join(f"U+{ord(character):04X}" for character in controls)
        return f"the transcript holds control characters ({names})."
    return None
