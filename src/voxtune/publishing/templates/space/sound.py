"""Recordings as Voxtral hears them: mono at 16 kHz, in pieces of at most 30 s; read and cut as `voxtune transcribe` does it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Wave = npt.NDArray[np.float32]

RATE_HZ, PIECE_S, SEARCH_S = 16_000, 30, 8


class NoSoundError(Exception):
    """What was sent cannot be transcribed; says why, and what to send instead."""


def read(path: str, *, limit_s: int) -> Wave:
    """A recording as [T] float32, mono at 16 kHz. Raises NoSoundError for what is no sound, or longer than `limit_s`."""
    data = Path(path).read_bytes()
    # By its first bytes, so that no file is opened that only calls itself sound and names others (a playlist).
    container = "mov" if data[4:8] == b"ftyp" else "matroska" if data[:4] == b"\x1a\x45\xdf\xa3" else None
    try:
        wave = _resampled(_by_ffmpeg(data, container) if container else _by_libsndfile(data), limit_s)
    except (soundfile.LibsndfileError, av.FFmpegError, OSError, ValueError, IndexError):
        raise NoSoundError("This file cannot be read as sound. Use WAV, FLAC, MP3, OGG, M4A or WebM.") from None
    if not len(wave) or not np.isfinite(wave).all() or float(np.abs(wave).max()) < 1e-5:
        raise NoSoundError("There is no sound in this recording. Check the microphone and record again.")
    return wave


def _by_libsndfile(data: bytes) -> Iterator[tuple[int, Wave]]:
    """Blocks of sound, each with its rate."""
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        while len(block := file.read(1 << 18, dtype="float32", always_2d=True)):
            yield file.samplerate, block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def _by_ffmpeg(data: bytes, container: str) -> Iterator[tuple[int, Wave]]:
    """The same of what phones and browsers record."""
    as_float = av.AudioResampler(format="fltp")
    with av.open(io.BytesIO(data), "r", format=container, metadata_errors="replace") as file:
        for frame in file.decode(file.streams.audio[0]):
            for part in as_float.resample(frame):
                yield part.sample_rate, part.to_ndarray().mean(axis=0, dtype=np.float32)


def _resampled(blocks: Iterator[tuple[int, Wave]], limit_s: int) -> Wave:
    found: list[Wave] = []
    seconds, resampler = 0.0, None
    for rate_hz, block in blocks:
        seconds += len(block) / rate_hz
        if seconds > limit_s:
            raise NoSoundError(f"This recording is longer than {limit_s // 60} minutes. Send a shorter one.")
        if rate_hz != RATE_HZ:
            resampler = resampler or soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32")
        found.append(resampler.resample_chunk(block) if resampler else block)
    if resampler:
        found.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    return np.concatenate([np.empty(0, np.float32), *found])


def pieces(wave: Wave) -> list[Wave]:
    """A recording in pieces of at most 30 s, each cut at the quietest moment of its last 8 s."""
    limit, frame, found = PIECE_S * RATE_HZ, RATE_HZ // 50, []
    while len(wave) > limit:
        search = wave[limit - SEARCH_S * RATE_HZ : limit]
        power = np.square(search.reshape(-1, frame)).mean(axis=1)
        # Averaged over 0.2 s: a pause between words, not a closed p or t inside one.
        calm = np.convolve(power, np.ones(10) / 10, mode="valid")
        end = limit - len(search) + (int(calm.argmin()) + 5) * frame
        found.append(wave[:end])
        wave = wave[end:]
    return [*found, wave]
