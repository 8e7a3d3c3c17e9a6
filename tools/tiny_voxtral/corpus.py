"""The training corpus in memory: texts and log-mel features, disturbed once or more each."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import WhisperFeatureExtractor

from . import speech

CHUNK_FRAMES = 512
"""Mel frames of a short chunk: 5.12 s, of 10 ms each."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Texts, and their features as float16 [N, 128, CHUNK_FRAMES]."""

    texts: list[str]
    features: npt.NDArray[np.float16]

    def mels(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """float32 [B, 128, CHUNK_FRAMES]."""
        return torch.from_numpy(self.features[rows].astype(np.float32))

    def joined(self, groups: list[list[int]]) -> tuple[list[str], Tensor]:
        """Each group's clips one after the other, at most five: texts, and features float32 [B, 128, 3000]."""
        texts = [" ".join(self.texts[row] for row in group) for group in groups]
        mels = [silence_to(torch.cat(list(self.mels(np.array(group))), dim=-1)[None], 3000) for group in groups]
        return texts, torch.cat(mels)

    def groups(self, count: int, rng: np.random.Generator, *, single: float = 0.8) -> list[list[int]]:
        """`count` random groups, a share of them of a `single` clip and the others of two to five, so that long recordings are known too."""
        return [rng.integers(0, len(self.texts), 1 if rng.random() < single else int(rng.integers(2, 6))).tolist() for _ in range(count)]


def silence_to(mels_bft: Tensor, frames: int) -> Tensor:
    """Pad with what WhisperFeatureExtractor gives for the zeros behind a clip: the clip's own floor."""
    missing = frames - mels_bft.shape[-1]
    if missing <= 0:
        return mels_bft
    floor_bft = mels_bft.amin(dim=(1, 2), keepdim=True).expand(-1, mels_bft.shape[1], missing)
    return torch.cat([mels_bft, floor_bft], dim=-1)


def _features(waves: list[speech.Wave], seed: int, strength: float) -> npt.NDArray[np.float16]:
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    extractor = WhisperFeatureExtractor(feature_size=128)
    samples = CHUNK_FRAMES * extractor.hop_length
    rows = []
    for wave in waves:
        heard = speech.disturb(wave, rng, strength=strength) if strength else wave
        padded = F.pad(torch.from_numpy(heard), (0, max(0, samples - len(heard))))[:samples].numpy()
        mel_ft = extractor(padded, sampling_rate=speech.SAMPLE_RATE_HZ, padding="do_not_pad", return_tensors="np")["input_features"][0]
        rows.append(mel_ft[:, :CHUNK_FRAMES].astype(np.float16))
    return np.stack(rows)


def make(count: int, *, seed: int, strengths: tuple[float, ...]) -> Corpus:
    """`count` utterances that fit a short chunk, each heard once with each of `strengths` (0 is undisturbed)."""
    jobs = speech.plan(count, seed=seed)
    texts, waves = [text for text, _ in jobs], speech.speak(jobs)
    limit = CHUNK_FRAMES * 160 - 19_000  # room for the slowest pace and the silence that `disturb` puts around
    kept = [place for place, wave in enumerate(waves) if len(wave) < limit / 1.14]
    texts, waves = [texts[place] for place in kept], [waves[place] for place in kept]
    starts = range(0, len(waves), 250)
    pieces = [(waves[start : start + 250], seed * 1_000_003 + 7 * start + place, strength) for place, strength in enumerate(strengths) for start in starts]
    with ProcessPoolExecutor(2) as pool:
        features = list(pool.map(_features, *zip(*pieces, strict=True)))
    return Corpus(texts=texts * len(strengths), features=np.concatenate(features))
