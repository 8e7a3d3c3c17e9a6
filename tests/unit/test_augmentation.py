from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.support.clips import speech_like
from voxtune.audio import measure
from voxtune.model.augmentation import Augmentation

RATE_HZ = 16_000
CHUNK_SAMPLES = 30 * RATE_HZ

Strength = Literal["light", "strong"]
SPEED = {"light": 0.05, "strong": 0.1}
GAIN_DB = {"light": (-6.0, 6.0), "strong": (-12.0, 6.0)}
SNR_DB = {"light": (15.0, 40.0), "strong": (5.0, 30.0)}
BANDS = {"light": 2 * 21, "strong": 2 * 43}
TIME_SHARE = {"light": 0.1, "strong": 0.2}

strengths = some.sampled_from(("light", "strong"))
numbers = some.integers(0, 2**32 - 1)
each_strength = pytest.mark.parametrize("strength", ["light", "strong"])


def _speech(duration_s: float = 1.0, *, peak: float = 0.3) -> np.ndarray:
    return speech_like(duration_s, peak=peak).astype(np.float32)


def _mel(num_frames: int = 240, seed: int = 0) -> torch.Tensor:
    """Where no value is the mean of all."""
    return torch.randn(128, num_frames, generator=torch.Generator().manual_seed(seed))


def _masked(augmentation: Augmentation, mel: torch.Tensor, variant: int = 1, clip: str = "a") -> torch.Tensor:
    """Which values of a variant are not those of the clip."""
    return augmentation.mel(mel, clip=clip, variant=variant) != mel


@settings(deadline=None)
@given(strength=some.sampled_from(("off", "light", "strong")), seed=numbers, clip=some.text())
def test_variant_0_is_the_clip_as_it_was_recorded(strength: Literal["off", "light", "strong"], seed: int, clip: str) -> None:
    augmentation, wave, mel = Augmentation(strength, seed=seed), _speech(0.1), _mel(10)
    assert np.array_equal(augmentation.wave(wave, clip=clip, variant=0), _speech(0.1))
    assert torch.equal(augmentation.mel(mel, clip=clip, variant=0), _mel(10))
    assert augmentation.key(0) == ""


@settings(deadline=None)
@given(seed=numbers, variant=some.integers(0, 1_000))
def test_off_changes_nothing(seed: int, variant: int) -> None:
    augmentation = Augmentation("off", seed=seed)
    assert np.array_equal(augmentation.wave(_speech(0.1), clip="a", variant=variant), _speech(0.1))
    assert torch.equal(augmentation.mel(_mel(10), clip="a", variant=variant), _mel(10))
    assert augmentation.key(variant) == ""


@settings(deadline=None)
@given(strength=strengths, seed=numbers, clip=some.text(), variant=some.integers(1, 1_000))
def test_seed_clip_and_variant_decide_all_whatever_was_drawn_before(strength: Strength, seed: int, clip: str, variant: int) -> None:
    first, second = Augmentation(strength, seed=seed), Augmentation(strength, seed=seed)
    first.wave(_speech(0.2), clip="another", variant=3)
    first.mel(_mel(), clip="another", variant=3)
    assert np.array_equal(first.wave(_speech(0.2), clip=clip, variant=variant), second.wave(_speech(0.2), clip=clip, variant=variant))
    assert torch.equal(first.mel(_mel(), clip=clip, variant=variant), second.mel(_mel(), clip=clip, variant=variant))


def test_another_seed_clip_variant_or_strength_is_another_sound() -> None:
    cases: list[tuple[Strength, int, str, int]] = [
        ("light", 0, "a", 1),
        ("light", 1, "a", 1),
        ("light", 0, "b", 1),
        ("light", 0, "a", 2),
        ("strong", 0, "a", 1),
    ]
    waves = {Augmentation(strength, seed=seed).wave(_speech(), clip=clip, variant=variant).tobytes() for strength, seed, clip, variant in cases}
    mels = {Augmentation(strength, seed=seed).mel(_mel(), clip=clip, variant=variant).numpy().tobytes() for strength, seed, clip, variant in cases}
    assert len(waves) == len(mels) == len(cases)


def test_a_key_names_strength_seed_and_variant() -> None:
    cases: list[tuple[Strength, int, int]] = [("light", 0, 1), ("light", 0, 2), ("light", 1, 1), ("strong", 0, 1)]
    assert len({Augmentation(strength, seed=seed).key(variant) for strength, seed, variant in cases}) == len(cases)


@each_strength
def test_what_a_key_stands_for_does_not_change_unnoticed(strength: Strength) -> None:
    """Whoever changes what is drawn raises _DRAWN_BY, and writes the new figures here: else a cache on disk would be taken for it."""
    augmentation = Augmentation(strength, seed=7)
    wave = augmentation.wave(_speech(), clip="golden", variant=3)
    places = torch.nonzero(_masked(augmentation, _mel(), 3, "golden"))
    rms = round(float(np.sqrt(np.mean(np.square(wave)))), 4)
    marks = hashlib.sha256(places.numpy().astype("<i4").tobytes()).hexdigest()[:8]
    expected = {
        "light": ("light-3-ffa93e8daa09fe17", 15679, 0.1867, "a29d88a0"),
        "strong": ("strong-3-c1b63ac053c9c1bb", 15371, 0.1837, "76a77314"),
    }
    assert (augmentation.key(3), len(wave), rms, marks) == expected[strength]


@settings(deadline=None)
@given(strength=strengths, seed=numbers, samples=some.integers(1, 40_000), peak=some.sampled_from((1e-38, 1e-6, 0.1, 1.0, 1.5, 1e30)))
def test_a_variant_is_whole_finite_and_no_louder_than_full_scale_or_before(strength: Strength, seed: int, samples: int, peak: float) -> None:
    wave = (np.resize(_speech(1.0, peak=1.0), samples + 1)[1:] * peak).astype(np.float32)
    given_wave = wave.copy()
    heard = Augmentation(strength, seed=seed).wave(wave, clip="a", variant=1)
    assert heard.dtype == np.float32
    assert len(heard) >= 1
    assert abs(len(heard) - samples) <= SPEED[strength] * samples / (1 - SPEED[strength]) + 1
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= max(1.0, np.abs(wave).max()) * (1 + 1e-6)
    assert np.array_equal(wave, given_wave)


@pytest.mark.parametrize("samples", [0, 1, 1_000])
def test_silence_stays_silence(samples: int) -> None:
    wave = np.zeros(samples, np.float32)
    assert np.array_equal(Augmentation("strong", seed=0).wave(wave, clip="a", variant=1), wave)


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("missing", [0, 1, 10_000])
def test_a_clip_fills_no_more_chunks_than_before(chunks: int, missing: int) -> None:
    samples = chunks * CHUNK_SAMPLES - missing
    wave = np.resize(_speech(), samples)
    lengths = [len(Augmentation("strong", seed=seed).wave(wave, clip="a", variant=1)) for seed in range(12)]
    assert max(lengths) <= chunks * CHUNK_SAMPLES
    assert max(lengths) >= samples  # slow ones go to the end of their room, and are not made fast instead
    assert min(lengths) < samples


def test_the_end_of_a_slow_clip_is_not_cut_off_at_the_end_of_its_chunk() -> None:
    wave = np.concatenate([np.zeros(CHUNK_SAMPLES - RATE_HZ // 2, np.float32), _speech(0.5)])
    for seed in range(12):
        heard = Augmentation("light", seed=seed).wave(wave, clip="a", variant=1)
        assert abs(int(np.argmax(np.abs(heard))) / len(heard) - int(np.argmax(np.abs(wave))) / len(wave)) < 1e-3


@each_strength
def test_what_would_be_too_loud_is_made_softer_and_not_clipped(strength: Strength) -> None:
    flat = _over_variants(strength, _speech(0.5, peak=1.0), lambda heard: measure(heard).clipped_share)
    assert flat.max() == 0


def _over_variants(strength: Strength, wave: np.ndarray, of: Callable[[np.ndarray], float], count: int = 60) -> np.ndarray:
    augmentation = Augmentation(strength, seed=0)
    return np.array([of(augmentation.wave(wave, clip="a", variant=variant)) for variant in range(1, count + 1)])


@each_strength
def test_speeds_fill_their_range_and_pitch_goes_along(strength: Strength) -> None:
    tone = (0.3 * np.sin(2 * np.pi * 1_000 * np.arange(RATE_HZ * 2) / RATE_HZ)).astype(np.float32)
    speeds = _over_variants(strength, tone, lambda heard: len(tone) / len(heard))
    assert 1 - SPEED[strength] - 1e-4 <= speeds.min() < 1 - 0.8 * SPEED[strength]
    assert 1 + 0.8 * SPEED[strength] < speeds.max() <= 1 + SPEED[strength] + 1e-4

    def pitch_hz(heard: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        return float(np.argmax(np.where(np.fft.rfftfreq(len(heard), 1 / RATE_HZ) > 500, spectrum, 0)) * RATE_HZ / len(heard))

    assert np.allclose(_over_variants(strength, tone, pitch_hz), 1_000 * speeds, atol=1)


@each_strength
def test_noise_is_as_loud_as_drawn(strength: Strength) -> None:
    """Half of the clip is silent, and what is heard there is the noise."""
    voice = _speech(4.0)
    half = np.concatenate([voice, np.zeros_like(voice)])

    def snr_db(heard: np.ndarray) -> float:
        noise = float(np.mean(np.square(heard[len(heard) * 5 // 8 :])))
        return 10 * float(np.log10((np.mean(np.square(heard)) - noise) / noise))

    found = _over_variants(strength, half, snr_db)
    low, high = SNR_DB[strength]
    assert low - 1 <= found.min() < low + 5  # within 1 dB: a part of the noise is not all of it
    assert high - 5 < found.max() <= high + 1


def test_noise_is_of_many_colours_and_covers_a_long_clip() -> None:
    wave = np.zeros(RATE_HZ * 20, np.float32)
    wave[:RATE_HZ] = _speech()

    def share_above_1_khz(heard: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(heard[RATE_HZ * 12 :])) ** 2
        return float(power[np.fft.rfftfreq(len(heard) - RATE_HZ * 12, 1 / RATE_HZ) > 1_000].sum() / power.sum())

    shares = _over_variants("light", wave, share_above_1_khz, count=30)
    assert shares.min() < 0.1
    assert shares.max() > 0.8


@each_strength
def test_gains_fill_their_range(strength: Strength) -> None:
    wave = _speech(0.5, peak=0.01)
    level = float(np.sqrt(np.mean(np.square(wave))))
    gains_db = _over_variants(strength, wave, lambda heard: 20 * float(np.log10(np.sqrt(np.mean(np.square(heard))) / level)))
    low, high = GAIN_DB[strength]
    assert low - 0.5 <= gains_db.min() < low + 2
    assert high - 2 < gains_db.max() <= high + 1.5  # noise of 5 dB below the voice adds 1.2 dB


@settings(deadline=None)
@given(strength=strengths, seed=numbers, num_frames=some.integers(1, 3_500))
def test_masks_are_bounded_and_all_else_is_as_it_was(strength: Strength, seed: int, num_frames: int) -> None:
    mel = _mel(num_frames)
    heard = Augmentation(strength, seed=seed).mel(mel, clip="a", variant=1)
    changed = heard != mel
    bands, frames = changed.all(dim=1), changed.all(dim=0)
    assert torch.equal(changed, bands[:, None] | frames[None, :])
    assert bands.sum() <= BANDS[strength]
    assert frames.sum() <= TIME_SHARE[strength] * num_frames
    assert torch.equal(heard[changed], mel.mean().expand(int(changed.sum())))
    assert torch.equal(mel, _mel(num_frames))


@each_strength
def test_longer_clips_have_more_masks_of_the_same_length(strength: Strength) -> None:
    def runs(num_frames: int) -> list[int]:
        """Lengths of what is masked in time, over 20 variants."""
        found = []
        for variant in range(1, 21):
            frames = _masked(Augmentation(strength, seed=0), _mel(num_frames), variant).all(dim=0).int()
            edges = torch.diff(frames, prepend=torch.zeros(1), append=torch.zeros(1))
            found += (torch.nonzero(edges == -1) - torch.nonzero(edges == 1)).flatten().tolist()
        return found

    short, long = runs(300), runs(3_000)
    assert 5 * len(short) < len(long)
    assert np.mean(long) < 1.5 * np.mean(short)  # some touch, and look like one


@each_strength
def test_a_very_short_clip_loses_no_time_at_all(strength: Strength) -> None:
    masked = [_masked(Augmentation(strength, seed=seed), _mel(90)).all(dim=0).any() for seed in range(20)]
    assert not any(masked)


@each_strength
def test_bands_and_time_are_masked_in_most_variants(strength: Strength) -> None:
    masked = [_masked(Augmentation(strength, seed=seed), _mel()) for seed in range(40)]
    assert sum(bool(each.all(dim=1).any()) for each in masked) > 35
    assert sum(bool(each.all(dim=0).any()) for each in masked) > 30
