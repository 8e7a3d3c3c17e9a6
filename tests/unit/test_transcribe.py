from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from tests.support.clips import speech_like
from voxtune.evaluation.transcribe import pieces


@given(seconds=some.floats(0.1, 200), seed=some.integers(0, 9))
def test_pieces_are_the_whole_recording_and_none_is_over_30_s(seconds: float, seed: int) -> None:
    wave = np.random.default_rng(seed).standard_normal(round(seconds * 16_000)).astype(np.float32)
    found = pieces(wave)
    assert np.array_equal(np.concatenate(found), wave)
    assert all(0 < len(piece) <= 480_000 for piece in found)
    assert len(found) <= 1 + seconds / 22


def test_a_recording_is_cut_where_it_is_quiet() -> None:
    wave = speech_like(50).astype(np.float32)
    wave[26 * 16_000 : 26 * 16_000 + 8_000] = 0
    first, second = pieces(wave)
    assert 26.0 <= len(first) / 16_000 <= 26.5
    assert len(first) + len(second) == len(wave)
