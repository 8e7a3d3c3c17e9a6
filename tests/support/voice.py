"""A voice for Chromium's microphone: clips of the demo voice one after another, at moments that a test knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from tests.support.takes import demo_lines
from voxtune import audio

RATE_HZ = 48_000
"""Chromium's fake device resamples crudely from 16 kHz, and well from this (measured)."""


@dataclass(frozen=True)
class Said:
    """One sentence in the played file."""

    text: str
    start_s: float
    end_s: float


def write_voice(file: Path, count: int, *, lead_s: float = 3.0, gap_s: float = 3.0) -> list[Said]:
    """Write a WAV of `count` sentences with silence (and a little noise, as in any room) around each; says when each is heard."""
    rng = np.random.default_rng(0)
    pieces, said, at_s = [np.zeros(round(lead_s * RATE_HZ))], [], lead_s
    for path, text in demo_lines(count):
        wave = soxr.resample(audio.read(path).astype(np.float64), audio.SAMPLE_RATE_HZ, RATE_HZ)
        said.append(Said(text, at_s, at_s + len(wave) / RATE_HZ))
        pieces += [wave, np.zeros(round(gap_s * RATE_HZ))]
        at_s += len(wave) / RATE_HZ + gap_s
    sound = np.concatenate(pieces)
    soundfile.write(file, np.clip(sound + 3e-4 * rng.standard_normal(len(sound)), -1, 1), RATE_HZ, subtype="PCM_16")
    return said


def likeness(take: Path, played: Path, near_s: float) -> tuple[float, float, int]:
    """How like a take is to what was played about `near_s` (least correlation over windows of 250 ms after alignment), its gain, and its rate."""
    wave, rate = soundfile.read(take, dtype="float64")
    source, source_rate = soundfile.read(played, dtype="float64")
    source = soxr.resample(source, source_rate, rate) if rate != source_rate else source
    window = source[max(0, round((near_s - 4) * rate)) : round((near_s + 12) * rate)]
    size = 1 << (len(window) + len(wave)).bit_length()
    shift = int(np.argmax(np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(wave, size)), size)[: len(window)]))
    heard = window[shift : shift + len(wave)]
    wave = wave[: len(heard)]
    step = round(0.25 * rate)
    scores = []
    for start in range(0, len(wave) - step, step):
        one, other = wave[start : start + step], heard[start : start + step]
        if np.sqrt(np.mean(other**2)) > 0.01:  # speech, not the room
            scores.append(float(np.corrcoef(one, other)[0, 1]))
    gain = float(np.dot(wave, heard) / np.dot(heard, heard))
    return min(scores), gain, rate
