"""A sentence to read aloud, and where it comes from."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["granary", "pack", "practice", "file"]


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """One sentence, with what its licence asks to be named."""

    text: str
    language: str
    source: Source
    reference: str = ""
    """The utterance of the corpus that it was cut from, or the line of a file."""

    @property
    def id(self) -> str:
        """The same for the same sentence of the same language, wherever it comes from."""
        return hashlib.sha256(f"{self.language}\n{unicodedata.normalize('NFC', self.text)}".encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class PhraseList:
    """Sentences in the order in which to read them: any first part of it covers the sounds of the language as well as it can."""

    language: str
    source: Source
    phrases: list[Phrase]
    revision: str = ""
    """Of the corpus."""
    licence: str = ""
    attribution: str = ""
    notice: str = ""
    """Why these and not others, where a person should know."""

    def as_json(self) -> dict[str, Any]:
        """As `voxtune phrases --json` prints it."""
        rows = [{"id": each.id, "text": each.text} | ({"reference": each.reference} if each.reference else {}) for each in self.phrases]
        about = {"language": self.language, "source": self.source, "revision": self.revision, "licence": self.licence}
        return {**about, "attribution": self.attribution, "notice": self.notice, "phrases": rows}
