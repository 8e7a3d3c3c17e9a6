"""Our own sentences, shipped for every language of the table, so that a person can begin with no network."""

from __future__ import annotations

from pathlib import Path

from voxtune.errors import CallError
from voxtune.languages import LANGUAGES

LICENCE = "Apache-2.0"

_FOLDER = Path(__file__).parent / "packs"


def languages() -> list[str]:
    """The codes for which there is a pack."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def sentences(language: str) -> list[str]:
    """The pack of a language. Raises CallError where there is none."""
    file = _FOLDER / f"{language}.txt"
    if language not in LANGUAGES or not file.is_file():
        hint = f"Give sentences of your own, one a line: --source FILE. There are packs for {' '.join(languages())}."
        raise CallError(f"there is no pack of sentences for {language!r}.", hint=hint)
    return file.read_text(encoding="utf-8").splitlines()
