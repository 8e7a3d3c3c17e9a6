from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.clips import sound_file, speech_like
from voxtune import audio
from voxtune.errors import AudioError


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_U8"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 2), (44_100, 1), (48_000, 3)])
def test_every_format_rate_and_channel_count_becomes_16_khz_mono(container: str, subtype: str, rate_hz: int, channels: int) -> None:
    if container == "MP3" and channels > 2:
        channels = 2
    wave = np.stack([speech_like(1.5, rate_hz=rate_hz)] * channels, axis=1)
    heard = audio.decode(sound_file(wave, rate_hz, container, subtype), name="x")
    assert heard.dtype == np.float32
    assert heard.ndim == 1
    assert abs(len(heard) - 24_000) <= (3_500 if container == "MP3" else 2)  # MP3 pads by whole frames
    assert 0.3 < np.abs(heard).max() < 0.7


def test_resampling_keeps_a_tone_where_it_was() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(48_000) / 48_000)
    heard = audio.decode(sound_file(tone, 48_000, "WAV", "FLOAT"), name="x")
    expected = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    assert np.abs(heard[400:-400] - expected[400:-400]).max() < 1e-3


def test_long_audio_decodes_in_blocks_as_it_does_at_once() -> None:
    wave = speech_like(40, rate_hz=44_100)
    import soxr

    whole = soxr.resample(wave.astype(np.float32), 44_100, 16_000)
    heard = audio.decode(sound_file(wave, 44_100, "WAV", "FLOAT"), name="x")
    assert len(heard) == len(whole)
    assert np.abs(heard - whole).max() < 1e-4


def test_float_samples_are_neither_quantised_nor_clipped() -> None:
    wave = np.linspace(-1.7, 1.7, 16_000, dtype=np.float32)
    assert np.array_equal(audio.decode(sound_file(wave, 16_000, "WAV", "FLOAT"), name="x"), wave)


def test_16_bit_samples_come_back_bit_for_bit() -> None:
    samples = np.arange(-32_768, 32_768, dtype=np.int16)
    once = audio.decode(sound_file(samples, 16_000, "WAV", "PCM_16"), name="x")
    again = audio.write_wav(once)
    assert np.array_equal(soundfile.read(io.BytesIO(again), dtype="int16")[0], samples)


def test_what_goes_beyond_full_scale_is_scaled_and_not_clipped() -> None:
    wave = (1.5 * np.sin(np.arange(16_000) / 50)).astype(np.float32)
    stored = audio.decode(audio.write_wav(wave), name="x")
    assert np.abs(stored - wave / 1.5).max() < 1e-4


def test_a_part_is_cut_out_at_its_seconds() -> None:
    wave = speech_like(3, rate_hz=16_000).astype(np.float32)
    data = sound_file(wave, 16_000, "WAV", "FLOAT")
    assert np.array_equal(audio.decode(data, name="x", start_s=1.0, end_s=2.5), wave[16_000:40_000])
    with pytest.raises(AudioError, match="does not lie within"):
        audio.decode(data, name="x", start_s=2.0, end_s=9.0)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"just some text that is no audio", "not_audio"),
        (b"#EXTM3U\n#EXTINF:5,\nfile:///etc/passwd\n", "not_audio"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_audio"),
        (b"\0" * 100, "not_audio"),
    ],
)
def test_what_is_not_audio_is_refused_whatever_its_name(tmp_path: Path, data: bytes, code: str) -> None:
    file = tmp_path / "e.wav"
    file.write_bytes(data)
    with pytest.raises(AudioError) as caught:
        audio.read(file)
    assert caught.value.code == code
    assert str(file) in caught.value.message
    assert caught.value.hint


def test_missing_empty_cut_off_and_not_numbers_are_told_apart(tmp_path: Path) -> None:
    wave = speech_like(2).astype(np.float32)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "none.wav").write_bytes(sound_file(np.zeros(0), 16_000, "WAV", "PCM_16"))
    (tmp_path / "cut.flac").write_bytes(sound_file(wave, 16_000, "FLAC", "PCM_16")[:9_000])
    wave[77] = np.nan
    (tmp_path / "nan.wav").write_bytes(sound_file(wave, 16_000, "WAV", "FLOAT"))
    codes = {}
    for name in ("gone.wav", "empty.wav", "none.wav", "cut.flac", "nan.wav"):
        with pytest.raises(AudioError) as caught:
            audio.read(tmp_path / name)
        codes[name] = caught.value.code
    assert codes == {"gone.wav": "missing", "empty.wav": "empty", "none.wav": "empty", "cut.flac": "unreadable", "nan.wav": "nan_or_inf"}


def test_a_header_with_an_absurd_rate_is_refused() -> None:
    data = bytearray(sound_file(speech_like(1), 16_000, "WAV", "PCM_16"))
    data[24:28] = (1).to_bytes(4, "little")
    with pytest.raises(AudioError, match="outside"):
        audio.decode(bytes(data), name="x")


def test_measures_tell_loud_from_clipped_and_quiet() -> None:
    good = speech_like(2).astype(np.float32)
    assert audio.measure(good).clipped_share == 0
    assert audio.measure(np.clip(good * 6, -1, 1)).clipped_share > 0.01
    loud_tone = (0.95 * np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000)).astype(np.float32)
    assert audio.measure(loud_tone).clipped_share == 0
    assert audio.measure(good * 0.005).speech_dbfs < -45
    assert -20 < audio.measure(good).speech_dbfs < -5
    assert audio.measure(good).duration_s == 2.0
