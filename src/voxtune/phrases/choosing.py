"""The phrases for a person to read: of Granary, of our own packs, of their own file, or of the practice language."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from pathlib import Path

from voxtune.errors import CallError, DatasetError, VoxtuneError
from voxtune.files import read_text
from voxtune.languages import LANGUAGES, check_code
from voxtune.phrases import cleaning, coverage, granary, pack, practice
from voxtune.phrases.phrase import Phrase, PhraseList, Source

MAX_LINE_CHARACTERS = 300
"""About 20 s of speech: more is no phrase to read in one breath."""


def phrases(language: str, *, count: int = 100, source: str = "auto", offline: bool = False, seed: int = 0) -> PhraseList:
    """`count` phrases, or all where there are fewer, in the order in which to read them; the same for the same seed.

    `source` is auto (Granary, and where that cannot be had our pack, with a notice that says why), granary, pack, practice, or
    the path of a file with one sentence a line. Raises CallError, SettingsError or DatasetError for what cannot be used.
    """
    language = check_code(language)
    if source == "practice":
        return _practice(language, count, seed)
    if source not in ("auto", "granary", "pack"):
        return _own(Path(source), language, count)
    offline = offline or is_offline()
    known = LANGUAGES.get(language)
    if source == "pack" or (source == "auto" and (offline or known is None or not known.granary)):
        notice = "" if source == "pack" else "Offline: sentences of our own." if offline else "Granary has no sentences of this language: these are our own."
        return _pack(language, count, seed, notice)
    if offline:
        raise CallError("Granary needs the network, and it is switched off.", hint="Use --source pack, or leave out --offline (and HF_HUB_OFFLINE).")
    try:
        found = granary.candidates(language, seed=seed, enough=count)
    except VoxtuneError as error:
        if source == "granary":
            raise
        return _pack(language, count, seed, f"{error.message} These are sentences of our own.")
    order = coverage.choose(found.sentences, count, seed=seed)
    chosen = [Phrase(text=found.sentences[place], language=language, source="granary", reference=found.references[place]) for place in order]
    return PhraseList(language=language, source="granary", phrases=chosen, revision=found.revision, licence=granary.LICENCE, attribution=granary.ATTRIBUTION)


def is_offline() -> bool:
    """Whether the network is switched off by HF_HUB_OFFLINE, as huggingface_hub reads it."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _pack(language: str, count: int, seed: int, notice: str) -> PhraseList:
    sentences = pack.sentences(language)
    return _ordered(sentences, language, "pack", count, seed, notice)


def _practice(language: str, count: int, seed: int) -> PhraseList:
    if language != "en":
        raise CallError("the practice phrases are English.", hint="Use `voxtune phrases en --source practice`.")
    return _ordered(practice.sentences(count, seed=seed), language, "practice", count, seed, "Phrases of the tiny model's hundred words.")


def _ordered(sentences: list[str], language: str, source: Source, count: int, seed: int, notice: str) -> PhraseList:
    order = coverage.choose(sentences, count, seed=seed)
    chosen = [Phrase(text=sentences[place], language=language, source=source) for place in order]
    return PhraseList(language=language, source=source, phrases=chosen, licence=pack.LICENCE, notice=notice)


def _own(file: Path, language: str, count: int) -> PhraseList:
    """A person's own sentences in their own order."""
    found = own(read_text(file), name=str(file), language=language)
    return replace(found, phrases=found.phrases[:count])


def own(text: str, *, name: str, language: str) -> PhraseList:
    """A person's own sentences, one a line, in their order; `name` is for messages. Raises DatasetError."""
    chosen = [Phrase(text=sentence, language=language, source="file", reference=f"line {line}") for line, sentence in own_lines(text, name=name)]
    return PhraseList(language=language, source="file", phrases=chosen)


def own_lines(text: str, *, name: str) -> list[tuple[int, str]]:
    """(line number, sentence) of a text with one sentence a line, without blank lines and repetitions. Raises DatasetError."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        sentence = cleaning.one_line(line)
        if len(sentence) > MAX_LINE_CHARACTERS:
            told = f"{len(sentence)} characters are too many to read in one breath."
            raise DatasetError(told, file=name, line=number, hint=f"Break it into lines of at most {MAX_LINE_CHARACTERS}.")
        if any(unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn") for letter in sentence):
            raise DatasetError("there are control characters in it.", file=name, line=number, hint="Save it as plain UTF-8 text.")
        if sentence:
            found.setdefault(sentence, number)
    if not found:
        raise DatasetError("there is no sentence in it.", file=name, hint="Write one sentence a line.")
    return [(number, sentence) for sentence, number in found.items()]
