"""M4A, WebM and their kin: what phones and browsers write, opened by our own sniffing and never by name."""

from __future__ import annotations

import io
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import sound_file, speech_like
from voxtune import audio, containers
from voxtune.errors import AudioError

PLAYLISTS = [
    b"#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"<?xml version='1.0'?><MPD><BaseURL>/etc/passwd</BaseURL></MPD>",
]


def _contained(wave: np.ndarray, rate_hz: int, container: str, codec: str, *, options: dict[str, str] | None = None) -> bytes:
    """[C, T] as phones and browsers write it."""
    layout = "mono" if len(wave) == 1 else "stereo"
    with tempfile.TemporaryDirectory() as folder:  # faststart opens what it wrote by its name
        place = Path(folder) / "recording"
        _encode(place, wave, rate_hz, container, codec, layout, options or {})
        return place.read_bytes()


def _encode(place: Path, wave: np.ndarray, rate_hz: int, container: str, codec: str, layout: str, options: dict[str, str]) -> None:
    with av.open(str(place), "w", format=container, options=options) as file:
        stream = file.add_stream(codec, rate=rate_hz, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave, np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        for part in (frame, None):
            file.mux(stream.encode(part))


def _video() -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    return buffer.getvalue()


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "options"),
    [
        ("ipod", "aac", 44_100, None),
        ("ipod", "aac", 16_000, {"movflags": "faststart"}),
        ("ipod", "alac", 16_000, None),
        ("mp4", "aac", 48_000, FRAGMENTED),  # Safari's MediaRecorder
        ("mp4", "libopus", 48_000, None),
        ("webm", "libopus", 48_000, None),
        ("webm", "libopus", 48_000, {"live": "1"}),  # Chrome's MediaRecorder: no length in the header
        ("matroska", "pcm_s16le", 16_000, None),
        ("adts", "aac", 44_100, None),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_phones_and_browsers_record_is_read(
    tmp_path: Path, container: str, codec: str, rate_hz: int, options: dict[str, str] | None, channels: int
) -> None:
    wave = np.concatenate((np.zeros(rate_hz // 4), speech_like(2.5, rate_hz=rate_hz), np.zeros(rate_hz // 4)))
    if codec in ("alac", "pcm_s16le"):
        data = _contained_integers(wave, channels, container, codec)
    else:
        data = _contained(np.stack([wave] * channels), rate_hz, container, codec, options=options)
    file = tmp_path / "recording.wav"  # the name decides nothing
    file.write_bytes(data)
    heard = audio.read(file)
    assert heard.dtype == np.float32
    expected = audio.decode(sound_file(wave, rate_hz, "WAV", "FLOAT"), name="x")
    # Where no header says how much of the first frames is the encoder's own, they stay.
    headless = container == "adts" or options is FRAGMENTED
    assert abs(len(heard) - len(expected)) <= (1_600 if headless else 800)
    assert _correlation(heard, expected, most=1_600 if headless else 100) > 0.99
    assert 0.9 < np.abs(heard).max() / np.abs(expected).max() < 1.1


def _contained_integers(wave: np.ndarray, channels: int, container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    layout = "mono" if channels == 1 else "stereo"
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=16_000, layout=layout)
        stream.codec_context.format = "s16p" if codec == "alac" else "s16"
        samples = np.repeat(np.round(wave * 32_767).astype(np.int16)[None], channels, axis=0)
        if codec != "alac":
            samples = samples.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=stream.codec_context.format.name, layout=layout)
        frame.sample_rate, frame.pts = 16_000, 0
        for part in (frame, None):
            file.mux(stream.encode(part))
    return buffer.getvalue()


def _correlation(heard: np.ndarray, expected: np.ndarray, *, most: int) -> float:
    """The best at any delay up to `most` samples."""
    window = expected[8_000:32_000]
    return max(float(np.corrcoef(heard[8_000 + delay : 32_000 + delay], window)[0, 1]) for delay in range(-100, most))


def test_channels_of_an_m4a_are_averaged() -> None:
    wave = speech_like(2)
    heard = audio.decode(_contained(np.stack([wave, np.zeros_like(wave)]), 16_000, "ipod", "aac"), name="x")
    assert 0.45 < np.abs(heard).max() / np.abs(wave).max() < 0.55


@pytest.mark.parametrize(("container", "codec", "rate_hz"), [("ipod", "aac", 44_100), ("webm", "libopus", 48_000)])
def test_a_part_of_an_m4a_is_cut_out_at_its_seconds(container: str, codec: str, rate_hz: int) -> None:
    data = _contained(speech_like(3, rate_hz=rate_hz)[None], rate_hz, container, codec)
    whole = audio.decode(data, name="x")
    part = audio.decode(data, name="x", start_s=1.0, end_s=2.5)
    assert len(part) == 24_000
    assert np.abs(part[100:-100] - whole[16_100:39_900]).max() < 1e-3
    assert abs(len(audio.decode(data, name="x", start_s=1.0)) - 32_000) <= 800
    assert len(audio.decode(data, name="x", end_s=2.5)) == 40_000
    for start_s, end_s in ((2.0, 9.0), (5.0, None), (2.0, 1.0), (-1.0, 1.0), (1.0, 1.0)):
        with pytest.raises(AudioError, match="does not lie within"):
            audio.decode(data, name="x", start_s=start_s, end_s=end_s)


@pytest.mark.parametrize("options", [None, {"movflags": "faststart"}])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
def test_an_m4a_that_is_cut_off_is_an_error_in_words(options: dict[str, str] | None, kept: float) -> None:
    data = _contained(speech_like(6)[None], 16_000, "ipod", "aac", options=options)
    with pytest.raises(AudioError) as caught:
        audio.decode(data[: round(len(data) * kept)], name="x")
    assert caught.value.code == "unreadable"
    assert caught.value.hint


def test_damage_anywhere_is_survived() -> None:
    rng, hints = np.random.default_rng(0), list[str]()
    for container, codec, rate_hz in (("ipod", "aac", 16_000), ("webm", "libopus", 48_000), ("adts", "aac", 16_000)):
        data = _contained(speech_like(1, rate_hz=rate_hz)[None], rate_hz, container, codec)
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 20)):
                broken[place] = rng.integers(0, 256)
            try:
                audio.decode(bytes(broken[: rng.integers(8, len(broken))]), name="x")
            except AudioError as error:
                hints.append(error.hint)
    assert len(hints) > 60
    assert all(hints)


@pytest.mark.parametrize("playlist", PLAYLISTS)
@pytest.mark.parametrize("magic", [b"", b"\0\0\0\x18ftypM4A ", b"\x1a\x45\xdf\xa3", b"\xff\xf1"])
def test_a_playlist_is_refused_and_what_it_names_is_not_opened(tmp_path: Path, playlist: bytes, magic: bytes) -> None:
    treasure = tmp_path / "treasure.wav"
    treasure.write_bytes(sound_file(speech_like(2), 16_000, "WAV"))
    for name in ("e.m4a", "e.webm", "e.m3u8", "e.wav"):
        file = tmp_path / name
        file.write_bytes(magic + playlist.replace(b"/etc/passwd", bytes(treasure)))
        with pytest.raises(AudioError) as caught:
            audio.read(file)
        assert caught.value.code in ("not_audio", "unreadable", "empty")


def test_no_playlist_gets_as_far_as_ffmpeg() -> None:
    assert [containers.sniff(playlist) for playlist in PLAYLISTS] == [None] * len(PLAYLISTS)
    assert {containers.sniff(sound_file(speech_like(1), 16_000, kind)) for kind in ("WAV", "FLAC", "MP3", "OGG", "AIFF")} == {None}
    assert containers.sniff(b"") is None


def test_a_film_without_sound_is_told_from_damage() -> None:
    with pytest.raises(AudioError, match="no sound") as caught:
        audio.decode(_video(), name="x")
    assert caught.value.code == "not_audio"


def test_a_codec_that_is_on_no_list_is_not_decoded() -> None:
    data = _contained(speech_like(1, rate_hz=48_000)[None], 48_000, "mp4", "ac3")
    with pytest.raises(AudioError, match="ac3") as caught:
        audio.decode(data, name="x")
    assert caught.value.code == "not_audio"


def test_what_unpacks_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_S", 2.0)
    data = _contained(np.zeros((1, 5 * 48_000)), 48_000, "webm", "libopus")
    with pytest.raises(AudioError) as caught:
        audio.decode(data, name="x")
    assert caught.value.code == "too_long"
    assert len(audio.decode(data, name="x", end_s=1.5)) == 24_000


def test_without_the_studio_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _contained(speech_like(1)[None], 16_000, "ipod", "aac")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match="av is not installed") as caught:
        audio.decode(data, name="x")
    assert "voxtune[studio]" in caught.value.hint
    assert "WAV" in caught.value.hint


def test_the_original_samples_of_a_wav_are_not_touched() -> None:
    samples = np.random.default_rng(0).integers(-32_768, 32_767, (44_100, 2), np.int16)
    found, rate_hz, duration_s = audio.original(sound_file(samples, 44_100, "WAV"), name="x", longest_s=0.5)
    assert (rate_hz, duration_s) == (44_100, 1.0)
    assert np.array_equal(found, samples[:22_050].astype(np.float32) / 32_768)
    with pytest.raises(AudioError, match="FLAC, not WAV"):
        audio.original(sound_file(samples, 44_100, "FLAC"), name="x", longest_s=9)
