"""What a clip costs on the processor before any step: the stock way in each epoch, and ours, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.shapes.stepping import median_s
from voxtune.audio import SAMPLE_RATE_HZ
from voxtune.model.batches import Encoder
from voxtune.model.voxtral import Precision

_ON_CPU = Precision(device="cpu", autocast=False, frozen=torch.float32)


def seconds_a_clip(encoder: Encoder, duration_s: float, repeats: int) -> dict[str, float]:
    """On one core, of a clip of some seconds: the stock transcription request, its feature extractor alone, and our mel."""
    wave = np.random.default_rng(0).normal(0, 0.1, round(duration_s * SAMPLE_RATE_HZ)).astype(np.float32)
    processor: Any = encoder.processor
    chunk: Any = {"sampling_rate": SAMPLE_RATE_HZ, "padding": True, "truncation": False, "pad_to_multiple_of": 30 * SAMPLE_RATE_HZ, "return_tensors": "pt"}
    request: Any = {"language": "en", "model_id": "voxtral", "format": ["WAV"], "sampling_rate": SAMPLE_RATE_HZ, "return_tensors": "pt"}
    ways: dict[str, Callable[[], Any]] = {
        "request": lambda: processor.apply_transcription_request(audio=[wave], **request),
        "extractor": lambda: processor.feature_extractor(wave, **chunk),
        "ours": lambda: encoder.mel(wave),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = {}
        for name, way in ways.items():
            way()
            found[name] = median_s(way, _ON_CPU, repeats)
        return found
    finally:
        torch.set_num_threads(threads)
