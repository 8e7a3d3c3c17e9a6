"""Audio to text by greedy generation, in batches, with any loaded model.

A batch holds prompts of one length, so that nothing is padded and attention takes its fast causal path; the longest recordings go first, so that
those of a batch end at about the same token, and what does not fit into memory fails at once. Each is stopped by its own end or its own limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from voxtune import audio
from voxtune.model.batches import Encoder, Example
from voxtune.model.tower import AudioPath
from voxtune.model.voxtral import Precision

TOKENS_PER_S = 20
"""More than anyone speaks in any script that Voxtral writes (English is about 5): a model in a loop is stopped here."""
_MORE_TOKENS = 16
_BATCHES_AHEAD = 16
"""So many are read and sorted together: all at once may be more than memory holds."""
_SEARCH_S = 8.0


def transcribe(
    model: Any, encoder: Encoder, prompts: Sequence[Example], precision: Precision, *, batch_size: int = 8, progress: Callable[[int], None] | None = None
) -> list[str]:
    """The text heard in each prompt. `model` is a Voxtral or a PeftModel over one; `progress` gets the number done after each batch.

    `batch_size` is of clips of one chunk: of longer ones fewer go together.
    """
    texts: list[str] = []
    done = 0
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(prompts), _BATCHES_AHEAD * batch_size):
            some = prompts[start : start + _BATCHES_AHEAD * batch_size]
            heard = [""] * len(some)
            for places in batches(some, batch_size):
                for place, text in zip(places, _batch(model, encoder, [some[place] for place in places], precision), strict=True):
                    heard[place] = text
                done += len(places)
                if progress is not None:
                    progress(done)
            texts += heard
    finally:
        model.train(was_training)
    return texts


def batches(prompts: Sequence[Example], batch_size: int) -> Iterator[list[int]]:
    """The places of prompts that go together: of one length each, the longest recordings first."""
    lengths = [len(prompt.input_ids) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda place: (lengths[place], prompts[place].duration_s), reverse=True)
    for _, group in groupby(order, key=lengths.__getitem__):
        places = list(group)
        size = max(1, batch_size // prompts[places[0]].num_chunks)
        yield from (places[start : start + size] for start in range(0, len(places), size))


def limit_tokens(prompt: Example) -> int:
    """So much may be said of a recording, by its duration."""
    return _MORE_TOKENS + round(TOKENS_PER_S * prompt.duration_s)


class _OwnLimits(StoppingCriteria):
    """Stops each row at its own length. Nothing here waits for the device."""

    def __init__(self, lengths: Tensor) -> None:
        self._lengths = lengths

    def __call__(self, input_ids: Tensor, *_: Any, **__: Any) -> Any:
        return self._lengths <= input_ids.shape[1]


@torch.inference_mode()
def _batch(model: Any, encoder: Encoder, prompts: Sequence[Example], precision: Precision) -> list[str]:
    inputs = {name: value.to(precision.device) for name, value in encoder.collate(prompts).items() if name != "labels"}
    length = inputs["input_ids"].shape[1]
    limits = [limit_tokens(prompt) for prompt in prompts]
    # Measured on 2 CPU cores with the tiny model (23 Nov 2026): `generate` costs 10 % beside the model; a static cache or no mask changes nothing.
    with torch.autocast(precision.device, dtype=torch.bfloat16, enabled=precision.autocast):
        out = model.generate(
            **inputs,
            max_new_tokens=max(limits),
            stopping_criteria=StoppingCriteriaList([_OwnLimits(torch.tensor(limits, device=precision.device) + length)]),
            do_sample=False,
            num_beams=1,
            use_cache=True,
            eos_token_id=encoder.end_id,
            pad_token_id=encoder.pad_id,
        )
    return [encoder.decode(answer).strip() for answer in out[:, length:].tolist()]


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


def prompts_of(file: Path, encoder: Encoder, *, language: str | None) -> list[Example]:
    """The prompts for an audio file of any length, one a piece. Raises AudioError."""
    return [encoder.example(piece, language=language, text=None) for piece in pieces(audio.read(file))]


def begun(prompts: Sequence[Example], path: AudioPath) -> list[Example]:
    """The prompts after what is frozen of the audio path, for models that share it."""
    return [replace(prompt, sound=path.outputs(prompt.features)) for prompt in prompts]


def transcribe_files(
    model: Any,
    encoder: Encoder,
    files: Sequence[Path],
    precision: Precision,
    *,
    language: str | None,
    batch_size: int = 8,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """The text of each audio file, of any length; pieces of several go together. `progress` gets the number of files done. Raises AudioError."""
    texts: list[str] = []
    waiting: list[list[Example]] = []
    for number, file in enumerate(files, start=1):
        waiting.append(prompts_of(file, encoder, language=language))
        if number < len(files) and sum(map(len, waiting)) < batch_size:
            continue
        heard = iter(transcribe(model, encoder, [prompt for prompts in waiting for prompt in prompts], precision, batch_size=batch_size))
        texts += [joined([next(heard) for _ in prompts]) for prompts in waiting]
        waiting = []
        if progress is not None:
            progress(number)
    return texts


def joined(texts: Sequence[str]) -> str:
    """The text of a recording from those of its pieces."""
    return " ".join(text for text in texts if text)
