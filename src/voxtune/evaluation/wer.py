"""Word and character error rates, and whether one model is better than another on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer
import numpy as np

from voxtune.errors import EvaluationError
from voxtune.evaluation.text import prepare

Verdict = Literal["better", "no clear change", "worse"]

MIN_CLIPS = 4
"""With fewer clips a bootstrap interval says nothing: it is given as the whole range, -1 to 1."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """Errors of one transcript against its reference."""

    errors: int
    """Substitutions, deletions and insertions. An empty transcript has every word of its reference deleted."""
    length: int
    """Words, or characters, of the reference."""

    @property
    def rate(self) -> float:
        """Errors a reference word or character; can exceed 1."""
        return self.errors / max(1, self.length)


def count_words(reference: str, hypothesis: str, language: str | None, *, normalised: bool = True) -> Count:
    """Word errors of one clip."""
    said, heard = (prepare(text, language, normalised=normalised) for text in (reference, hypothesis))
    if not said.strip():  # jiwer refuses an empty reference: everything heard was inserted
        return Count(errors=len(heard.split()), length=0)
    found = jiwer.process_words(said, heard)
    return Count(errors=found.substitutions + found.deletions + found.insertions, length=found.hits + found.substitutions + found.deletions)


def count_characters(reference: str, hypothesis: str, language: str | None, *, normalised: bool = True) -> Count:
    """Character errors of one clip, spaces counted."""
    said, heard = (prepare(text, language, normalised=normalised) for text in (reference, hypothesis))
    if not said:
        return Count(errors=len(heard), length=0)
    found = jiwer.process_characters(said, heard)
    return Count(errors=found.substitutions + found.deletions + found.insertions, length=found.hits + found.substitutions + found.deletions)


def total_rate(counts: Sequence[Count]) -> float:
    """All errors over all reference words or characters. Raises EvaluationError where there is nothing to count."""
    length = sum(count.length for count in counts)
    if not length:
        raise EvaluationError("there is no word to compare in these clips.", hint="Check the transcripts: after normalising nothing is left of them.")
    return sum(count.errors for count in counts) / length


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two models on the same clips."""

    wer_reduction: float
    """Base less tuned, absolute: 0.2 is twenty words of a hundred."""
    ci95: tuple[float, float]
    verdict: Verdict


def compare(base: Sequence[Count], tuned: Sequence[Count], *, seed: int = 0, samples: int = 10_000) -> Comparison:
    """The difference in WER with its 95 % paired bootstrap interval over clips (Bisani and Ney 2004).

    "better" and "worse" are said only where the whole interval is on that side of 0.
    """
    if len(base) != len(tuned):
        raise EvaluationError(f"{len(base)} base transcripts against {len(tuned)} tuned ones.", hint="Evaluate both on the same clips.")
    reduction = total_rate(base) - total_rate(tuned)
    if len(base) < MIN_CLIPS:
        return Comparison(wer_reduction=reduction, ci95=(-1.0, 1.0), verdict="no clear change")
    fewer = np.array([one.errors - other.errors for one, other in zip(base, tuned, strict=True)])
    lengths = np.array([count.length for count in base])
    drawn = np.random.default_rng(seed).integers(0, len(base), (samples, len(base)))
    words = lengths[drawn].sum(axis=1)
    reductions = fewer[drawn].sum(axis=1)[words > 0] / words[words > 0]
    low, high = (float(value) for value in np.percentile(reductions, [2.5, 97.5]))
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "no clear change"
    return Comparison(wer_reduction=reduction, ci95=(low, high), verdict=verdict)
