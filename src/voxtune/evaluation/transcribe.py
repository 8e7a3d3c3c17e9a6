"""Audio to text by greedy generation, in batches, with any loaded model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxtune import audio
from voxtune.model.batches import Encoder, Example
from voxtune.model.voxtral import Precision

TOKENS_PER_S = 20
"""More than anyone speaks in any script that Voxtral writes (English is about 5): a model in a loop is stopped here."""
_SEARCH_S = 8.0


def transcribe(
    model: Any, encoder: Encoder, prompts: Sequence[Example], precision: Precision, *, batch_size: int = 8, progress: Callable[[int], None] | None = None
) -> list[str]:
    """The text heard in each prompt. `model` is a Voxtral or a PeftModel over one; `progress` gets the number done after each batch."""
    texts: list[str] = []
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(prompts), batch_size):
            texts += _batch(model, encoder, prompts[start : start + batch_size], precision)
            if progress is not None:
                progress(len(texts))
    finally:
        model.train(was_training)
    return texts


@torch.inference_mode()
def _batch(model: Any, encoder: Encoder, prompts: Sequence[Example], precision: Precision) -> list[str]:
    inputs = {name: value.to(precision.device) for name, value in encoder.collate(prompts, pad_left=True).items() if name != "labels"}
    inputs["input_features"] = inputs["input_features"].to(precision.frozen)
    limit = 16 + round(TOKENS_PER_S * max(prompt.duration_s for prompt in prompts))
    with torch.autocast(precision.device, dtype=torch.bfloat16, enabled=precision.autocast):
        out = model.generate(
            **inputs, max_new_tokens=limit, do_sample=False, num_beams=1, use_cache=True, eos_token_id=encoder.end_id, pad_token_id=encoder.pad_id
        )
    answers = out[:, inputs["input_ids"].shape[1] :].tolist()
    return [encoder.decode(answer).strip() for answer in answers]


def pieces(wave: audio.Wave) -> list[audio.Wave]:
    """A long recording in pieces of at most 30 s, each cut at the quietest moment of its last 8 s."""
    limit = round(audio.CHUNK_S * audio.SAMPLE_RATE_HZ)
    frame = audio.SAMPLE_RATE_HZ // 50
    found = []
    while len(wave) > limit:
        search = wave[limit - round(_SEARCH_S * audio.SAMPLE_RATE_HZ) : limit]
        power = np.square(search[: len(search) // frame * frame].reshape(-1, frame)).mean(axis=1)
        # Averaged over 0.2 s, so that a pause between words wins over a closed p or t inside one.
        calm = np.convolve(power, np.ones(10) / 10, mode="valid")
        cut = limit - len(search) + (int(calm.argmin()) + 5) * frame
        found.append(wave[:cut])
        wave = wave[cut:]
    return [*found, wave]


def transcribe_file(model: Any, encoder: Encoder, file: Path, precision: Precision, *, language: str | None) -> str:
    """The text of an audio file of any length. Raises AudioError."""
    prompts = [encoder.example(piece, language=language, text=None) for piece in pieces(audio.read(file))]
    return " ".join(text for text in transcribe(model, encoder, prompts, precision) if text)
