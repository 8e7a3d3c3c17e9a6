from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from voxtune.dataset.clips import Clip, Split
from voxtune.dataset.split import TEST_SHARE, VALIDATION_SHARE, counts, split_by_sentence
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


def _sides(split: list[Clip]) -> dict[str, Split]:
    """On which side each sentence is; no sentence is on two."""
    sides: dict[str, Split] = {}
    for clip in split:
        assert clip.split
        assert sides.setdefault(sentence_key(clip.text), clip.split) == clip.split
    return sides


@given(texts=some.lists(some.sampled_from(SENTENCES), min_size=3, max_size=120), seed=some.integers(0, 99), cuts=some.lists(some.integers(3, 120), max_size=8))
def test_a_dataset_that_grows_never_moves_a_sentence(texts: list[str], seed: int, cuts: list[int]) -> None:
    clips, kept = _clips(texts), dict[str, Split]()
    for end in [*sorted(cuts), len(clips)]:
        if len({sentence_key(text) for text in texts[:end]}) < 3:
            continue
        split = split_by_sentence(clips[:end], seed=seed, kept=kept)
        sides = _sides(split)
        assert all(counts(split).values())
        assert all(sides[sentence] == side for sentence, side in kept.items())
        kept = sides


@pytest.mark.parametrize("step", [1, 7, 10])
@pytest.mark.parametrize("seed", range(5))
def test_a_dataset_that_grew_has_its_shares_as_one_made_at_once(step: int, seed: int) -> None:
    clips, kept = _clips([f"s {n}" for n in range(100)]), dict[str, Split]()
    for end in [*range(3, 100, step), 100]:
        kept = _sides(split_by_sentence(clips[:end], seed=seed, kept=kept))
    found = counts(split_by_sentence(clips, seed=seed, kept=kept))
    assert abs(found["test"] - 100 * TEST_SHARE) <= 1
    assert abs(found["validation"] - 100 * VALIDATION_SHARE) <= 1


def test_takes_of_a_sentence_follow_it_and_sentences_that_are_gone_do_no_harm() -> None:
    texts = [f"s {n}" for n in range(20)]
    kept = _sides(split_by_sentence(_clips(texts), seed=0))
    again = split_by_sentence(_clips([*texts[5:], *(text.upper() + "!" for text in texts[5:])]), seed=1, kept=kept)
    assert all(kept[sentence] == side for sentence, side in _sides(again).items())
    assert split_by_sentence(_clips(texts), seed=0, kept={}) == split_by_sentence(_clips(texts), seed=0, kept={"elsewhere": "test"})


@given(gone=some.sets(some.sampled_from(["test", "validation"]), min_size=1), num_new=some.integers(0, 4), seed=some.integers(0, 99))
def test_a_held_out_side_that_lost_all_its_clips_is_filled_with_new_sentences_before_old_ones(gone: set[str], num_new: int, seed: int) -> None:
    texts = [f"s {n}" for n in range(20)]
    kept = _sides(split_by_sentence(_clips(texts), seed=seed))
    left = [text for text in texts if kept[text] not in gone]
    split = split_by_sentence(_clips([*left, *(f"new {n}" for n in range(num_new))]), seed=seed, kept=kept)
    sides = _sides(split)
    assert all(counts(split).values())
    moved = [text for text in left if sides[text] != kept[text]]
    assert all(kept[text] == "train" for text in moved)
    assert len(moved) == max(0, len(gone) - num_new)


def test_what_was_held_out_is_never_trained_on() -> None:
    kept: dict[str, Split] = {"a": "train", "b": "test", "c": "test", "d": "validation", "e": "validation"}
    with pytest.raises(DatasetError, match="not trained on") as caught:
        split_by_sentence(_clips(["b", "c", "d", "e"]), seed=0, kept=kept)
    assert "Record" in caught.value.hint
    assert _sides(split_by_sentence(_clips(["b", "c", "d", "e", "new"]), seed=0, kept=kept))["new"] == "train"


def test_a_speaker_who_joins_two_sides_is_held_out() -> None:
    clips = [replace(clip, speaker=f"p{number}") for number, clip in enumerate(_clips([f"s {n}" for n in range(6)]))]
    kept = _sides(split_by_sentence(clips, seed=0, speakers_apart=True))
    trained = next(clip for clip in clips if kept[clip.text] == "train")
    tested = next(clip for clip in clips if kept[clip.text] == "test")
    joining = replace(trained, audio_path="new.wav", text=tested.text)
    split = split_by_sentence([*clips, joining], seed=0, speakers_apart=True, kept=kept)
    assert {clip.split for clip in split if clip.speaker in (trained.speaker, tested.speaker)} == {"test"}
