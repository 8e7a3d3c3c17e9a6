"""Audio bytes to float32 [T], mono at 16 kHz, and what can be measured of them.

Decoding is libsndfile's (WAV, FLAC, MP3, OGG, AIFF ...): it opens no other file, so a playlist that calls itself .wav is refused
instead of followed, and it is given the open file rather than its name, so that only the contents decide what it is. Samples stay
float: nothing is quantised, and values beyond +-1 that a float file may hold are kept.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from voxtune.errors import AudioError

Wave = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
"""What Voxtral hears (and Whisper before it)."""
CHUNK_S = 30.0
"""Voxtral's tower takes chunks of this length; a clip is padded to a whole number of them."""
SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64"})
"""File names taken for audio when a folder is given."""

MIN_RATE_HZ, MAX_RATE_HZ, MAX_CHANNELS = 4_000, 384_000, 64
_BLOCK_FRAMES = 1 << 18
_UNRECOGNISED = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT


def read(path: Path, *, start_s: float | None = None, end_s: float | None = None) -> Wave:
    """The audio of `path`, or of the part from `start_s` to `end_s`, as [T] mono at 16 kHz.

    Channels are averaged; resampling is soxr's HQ. Raises AudioError with code missing, unreadable, not_audio, empty or nan_or_inf.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise AudioError("missing", path, "there is no such file.", hint="Check the path; it is relative to the file that names it.") from None
    except IsADirectoryError:
        raise AudioError("not_audio", path, "this is a folder.", hint="Name an audio file.") from None
    except OSError as error:
        raise AudioError("unreadable", path, f"cannot be read: {error.strerror}.", hint="Check its permissions.") from None
    if not data:
        raise AudioError("empty", path, "the file is empty (0 bytes).", hint="Record or copy it again.")
    return decode(data, name=path, start_s=start_s, end_s=end_s)


def decode(data: bytes, *, name: Path | str, start_s: float | None = None, end_s: float | None = None) -> Wave:
    """As `read`, of the bytes of a file; `name` is only for messages."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _refuse_absurd(file, name)
            first = 0 if start_s is None else round(start_s * file.samplerate)
            last = file.frames if end_s is None else round(end_s * file.samplerate)
            if not 0 <= first < last <= max(file.frames, 1) and (start_s, end_s) != (None, None):
                length_s = file.frames / file.samplerate
                message = f"the part from {start_s} to {end_s} s does not lie within its {length_s:.2f} s."
                raise AudioError("unreadable", name, message, hint="Correct start_s and end_s.")
            wave, num_read = _stream(file, first, last)
            declared = last - first
    except soundfile.LibsndfileError as error:
        if error.code == _UNRECOGNISED:
            message, hint = "its contents are not audio that can be read here.", "Use WAV, FLAC, MP3 or OGG; convert other formats first."
            raise AudioError("not_audio", name, message, hint=hint) from None
        raise AudioError("unreadable", name, f"damaged: {error.error_string}", hint="Copy or export it again.") from None
    # An MP3's length is an estimate; elsewhere a shorter stream than its header says is a file cut off while it was written.
    if num_read < 0.99 * declared - 2_304:
        message = f"cut off: {num_read} of {declared} samples are there."
        raise AudioError("unreadable", name, message, hint="Copy or export it again.")
    if not len(wave):
        raise AudioError("empty", name, "it holds no samples.", hint="Record it again.")
    if not np.isfinite(wave).all():
        raise AudioError("nan_or_inf", name, "it holds samples that are not numbers (NaN or infinity).", hint="Export it again.")
    return wave


def _refuse_absurd(file: soundfile.SoundFile, name: Path | str) -> None:
    if not MIN_RATE_HZ <= file.samplerate <= MAX_RATE_HZ:
        message = f"a sample rate of {file.samplerate} Hz is outside {MIN_RATE_HZ}-{MAX_RATE_HZ} Hz; the header is damaged."
        raise AudioError("unreadable", name, message, hint="Export it again.")
    if file.channels > MAX_CHANNELS:
        raise AudioError("unreadable", name, f"{file.channels} channels; the header is damaged.", hint="Export it again.")


def _stream(file: soundfile.SoundFile, first: int, last: int) -> tuple[Wave, int]:
    """Read, average and resample block by block, so that a long file never stands in memory at its own rate."""
    resampler = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32") if file.samplerate != SAMPLE_RATE_HZ else None
    if first:
        file.seek(first)
    pieces: list[Wave] = []
    num_read = 0
    while True:
        block = file.read(min(_BLOCK_FRAMES, last - first - num_read), dtype="float32", always_2d=True)
        num_read += len(block)
        done = len(block) == 0 or num_read >= last - first
        mono: Wave = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        pieces.append(mono if resampler is None else resampler.resample_chunk(mono, last=done))
        if done:
            return np.concatenate(pieces), num_read


def write_wav(wave: Wave) -> bytes:
    """[T] mono at 16 kHz as a 16-bit PCM WAV; a wave that goes beyond +-1 is scaled down as a whole rather than clipped."""
    scaled = wave / max(1.0, float(np.abs(wave).max(initial=0.0)))
    # By our own rounding, so that 16-bit samples read as floats come back bit for bit (libsndfile scales by 32,767).
    samples = np.clip(np.round(scaled * 32_768.0), -32_768, 32_767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What a clip's samples say about the recording."""

    duration_s: float
    peak: float
    """Largest absolute sample; 1 is full scale."""
    speech_dbfs: float
    """RMS of the loud parts: the 90th percentile over frames of 30 ms, in dB below full scale."""
    clipped_share: float
    """Share of samples that begin a flat run near full scale: what a converter leaves of peaks too high for it."""


def measure(wave: Wave) -> Measures:
    """Level, length and clipping of [T] mono at 16 kHz."""
    frame = SAMPLE_RATE_HZ * 30 // 1000
    padded = np.pad(wave, (0, -len(wave) % frame)).reshape(-1, frame)
    rms = np.sqrt(np.mean(np.square(padded, dtype=np.float64), axis=1))
    loud = float(np.percentile(rms, 90)) if len(rms) else 0.0
    peak = float(np.abs(wave).max(initial=0.0))
    speech_dbfs = 20 * float(np.log10(max(loud, 1e-10)))
    return Measures(duration_s=len(wave) / SAMPLE_RATE_HZ, peak=peak, speech_dbfs=speech_dbfs, clipped_share=_clipped_share(wave, peak))


def _clipped_share(wave: Wave, peak: float) -> float:
    if peak < 0.89 or len(wave) < 5:  # -1 dBFS: nothing below it was cut off by a converter
        return 0.0
    # Five samples (0.3 ms) level to 0.2 %: wider or looser and the crest of a loud pure 100 Hz tone would count.
    runs = np.lib.stride_tricks.sliding_window_view(wave, 5)
    flat = (runs.max(axis=1) - runs.min(axis=1) <= 0.002 * peak) & (np.abs(runs).min(axis=1) >= 0.89)
    return float(flat.sum()) / len(wave)
