"""Other ways in which a clip could have been recorded, to train on: speed, loudness, noise, and parts that were not heard.

Where the magnitudes come from:
speed      Ko et al. 2015, Audio augmentation for speech recognition: 0.9 to 1.1, by resampling, so that pitch and formants move along.
loudness   Kaldi's perturb_data_dir_volume.sh: 1/8 to 2 times, which is -18 to 6 dB; less here, as a clip is from one person's microphone.
noise      by the ratio of mean powers over the whole clip, pauses too; white to brown, as fans and streets are. Kaldi's recipes with MUSAN's noises
           go down to 0 dB; less here, as much of it would drown a soft voice.
masks      SpecAugment (Park et al. 2019, arXiv:1904.08779), policy LD for LibriSpeech: two bands of up to 27 of 80, and up to a sixth of the
           time of a clip of 12 s. Masks in time are of up to 100 ms, as in transformers' Whisper, or 200 (strong), and their number goes with
           the length (as in Park et al. 2020, arXiv:1912.05533): a clip of a second may lose a syllable, never a sentence.
Strong is about what these do with hundreds of hours, light about half of it.

Shape letters: T samples, f = 128 mel bins, t mel frames of 10 ms.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import soxr
from torch import Tensor

from voxtune.audio import SAMPLE_RATE_HZ, Wave
from voxtune.model.mel import CHUNK_SAMPLES
from voxtune.settings import Augment

_DRAWN_BY = 1
"""To be raised when the code below makes something else of the same magnitudes, so that nothing kept on disk is taken for it."""


@dataclass(frozen=True, kw_only=True)
class _Magnitudes:
    speed: float
    """Furthest from 1."""
    gain_db: tuple[float, float]
    snr_db: tuple[float, float]
    num_bands: int
    band_share: float
    """Of all mel bins, at most this much in one masked band."""
    time_share: float
    """Of a clip's frames, at most this much masked."""
    longest_frames: int
    """In one mask."""


_MAGNITUDES = {
    "light": _Magnitudes(speed=0.05, gain_db=(-6.0, 6.0), snr_db=(15.0, 40.0), num_bands=2, band_share=0.17, time_share=0.1, longest_frames=10),
    "strong": _Magnitudes(speed=0.1, gain_db=(-12.0, 6.0), snr_db=(5.0, 30.0), num_bands=2, band_share=0.34, time_share=0.2, longest_frames=20),
}
_STEEPEST = 2.0
"""Power of noise falls with frequency to the power of 0 (white) to this (brown)."""
_FLAT_BELOW_HZ = 50.0
"""Without it brown noise would be all rumble that nobody hears."""
_NOISE_SAMPLES = 1 << 17
"""About 8 s: longer clips hear the same noise again, so that a clip of ten minutes costs no more memory."""


@dataclass(frozen=True)
class Augmentation:
    """Variants of clips for training, each decided by seed, clip and variant number alone, so that a resumed run hears the same.

    Variant 0 is the clip as it was recorded, and with strength off all are. To the bit this holds for one version of NumPy and of soxr.
    """

    strength: Augment
    seed: int = field(kw_only=True)

    def wave(self, wave: Wave, *, clip: str, variant: int) -> Wave:
        """A variant of the sound [T] of `clip`, at another speed, louder or softer and with noise; silence stays as it is.

        It fills no more chunks of 30 s than before. Nothing is clipped: what would go beyond +-1, or beyond the peak that was
        there, is scaled down as a whole.
        """
        how = self._magnitudes(variant)
        if how is None or not wave.any():
            return wave
        rng = self._rng("wave", clip, variant)
        speed, gain_db, snr_db = 1 + how.speed * rng.uniform(-1, 1), rng.uniform(*how.gain_db), rng.uniform(*how.snr_db)
        peak = float(np.abs(wave).max())
        # At a peak of 1, so that no power over- or underflows, whatever a float file holds.
        heard = _at_speed(wave / np.float32(peak), speed)
        power = float(np.mean(np.square(heard)))
        heard = heard + _noise(rng, len(heard)) * np.float32((power * 10 ** (-snr_db / 10)) ** 0.5)
        scale = min(peak * 10 ** (gain_db / 20), max(peak, 1.0) / max(float(np.abs(heard).max()), 1.0))
        return np.asarray(heard * np.float32(scale), dtype=np.float32)

    def mel(self, frames: Tensor, *, clip: str, variant: int) -> Tensor:
        """A variant of the log-mel [f, t] of `clip`, with bands of frequencies and stretches of time masked by the mean of all."""
        how = self._magnitudes(variant)
        if how is None:
            return frames
        rng = self._rng("mel", clip, variant)
        num_bins, num_frames = frames.shape
        masked, mean = frames.clone(), frames.mean()
        for _ in range(how.num_bands):
            first, end = _stretch(rng, num_bins, longest=int(how.band_share * num_bins))
            masked[first:end] = mean
        for _ in range(int(how.time_share * num_frames / how.longest_frames)):
            first, end = _stretch(rng, num_frames, longest=how.longest_frames)
            masked[:, first:end] = mean
        return masked

    def key(self, variant: int) -> str:
        """What besides the clip decides a variant, for naming what is kept of it: the same key, the same variant; "" for the clip as recorded."""
        how = self._magnitudes(variant)
        return "" if how is None else f"{self.strength}-{variant}-{_digest(_DRAWN_BY, how, self.seed).hex()[:16]}"

    def _magnitudes(self, variant: int) -> _Magnitudes | None:
        assert variant >= 0
        return None if self.strength == "off" or variant == 0 else _MAGNITUDES[self.strength]

    def _rng(self, kind: Literal["wave", "mel"], clip: str, variant: int) -> np.random.Generator:
        return np.random.default_rng(int.from_bytes(_digest(kind, self.seed, variant, clip)))


def _digest(*facts: object) -> bytes:
    return hashlib.sha256(repr(facts).encode()).digest()


def _at_speed(wave: Wave, speed: float) -> Wave:
    """The same played at `speed`, or at the slowest that its chunks have room for."""
    room = -(-len(wave) // CHUNK_SAMPLES) * CHUNK_SAMPLES
    played = soxr.resample(wave, SAMPLE_RATE_HZ * max(speed, len(wave) / room), SAMPLE_RATE_HZ)
    return np.asarray(played[:room], dtype=np.float32)  # soxr rounds the length, and could round it up


def _noise(rng: np.random.Generator, length: int) -> Wave:
    """[T] of a drawn colour at a power of 1."""
    size = min(_NOISE_SAMPLES, max(1024, 1 << (length - 1).bit_length()))
    slope = rng.uniform(0, _STEEPEST)
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)[:-1]
    spectrum = rng.standard_normal(size, dtype=np.float32).view(np.complex64)
    spectrum *= np.maximum(frequency_hz, _FLAT_BELOW_HZ) ** (-slope / 2)
    spectrum[0] = 0
    period = np.fft.irfft(spectrum, size)  # its end goes over into its start, so repeating it makes no click
    return np.resize(np.asarray(period / np.sqrt(np.mean(np.square(period))), dtype=np.float32), length)


def _stretch(rng: np.random.Generator, length: int, *, longest: int) -> tuple[int, int]:
    """First and end of up to `longest` places of `length`."""
    size = int(rng.integers(0, min(longest, length) + 1))
    first = int(rng.integers(0, length - size + 1))
    return first, first + size
