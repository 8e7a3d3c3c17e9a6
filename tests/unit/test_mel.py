from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from tests.support.clips import speech_like
from voxtune.errors import ModelError
from voxtune.model.mel import CHUNK_MEL_FRAMES, CHUNK_SAMPLES, MelExtractor

STOCK = WhisperFeatureExtractor(feature_size=128)
TOLERANCE = 1e-4
HOP, HALF_WINDOW = 160, 200

KINDS: dict[str, Callable[[int], np.ndarray]] = {
    "speech": lambda length: np.resize(speech_like(3.0, seed=length), length),
    "silence": np.zeros,
    "direct current": lambda length: 0.5 + 1e-4 * _noise(length),
    "tone": lambda length: np.sin(2 * np.pi * 1_000 * np.arange(length) / 16_000),
    "tiny": lambda length: 1e-6 * _noise(length),
    "below the floor": lambda length: 1e-20 * _noise(length),
    "loud": lambda length: 1e3 * _noise(length),
    "one click": lambda length: np.eye(1, length, length // 2)[0],
    "loud at its end alone": lambda length: np.where(np.arange(length) > 0.9 * length, 1.0, 1e-5) * _noise(length),
}
LENGTHS = {
    *(1, 2, 31_999, 32_000),
    *range(199, 202),
    *(399, 400, 401),
    *(10 * HOP + off for off in (-1, 0, 1)),
    # The last window of a chunk hears 40 samples reflected at its end; frames begin to hear the audio 200 samples before it.
    *(CHUNK_SAMPLES + off for off in (-HALF_WINDOW - 1, -HALF_WINDOW, -HOP, -41, -40, -1, 0, 1)),
    *(2 * CHUNK_SAMPLES + off for off in (-40, 0, 1)),
}


def _noise(length: int) -> np.ndarray:
    return np.random.default_rng(length).standard_normal(length)


def _stock_chunks(wave: np.ndarray) -> torch.Tensor:
    padding = {"padding": True, "truncation": False, "pad_to_multiple_of": CHUNK_SAMPLES}
    mel_ft = STOCK(wave, sampling_rate=16_000, return_tensors="pt", **padding)["input_features"][0]
    return mel_ft.reshape(len(mel_ft), -1, CHUNK_MEL_FRAMES).transpose(0, 1)


@pytest.mark.parametrize("length", sorted(LENGTHS))
def test_it_is_the_stock_extractors_at_every_length(length: int) -> None:
    for kind, make in KINDS.items():
        wave = make(length).astype(np.float32)
        chunks = MelExtractor(STOCK)(wave).chunks()
        expected = _stock_chunks(wave)
        assert chunks.shape == expected.shape, kind
        assert chunks.is_contiguous()
        assert chunks.dtype == torch.float32
        assert torch.isfinite(chunks).all(), kind
        assert (chunks - expected).abs().max() <= TOLERANCE, kind


def test_only_the_frames_that_hear_the_audio_are_kept() -> None:
    mel = MelExtractor(STOCK)(speech_like(2.0).astype(np.float32))
    assert mel.frames.shape == (128, 202)  # 200 of 10 ms, and two whose windows begin within
    assert mel.nbytes == 128 * 202 * 4
    chunks = mel.chunks()
    assert torch.equal(chunks[0, :, :202], mel.frames)
    assert (chunks[0, :, 202:] == mel.silence).all()


def test_threads_give_what_one_gives() -> None:
    extractor = MelExtractor(STOCK)
    waves = [speech_like(1.0 + seed / 10, seed=seed).astype(np.float32) for seed in range(24)]
    alone = [extractor(wave).frames for wave in waves]
    with ThreadPoolExecutor(8) as threads:
        together = [mel.frames for mel in threads.map(extractor, waves)]
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


OTHER = {"dither": 1e-4, "hop_length": 80, "n_fft": 512, "sampling_rate": 8_000, "padding_value": 0.1, "padding_side": "left"}


@pytest.mark.parametrize("name", OTHER)
def test_an_extractor_of_another_kind_is_refused(name: str) -> None:
    extractor = WhisperFeatureExtractor(feature_size=128)
    setattr(extractor, name, OTHER[name])
    with pytest.raises(ModelError, match=f"{name} {OTHER[name]}"):
        MelExtractor(extractor)


def test_a_class_of_another_name_is_refused() -> None:
    class Otherwise(WhisperFeatureExtractor):
        pass

    with pytest.raises(ModelError, match="Otherwise"):
        MelExtractor(Otherwise(feature_size=128))
