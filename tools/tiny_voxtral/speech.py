"""Sentences of the practice grammar spoken by espeak-ng in many voices, and the rooms and microphones they are heard through."""

from __future__ import annotations

import io
import itertools
import random
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from voxtune.phrases import practice

Wave = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt3", "klatt4"),
    *("adam", "Alex", "Alicia", "Andrea", "Andy", "Annie", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david"),
    *("Denis", "Diogo", "ed", "edward", "Gene", "gustave", "Henrique", "Hugo", "iven", "iven3", "Jacky", "john", "kaukovalta"),
    *("Lee", "linda", "marcelo", "Marco", "Mario", "Max", "michael", "michel", "miguel", "mike", "Nguyen", "pablo", "paul"),
    *("pedro", "quincy", "rob", "robert", "steph", "steph3", "travis", "victor", "Zac", "anika", "grandma", "grandpa", "norbert"),
)


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One way for espeak-ng to speak."""

    name: str
    speed_wpm: int
    pitch: int
    """0-99, espeak-ng's scale."""
    gap_10ms: int
    """Extra pause between words, in units of 10 ms."""


def draw_voice(rng: random.Random) -> Voice:
    """A random voice of those that the tiny model is trained on."""
    name = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
    return Voice(name=name, speed_wpm=rng.randint(125, 210), pitch=rng.randint(15, 85), gap_10ms=rng.choice((0, 0, 0, 1, 3)))


def draw_loose(rng: random.Random) -> str:
    """Words of the grammar in no order."""
    return " ".join(rng.choices(practice.words(), k=rng.randint(1, 6)))


def draw_text(rng: random.Random) -> str:
    """Mostly commands; one in four is loose words, so that the decoder must listen rather than guess."""
    return practice.draw(rng) if rng.random() < 0.75 else draw_loose(rng)


def espeak(text: str, voice: Voice) -> Wave:
    """`text` spoken by espeak-ng, [T] mono at 16 kHz."""
    command = ["espeak-ng", "-v", voice.name, "-s", str(voice.speed_wpm), "-p", str(voice.pitch), "-g", str(voice.gap_10ms), "--stdout", text]
    return _decode(subprocess.run(command, capture_output=True, check=True).stdout)


def flite(text: str, voice: str, *, stretch: float = 1.0) -> Wave:
    """`text` spoken by a voice of flite, [T] mono at 16 kHz; the tiny model is never trained on these."""
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", "/dev/stdout"]
    return _decode(subprocess.run(command, capture_output=True, check=True).stdout)


def _decode(wav: bytes) -> Wave:
    # Both programs write a WAV header to a pipe before they know the length, so the samples are read as the raw rest of the file.
    rate_hz = int.from_bytes(wav[24:28], "little")
    start = wav.index(b"data") + 8
    samples = np.frombuffer(wav[start : start + (len(wav) - start) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0
    return samples if rate_hz == SAMPLE_RATE_HZ else np.asarray(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)


TRAINING_SEEDS = (1, 2)
NUM_UTTERANCES = 9_000
"""Utterances drawn with each of TRAINING_SEEDS."""


def plan(count: int, *, seed: int, draw: Callable[[random.Random], str] = draw_text) -> list[tuple[str, Voice]]:
    """`count` random texts, each with a random voice."""
    rng = random.Random(seed)
    return [(draw(rng), draw_voice(rng)) for _ in range(count)]


def plan_unseen(count: int, *, seed: int) -> list[tuple[str, Voice]]:
    """`count` commands that are in no training utterance, each with a random voice of those trained on."""
    known = {text for training_seed in TRAINING_SEEDS for text, _ in plan(NUM_UTTERANCES, seed=training_seed)}
    fresh = ((text, voice) for text, voice in plan(50 * count, seed=seed, draw=practice.draw) if text not in known)
    return list(itertools.islice(fresh, count))


def speak(jobs: Sequence[tuple[str, Voice]]) -> list[Wave]:
    """Each text in its voice."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda job: espeak(*job), jobs))


def disturb(wave: Wave, rng: np.random.Generator, *, strength: float = 1.0) -> Wave:
    """The same utterance at another pace, in another room, through another microphone, with noise; peak at most 1.

    `strength` from 0 to 1 scales how far pace, microphone, room and noise go.
    """
    pace = 1 + strength * rng.uniform(-0.12, 0.14)  # pitch and formants move along, as with another speaker
    wave = soxr.resample(wave, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * pace).astype(np.float32)
    lead, tail = rng.integers(0, 9_000), rng.integers(800, 6_000)
    wave = np.concatenate([np.zeros(lead, np.float32), wave, np.zeros(tail, np.float32)])
    size = len(wave) + 8_000
    spectrum: npt.NDArray[np.complex128] = np.fft.rfft(wave, size)
    frequency_hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ)
    if rng.random() < 0.5 * strength:
        decay_s = rng.uniform(0.05, 0.4)
        time_s = np.arange(8_000) / SAMPLE_RATE_HZ
        room = rng.standard_normal(8_000) * np.exp(-6.9 * time_s / decay_s) * rng.uniform(0.02, 0.15)
        room[0] = 1.0
        spectrum = spectrum * np.fft.rfft(room, size)
    # A microphone: a smooth random curve over log frequency, +-9 dB.
    knots_db = rng.uniform(-9, 9, size=7) * strength
    spectrum = spectrum * 10 ** (np.interp(np.log(frequency_hz + 50), np.linspace(np.log(50), np.log(8_050), 7), knots_db) / 20)
    heard = np.fft.irfft(spectrum, size)[: len(wave)]
    if rng.random() < 0.85:
        colour = rng.uniform(0, 1)  # 0 white, 1 pink
        noise_spectrum = np.fft.rfft(rng.standard_normal(len(heard)))
        noise_spectrum /= np.maximum(np.arange(len(noise_spectrum)), 1) ** (colour / 2)
        noise = np.fft.irfft(noise_spectrum, len(heard))
        snr_db = rng.uniform(24 - 18 * strength, 40)
        heard = heard + noise * np.sqrt(np.mean(heard**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    return np.asarray(heard / np.abs(heard).max() * 10 ** rng.uniform(-1.2, -0.05), dtype=np.float32)


def flac(wave: Wave) -> bytes:
    """16-bit FLAC of [T] mono at 16 kHz."""
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
