"""Scores on the validation clips while a run trains: the same transcribing and counting as in its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxtune.dataset.clips import Clip
from voxtune.evaluation import wer
from voxtune.evaluation.transcribe import transcribe
from voxtune.model.batches import Encoder, Example
from voxtune.model.voxtral import Precision


def score(model: Any, encoder: Encoder, clips: Sequence[Clip], prompts: Sequence[Example], precision: Precision, batch_size: int) -> dict[str, float]:
    """Normalised WER and CER of `model` on `clips`."""
    texts = transcribe(model, encoder, prompts, precision, batch_size=batch_size)
    pairs = list(zip(clips, texts, strict=True))
    return {
        "wer": wer.total_rate([wer.count_words(clip.text, text, clip.language) for clip, text in pairs]),
        "cer": wer.total_rate([wer.count_characters(clip.text, text, clip.language) for clip, text in pairs]),
    }
