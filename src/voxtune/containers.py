"""M4A, MP4, AAC and WebM, opened: what phones and browsers record and libsndfile does not read.

Decoding is FFmpeg's, through PyAV, which comes with voxtune[studio]. FFmpeg also knows formats that name other files and hosts
(playlists, concat lists, manifests). Therefore it never chooses: we do, by the first bytes, among three containers, and tell it;
whatever a file asks to be opened beside it is refused; and only codecs that stand on a list are decoded.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from voxtune.errors import AudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Container = Literal["mov", "matroska", "aac"]
"""By FFmpeg's names of their demuxers."""

SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".webm", ".mka"})

MAX_S = 2 * 3600.0
"""Longer is nobody's reading of sentences, but may well be a few bytes that unpack without end."""

_CODECS = frozenset({"aac", "alac", "flac", "mp3", "opus", "vorbis"})


def sniff(data: bytes) -> Container | None:
    """Which container the first bytes are of; None for all that is libsndfile's, or nobody's."""
    if data[4:8] == b"ftyp":
        return "mov"
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    # ADTS: twelve bits of ones, then the layer bits, which are never 00 in an MP3.
    return "aac" if len(data) > 1 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0 else None


class Sound:
    """The sound of a file as it streams by, at its own rate."""

    def __init__(self, frames: Iterator[AudioFrame], *, name: Path | str, declared_s: float | None) -> None:
        self._frames, self._name = frames, name
        self.declared_s = declared_s
        """What the header says; None where it says nothing, or only an estimate."""
        self.num_read = 0
        """Samples of each channel that came so far."""
        first = next(frames, None)
        if first is None and declared_s:
            raise AudioError("unreadable", name, "cut off before its first sample.", hint="Copy or export it again.")
        if first is None:
            raise AudioError("empty", name, "it holds no samples.", hint="Record it again.")
        self._frames = chain((first,), frames)
        self.rate_hz = first.sample_rate
        """That of the samples: headers of HE-AAC say half of it."""
        self.num_channels = first.layout.nb_channels

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """[T] float32, the mean of all channels, a few thousand samples at a time."""
        import av

        as_float = av.AudioResampler(format="fltp")
        for frame in self._frames:
            if (frame.sample_rate, frame.layout.nb_channels) != (self.rate_hz, self.num_channels):
                raise AudioError("unreadable", self._name, "its rate or its channels change on the way.", hint="Export it again.")
            for part in as_float.resample(frame):
                self.num_read += part.samples
                if self.num_read > MAX_S * self.rate_hz:
                    raise AudioError("too_long", self._name, f"it is longer than {MAX_S / 3600:.0f} hours.", hint="Cut it into parts.")
                yield part.to_ndarray().mean(axis=0, dtype=np.float32)


@contextmanager
def opened(data: bytes, container: Container, *, name: Path | str) -> Iterator[Sound]:
    """The sound of a file of that container; whatever is wrong with the file, then or while it is read, is an AudioError."""
    kind = {"mov": "MP4 (M4A)", "matroska": "WebM", "aac": "AAC"}[container]
    try:
        import av  # only here: it loads FFmpeg, and is not there without the studio
    except ImportError:
        hint = "Install voxtune[studio], which reads it, or convert it to WAV, FLAC, MP3 or OGG."
        raise AudioError("not_audio", name, f"{kind} cannot be read here: the package av is not installed.", hint=hint) from None
    try:
        with av.open(io.BytesIO(data), "r", format=container, metadata_errors="replace", io_open=_open_nothing) as file:
            stream = _only_sound(file, name)
            declared_s = None if container == "aac" or not stream.duration or not stream.time_base else float(stream.duration * stream.time_base)
            yield Sound(file.decode(stream), name=name, declared_s=declared_s)
    except (av.FFmpegError, OSError):  # whose words ("Operation not permitted") tell a person nothing, or the wrong thing
        raise AudioError("unreadable", name, f"it begins as {kind} does, but is damaged or cut off.", hint="Copy or export it again.") from None


def _only_sound(file: InputContainer, name: Path | str) -> AudioStream:
    if not file.streams.audio:
        raise AudioError("not_audio", name, "there is no sound in it.", hint="Use WAV, FLAC, MP3, OGG or M4A.")
    stream = file.streams.audio[0]
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else "something unknown"
    if codec not in _CODECS and not codec.startswith("pcm_"):
        hint = "Use WAV, FLAC, MP3, OGG or M4A; convert other formats first."
        raise AudioError("not_audio", name, f"its sound is coded as {codec}, which is not read here.", hint=hint)
    return stream


def _open_nothing(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise PermissionError(f"it asks for another file, {url[:100]!r}")
