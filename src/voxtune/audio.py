"""Audio bytes to float32 [T], mono at 16 kHz, and what can be measured of them.

Decoding is libsndfile's (WAV, FLAC, MP3, OGG, AIFF ...): it opens no other file, so a playlist that calls itself .wav is refused
instead of followed, and it is given the open file rather than its name, so that only the contents decide what it is. What phones
and browsers record (M4A, WebM ...) goes through `containers`, which is as strict. Samples stay float: nothing is quantised, and
values beyond +-1 that a float file may hold are kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from voxtune import containers
from voxtune.errors import AudioError

Wave = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
"""What Voxtral hears (and Whisper before it)."""
CHUNK_S = 30.0
"""Voxtral's tower takes chunks of this length; a clip is padded to a whole number of them."""
SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64"}) | containers.SUFFIXES
"""File names taken for audio when a folder is given."""

MIN_RATE_HZ, MAX_RATE_HZ, MAX_CHANNELS = 4_000, 384_000, 64
_BLOCK_FRAMES = 1 << 18
_UNRECOGNISED = 1  # libsndfile's SF_ERR_UNRECOGNISED_FORMAT
_ROUNDED_S = 0.15
"""An M4A ends with a whole frame, of at most 2048 samples; its header says where the sound in it ends."""


def read(path: Path, *, start_s: float | None = None, end_s: float | None = None) -> Wave:
    """The audio of `path`, or of the part from `start_s` to `end_s`, as [T] mono at 16 kHz.

    Channels are averaged; resampling is soxr's HQ. Raises AudioError with code missing, unreadable, not_audio, empty or nan_or_inf.
    """
    return decode(contents(path), name=path, start_s=start_s, end_s=end_s)


def contents(path: Path) -> bytes:
    """The bytes of an audio file. Raises AudioError with code missing, unreadable, not_audio or empty."""
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
    return data


def decode(data: bytes, *, name: Path | str, start_s: float | None = None, end_s: float | None = None) -> Wave:
    """As `read`, of the bytes of a file; `name` is only for messages."""
    container = containers.sniff(data)
    decoded = _by_libsndfile(data, name, start_s, end_s) if container is None else _by_ffmpeg(data, container, name, start_s, end_s)
    _refuse_unusable(decoded, name)
    return decoded


def original(data: bytes, *, name: Path | str, longest_s: float) -> tuple[Wave, int, float]:
    """The samples of a WAV as they stand in it, [T, C] up to `longest_s`; their rate in Hz; and the length in seconds of all of it.

    For what resampling and averaging would hide. Raises AudioError; its code is not_audio for any other kind of file.
    """
    with _opened(data, name) as file:
        if file.format not in ("WAV", "WAVEX"):
            raise AudioError("not_audio", name, f"it is {file.format}, not WAV.", hint="Convert it to WAV.")
        samples: Wave = file.read(min(file.frames, round(longest_s * file.samplerate)), dtype="float32", always_2d=True)
        rate_hz, duration_s = file.samplerate, file.frames / file.samplerate
    _refuse_unusable(samples, name)
    return samples, rate_hz, duration_s


def _by_libsndfile(data: bytes, name: Path | str, start_s: float | None, end_s: float | None) -> Wave:
    with _opened(data, name) as file:
        first = 0 if start_s is None else round(start_s * file.samplerate)
        last = file.frames if end_s is None else round(end_s * file.samplerate)
        if not 0 <= first < last <= max(file.frames, 1) and (start_s, end_s) != (None, None):
            raise _not_within(name, start_s, end_s, file.frames / file.samplerate)
        wave = _resampled(_blocks(file, first, last), file.samplerate)
        _refuse_cut_off(file.tell() - first, last - first, name)
    return wave


def _by_ffmpeg(data: bytes, container: containers.Container, name: Path | str, start_s: float | None, end_s: float | None) -> Wave:
    with containers.opened(data, container, name=name) as sound:
        _refuse_absurd(sound.rate_hz, sound.num_channels, name)
        first = 0 if start_s is None else round(start_s * sound.rate_hz)
        last = None if end_s is None else round(end_s * sound.rate_hz)
        if first < 0 or (last is not None and last <= first):
            raise _not_within(name, start_s, end_s, sound.declared_s)
        # A part is found by decoding what comes before it: exact to the sample, where seeking is not.
        wave = _resampled(_between(sound.blocks(), first, last), sound.rate_hz)
    slack = round(_ROUNDED_S * sound.rate_hz)
    if last is None and sound.declared_s is not None:
        declared = round(sound.declared_s * sound.rate_hz)
        _refuse_cut_off(sound.num_read, declared, name)
        if declared < sound.num_read <= declared + slack:  # the encoder fills up its last frame
            wave = wave[: round((declared - first) / sound.rate_hz * SAMPLE_RATE_HZ)]
    if (start_s, end_s) != (None, None) and sound.num_read < max(first + 1, (last or 0) - slack):
        raise _not_within(name, start_s, end_s, sound.num_read / sound.rate_hz)
    return wave


@contextmanager
def _opened(data: bytes, name: Path | str) -> Iterator[soundfile.SoundFile]:
    """The file in libsndfile's hands; what goes wrong there is an AudioError."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _refuse_absurd(file.samplerate, file.channels, name)
            yield file
    except soundfile.LibsndfileError as error:
        if error.code == _UNRECOGNISED:
            message, hint = "its contents are not audio that can be read here.", "Use WAV, FLAC, MP3, OGG or M4A; convert other formats first."
            raise AudioError("not_audio", name, message, hint=hint) from None
        raise AudioError("unreadable", name, f"damaged: {error.error_string}", hint="Copy or export it again.") from None


def _refuse_absurd(rate_hz: int, num_channels: int, name: Path | str) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        message = f"a sample rate of {rate_hz} Hz is outside {MIN_RATE_HZ}-{MAX_RATE_HZ} Hz; the header is damaged."
        raise AudioError("unreadable", name, message, hint="Export it again.")
    if num_channels > MAX_CHANNELS:
        raise AudioError("unreadable", name, f"{num_channels} channels; the header is damaged.", hint="Export it again.")


def _refuse_cut_off(num_read: int, declared: int, name: Path | str) -> None:
    # An MP3's length is an estimate; elsewhere a shorter stream than its header says is a file cut off while it was written.
    if num_read < 0.99 * declared - 2_304:
        message = f"cut off: {num_read} of {declared} samples are there."
        raise AudioError("unreadable", name, message, hint="Copy or export it again.")


def _refuse_unusable(samples: Wave, name: Path | str) -> None:
    if not len(samples):
        raise AudioError("empty", name, "it holds no samples.", hint="Record it again.")
    if not np.isfinite(samples).all():
        raise AudioError("nan_or_inf", name, "it holds samples that are not numbers (NaN or infinity).", hint="Export it again.")


def _not_within(name: Path | str, start_s: float | None, end_s: float | None, length_s: float | None) -> AudioError:
    whole = "it" if length_s is None else f"its {length_s:.2f} s"
    return AudioError("unreadable", name, f"the part from {start_s} to {end_s} s does not lie within {whole}.", hint="Correct start_s and end_s.")


def _blocks(file: soundfile.SoundFile, first: int, last: int) -> Iterator[Wave]:
    """Samples `first` to `last`, or to where the file ends, averaged over the channels."""
    if first:
        file.seek(first)
    while first < last:
        block = file.read(min(_BLOCK_FRAMES, last - first), dtype="float32", always_2d=True)
        if not len(block):
            return
        first += len(block)
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def _between(blocks: Iterator[Wave], first: int, last: int | None) -> Iterator[Wave]:
    """Of all samples those from `first` to `last`."""
    place = 0
    for block in blocks:
        yield block[max(0, first - place) : None if last is None else max(0, last - place)]
        place += len(block)
        if last is not None and place >= last:
            return


def _resampled(blocks: Iterator[Wave], rate_hz: int) -> Wave:
    """All blocks as one wave at 16 kHz, block by block, so that a long file never stands in memory at its own rate."""
    if rate_hz == SAMPLE_RATE_HZ:
        return np.concatenate([np.empty(0, np.float32), *blocks])
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    pieces = [resampler.resample_chunk(block) for block in blocks]
    return np.concatenate([*pieces, resampler.resample_chunk(np.empty(0, np.float32), last=True)])


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
