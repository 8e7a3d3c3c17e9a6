"""Clips made on the spot."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import soundfile


def speech_like(duration_s: float = 1.0, *, seed: int = 0, rate_hz: int = 16_000, peak: float = 0.5) -> np.ndarray:
    """[T] float64: harmonics of a wandering pitch in bursts of syllable length, with a little noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    pitch_hz = 110 + 30 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * time_s + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    voice = sum(np.sin(order * phase) / order for order in range(1, 12))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * time_s + rng.uniform(0, 6))
    sound = voice * syllables + 0.01 * rng.standard_normal(len(time_s))
    return sound / np.abs(sound).max() * peak


def write_dataset(folder: Path, texts: list[str], *, duration_s: float = 0.6, name: str = "data.jsonl") -> Path:
    """A JSONL and its clips, one a text; gives the JSONL."""
    (folder / "wavs").mkdir(parents=True)
    rows = []
    for number, text in enumerate(texts):
        path = f"wavs/{number}.wav"
        soundfile.write(folder / path, speech_like(duration_s, seed=number), 16_000, subtype="PCM_16")
        rows.append({"audio_path": path, "text": text})
    (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return folder / name


def sound_file(wave: np.ndarray, rate_hz: int, container: str, subtype: str | None = None) -> bytes:
    """A sound as the bytes of a file of some format."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate_hz, format=container, subtype=subtype)
    return buffer.getvalue()
