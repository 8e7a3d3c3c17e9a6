"""Scores on the validation clips while a run trains: the same transcribing and counting as in its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voxtune.dataset.clips import Clip
from voxtune.evaluation import wer
from voxtune.evaluation.transcribe import transcribe
from voxtune.model.batches import Encoder, Example
from voxtune.model.voxtral import Precision


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How a model did on some clips."""

    wer: float
    cer: float
    texts: list[str]
    """What it heard in each."""


def score(
    model: Any,
    encoder: Encoder,
    clips: Sequence[Clip],
    prompts: Sequence[Example],
    precision: Precision,
    *,
    batch_size: int,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Normalised WER and CER of `model` on `clips`; `progress` gets the number done after each batch, and may raise to end it."""
    texts = transcribe(model, encoder, prompts, precision, batch_size=batch_size, progress=progress)
    pairs = list(zip(clips, texts, strict=True))
    return Scores(
        wer=wer.total_rate([wer.count_words(clip.text, text, clip.language) for clip, text in pairs]),
        cer=wer.total_rate([wer.count_characters(clip.text, text, clip.language) for clip, text in pairs]),
        texts=texts,
    )
