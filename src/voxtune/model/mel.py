"""Log-mel of the real audio alone: what WhisperFeatureExtractor gives, without the silence that it pads to 30 s and transforms.

Frames that hear nothing but padding are all equal, so one number stands for them. What is clamped (to 8 below the maximum) is clamped
by the maximum over the whole padded clip, and that stands in the frames that are kept.

The work is numpy's, not torch's: of about the same speed for a clip, it lets go of Python's lock and takes one core, so that as many
clips can be prepared at once as there are worker threads.

Shape letters: t frames of 10 ms, k frequencies, f mel bins, n chunks of 30 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from voxtune.audio import CHUNK_S, SAMPLE_RATE_HZ, Wave
from voxtune.errors import ModelError

CHUNK_SAMPLES = round(CHUNK_S * SAMPLE_RATE_HZ)
CHUNK_MEL_FRAMES = 3_000
_FRAMES_AT_ONCE = 240
"""So few that all of it stays in the processor's cache, which halves the time of a long clip."""
_BINS_AT_ONCE = 16
"""Mel filters are narrow: this many neighbours hear at most 67 frequencies. A product of 16 x 67 x 240 numpy's OpenBLAS leaves on one core."""
_FLOOR, _FLOOR_LOG10 = np.float32(1e-10), -10.0
_RANGE_LOG10 = 8.0


@dataclass(frozen=True, kw_only=True)
class Mel:
    """The log-mel of one clip, without its padding."""

    frames: Tensor
    """float32 [f, t], of the real audio alone."""
    silence: float
    """The value of every frame of padding that follows."""
    num_chunks: int

    def chunks(self) -> Tensor:
        """With the padding filled in, as the model takes it: float32 [n, f, 3000], contiguous."""
        frames_ft = self.frames.numpy()
        whole_nft = np.full((self.num_chunks, len(frames_ft), CHUNK_MEL_FRAMES), self.silence, dtype=np.float32)
        for number, chunk_ft in enumerate(whole_nft):
            part_ft = frames_ft[:, number * CHUNK_MEL_FRAMES : (number + 1) * CHUNK_MEL_FRAMES]
            chunk_ft[:, : part_ft.shape[1]] = part_ft
        return torch.from_numpy(whole_nft)

    @property
    def nbytes(self) -> int:
        """What the frames take in memory."""
        return self.frames.nbytes


class MelExtractor:
    """Does what one WhisperFeatureExtractor does; may be called from several threads at once. Raises ModelError for one that it does not know."""

    def __init__(self, extractor: WhisperFeatureExtractor) -> None:
        _refuse_unknown(extractor)
        self._hop: int = extractor.hop_length
        self._window = torch.hann_window(extractor.n_fft).numpy()
        filters_kf = np.asarray(extractor.mel_filters, dtype=np.float32)
        self._num_bins = filters_kf.shape[1]
        self._bands = [_band(filters_kf, first) for first in range(0, self._num_bins, _BINS_AT_ONCE)]

    def __call__(self, wave: Wave) -> Mel:
        """The mel of [T] mono at 16 kHz, of at least one sample."""
        num_chunks = -(-len(wave) // CHUNK_SAMPLES)
        framed_tw = self._framed(wave, num_chunks * CHUNK_SAMPLES)
        mel_ft = np.empty((self._num_bins, len(framed_tw)), dtype=np.float32)
        for first in range(0, len(framed_tw), _FRAMES_AT_ONCE):
            some = slice(first, first + _FRAMES_AT_ONCE)
            spectrum_tk = np.fft.rfft(framed_tw[some] * self._window)
            power_tk = np.square(spectrum_tk.real) + np.square(spectrum_tk.imag)
            for bins, frequencies, weights in self._bands:
                np.matmul(weights, power_tk[:, frequencies].T, out=mel_ft[bins, some])
        np.log10(np.maximum(mel_ft, _FLOOR, out=mel_ft), out=mel_ft)
        lowest = float(mel_ft.max()) - _RANGE_LOG10
        np.maximum(mel_ft, np.float32(lowest), out=mel_ft)
        np.divide(np.add(mel_ft, np.float32(4.0), out=mel_ft), np.float32(4.0), out=mel_ft)
        silence = (max(lowest, _FLOOR_LOG10) + 4.0) / 4.0
        return Mel(frames=torch.from_numpy(mel_ft), silence=silence, num_chunks=num_chunks)

    def _framed(self, wave: Wave, padded: int) -> npt.NDArray[np.float32]:
        """[t, window] of every frame that hears a sample of `wave` once it is padded with zeros to `padded` samples.

        A frame stands around its middle; at the two ends of the padded clip it hears the samples within reflected, as torch.stft has it.
        """
        width = len(self._window)
        half = width // 2
        num_frames = min(padded // self._hop, -(-(len(wave) + half) // self._hop))
        samples = np.zeros((num_frames - 1) * self._hop + width, dtype=np.float32)
        samples[half : half + len(wave)] = wave
        samples[:half] = samples[width:half:-1]
        over = len(samples) - (half + padded)
        if over > 0:
            samples[-over:] = samples[-over - 2 : -2 * over - 2 : -1]
        step = samples.strides[0]
        return np.lib.stride_tricks.as_strided(samples, (num_frames, width), (self._hop * step, step), writeable=False)


def _band(filters_kf: npt.NDArray[np.float32], first: int) -> tuple[slice, slice, npt.NDArray[np.float32]]:
    """Some mel bins, the frequencies that they hear, and how much of each: [f, k]."""
    bins = slice(first, first + _BINS_AT_ONCE)
    heard = np.flatnonzero(filters_kf[:, bins].any(axis=1))
    frequencies = slice(int(heard[0]), int(heard[-1]) + 1)
    return bins, frequencies, np.ascontiguousarray(filters_kf[frequencies, bins].T)


def _refuse_unknown(extractor: WhisperFeatureExtractor) -> None:
    known: dict[str, object] = {"sampling_rate": SAMPLE_RATE_HZ, "hop_length": CHUNK_SAMPLES // CHUNK_MEL_FRAMES, "n_fft": 400, "dither": 0.0}
    known |= {"padding_value": 0.0, "padding_side": "right"}
    other = [f"{name} {getattr(extractor, name)}" for name, value in known.items() if getattr(extractor, name) != value]
    if type(extractor) is not WhisperFeatureExtractor:
        other = [type(extractor).__name__]
    if other:
        hint = "Voxtral's own processor_config.json gives one that is known."
        raise ModelError(f"the model's features are of a kind that is not known here: {', '.join(other)}.", hint=hint)
