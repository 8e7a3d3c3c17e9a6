"""Where what was heard differs from what was said, word by word: the errors that a word error rate counts, to look at. Loads no torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from voxtune.errors import MissingDependencyError
from voxtune.evaluation.text import prepare

Operation = Literal["equal", "substitute", "delete", "insert"]

Difference = tuple[Operation, str, str]
"""What happened to a word: the operation, the word heard (empty for delete) and the word said (empty for insert)."""


def differences(said: str, heard: str, language: str | None) -> list[Difference]:
    """Every word of both texts in order, aligned as the rates count them; words stand as they were written where that can be told.

    Raises MissingDependencyError where the packages that rates are counted with are not installed.
    """
    said_words, said_shown = _words(said, language)
    heard_words, heard_shown = _words(heard, language)
    if not said_words:
        return [("insert", word, "") for word in heard_shown]
    try:
        import jiwer  # not wanted by who only records
    except ImportError:
        raise _missing("jiwer") from None
    found: list[Difference] = []
    for chunk in jiwer.process_words(" ".join(said_words), " ".join(heard_words)).alignments[0]:
        said_part = said_shown[chunk.ref_start_idx : chunk.ref_end_idx]
        heard_part = heard_shown[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "delete":
            found += [("delete", "", word) for word in said_part]
        elif chunk.type == "insert":
            found += [("insert", word, "") for word in heard_part]
        else:
            operation: Operation = "equal" if chunk.type == "equal" else "substitute"
            found += [(operation, other, word) for word, other in zip(said_part, heard_part, strict=True)]
    return found


def _words(text: str, language: str | None) -> tuple[list[str], list[str]]:
    """The words that are compared, and how to show each: as it was written, where that became one word alone."""

    def compared(some: list[str]) -> list[str]:
        return prepare(" ".join(some), language, normalised=True).split()

    written = text.split()
    try:
        whole = compared(written)
        parts = [[word] for word in written]
        if [word for part in parts for word in compared(part)] != whole:
            # Neighbours became one word, as forty eight became 48: cut only where both sides come out as they do together.
            cuts = [place for place in range(1, len(written)) if compared(written[:place]) + compared(written[place:]) == whole]
            parts = [written[start:end] for start, end in pairwise([0, *cuts, len(written)])]
        found = [(" ".join(part), compared(part)) for part in parts]
    except ImportError:
        raise _missing("whisper-normalizer") from None
    if [word for _, words in found for word in words] != whole:
        return whole, whole
    shown: list[str] = []
    for as_written, words in found:
        if len(words) == 1:
            shown.append(as_written)
        elif words:
            shown += words
        elif shown:
            shown[-1] += f" {as_written}"  # a dash alone, say, is no word
    return whole, shown


def _missing(package: str) -> MissingDependencyError:
    return MissingDependencyError(f"{package} is not installed.", hint="pip install 'voxtune[train]'")
