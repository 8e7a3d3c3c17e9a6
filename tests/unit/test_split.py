from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from voxtune.dataset.clips import Clip
from voxtune.dataset.split import counts, split_by_sentence
from voxtune.errors import DatasetError
from voxtune.phrases.cleaning import sentence_key


def _clips(texts: list[str]) -> list[Clip]:
    return [Clip(audio_path=f"{number}.wav", path=Path(f"{number}.wav"), text=text) for number, text in enumerate(texts)]


SENTENCES = [f"sentence {number}" for number in range(40)] + ["Sentence 1!", "SENTENCE 2"]


@given(texts=some.lists(some.sampled_from(SENTENCES), min_size=3, max_size=120), seed=some.integers(0, 999))
def test_no_sentence_is_on_two_sides_and_every_side_has_a_clip(texts: list[str], seed: int) -> None:
    clips = _clips(texts)
    if len({sentence_key(text) for text in texts}) < 3:
        with pytest.raises(DatasetError, match="at least 3"):
            split_by_sentence(clips, seed=seed)
        return
    split = split_by_sentence(clips, seed=seed)
    assert [replace(clip, split=None) for clip in split] == clips
    sides: dict[str, set[str | None]] = {}
    for clip in split:
        sides.setdefault(sentence_key(clip.text), set()).add(clip.split)
    assert all(len(found) == 1 for found in sides.values())
    assert all(counts(split).values())
    assert split == split_by_sentence(clips, seed=seed)


@pytest.mark.parametrize(("total", "low", "high"), [(10, 0.15, 0.25), (20, 0.15, 0.2), (50, 0.15, 0.2), (100, 0.15, 0.2), (1_000, 0.15, 0.2)])
def test_about_a_fifth_is_held_out(total: int, low: float, high: float) -> None:
    found = counts(split_by_sentence(_clips([f"s {n}" for n in range(total)]), seed=1))
    assert low <= (found["test"] + found["validation"]) / total <= high


def test_another_seed_gives_another_split() -> None:
    clips = _clips([f"s {n}" for n in range(50)])
    assert split_by_sentence(clips, seed=1) != split_by_sentence(clips, seed=2)


def test_speakers_stay_apart_when_asked() -> None:
    clips = [replace(clip, speaker=f"p{number % 8}") for number, clip in enumerate(_clips([f"s {n}" for n in range(80)]))]
    split = split_by_sentence(clips, seed=0, speakers_apart=True)
    sides: dict[str | None, set[str | None]] = {}
    for clip in split:
        sides.setdefault(clip.speaker, set()).add(clip.split)
    assert all(len(found) == 1 for found in sides.values())
    assert all(counts(split).values())


def test_speakers_that_read_the_same_sentences_cannot_be_kept_apart() -> None:
    clips = [replace(clip, speaker=f"p{number // 10}") for number, clip in enumerate(_clips([f"s {n % 10}" for n in range(40)]))]
    with pytest.raises(DatasetError, match="kept apart"):
        split_by_sentence(clips, seed=0, speakers_apart=True)
    with pytest.raises(DatasetError, match="no speaker"):
        split_by_sentence(_clips(["a", "b", "c"]), seed=0, speakers_apart=True)


def test_a_split_that_is_given_whole_is_kept() -> None:
    sides = ["train", "test", "validation", "train"]
    clips = [replace(clip, split=side) for clip, side in zip(_clips(["a", "b", "c", "d"]), sides, strict=True)]
    assert split_by_sentence(clips, seed=5) == clips
