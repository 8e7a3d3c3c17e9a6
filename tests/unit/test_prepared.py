"""Clips ready for the model: each is computed once, comes from memory or disk afterwards, and what is on disk is believed only as far as it is right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from voxtune.dataset import store
from voxtune.dataset.clips import Clip
from voxtune.model import kept_files, names, voxtral
from voxtune.model.augmentation import Augmentation
from voxtune.model.batches import Encoder
from voxtune.model.mel import Mel
from voxtune.model.prepared import VARIANTS, Hearing, PreparedClips, hearing
from voxtune.model.voxtral import Precision
from voxtune.settings import make

TINY = names.find("tiny")
FP32 = Precision(device="cpu", autocast=False, frozen=torch.float32)
TEXTS = ["play some jazz", "stop the music", "call anna", "what time is it", "turn on the lamp", "set a timer"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOXTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(TINY))


@pytest.fixture(scope="module")
def model() -> Any:
    return voxtral.load_base(TINY, FP32)


@pytest.fixture
def clips(dataset: Callable[..., Path]) -> list[Clip]:
    return store.load(dataset(TEXTS)).clips


def _hearing(model: Any, **values: object) -> Hearing:
    found = hearing(model, make({"data": "x", "freeze_audio_tower": True, **values}), FP32)
    assert found is not None
    return found


def test_each_clip_goes_through_the_tower_once(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    prepared = PreparedClips(clips, encoder, hearing=_hearing(model))
    first = [example.features for example in prepared]
    assert prepared.tally.computed == len(clips)
    again = [example.features for example in prepared]
    assert prepared.tally.computed == len(clips)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert first[0].shape == (1, 1_500, 128)


def test_the_next_run_finds_them_on_disk_wherever_the_clips_lie(model: Any, encoder: Encoder, clips: list[Clip], tmp_path: Path) -> None:
    before = [example.features for example in PreparedClips(clips, encoder, hearing=_hearing(model))]
    moved = tmp_path / "moved"
    shutil.copytree(clips[0].path.parent, moved)
    elsewhere = [Clip(audio_path=clip.audio_path, path=moved / clip.path.name, text=clip.text) for clip in clips]
    prepared = PreparedClips(elsewhere, encoder, hearing=_hearing(model))
    assert all(torch.equal(example.features, one) for example, one in zip(prepared, before, strict=True))
    assert (prepared.tally.computed, prepared.tally.from_disk, prepared.tally.damaged) == (0, len(clips), False)


def test_durations_and_tokens_are_the_same_from_disk(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    plain = PreparedClips(clips, encoder)
    for _ in range(2):
        for one, other in zip(PreparedClips(clips, encoder, hearing=_hearing(model)), plain, strict=True):
            assert (one.input_ids, one.labels, one.duration_s, one.number) == (other.input_ids, other.labels, other.duration_s, other.number)


def test_another_recording_under_the_same_name_is_another_clip(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    before = PreparedClips(clips, encoder, hearing=_hearing(model))[0].features
    shutil.copy(clips[1].path, clips[0].path)
    assert not torch.equal(PreparedClips(clips, encoder, hearing=_hearing(model))[0].features, before)


def test_outputs_of_other_weights_are_not_taken(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    list(PreparedClips(clips, encoder, hearing=_hearing(model)))
    other = voxtral.load_base(TINY, FP32)
    with torch.no_grad():
        voxtral.inner(other).audio_tower.layers[0].fc1.weight.mul_(1.01)
    prepared = PreparedClips(clips, encoder, hearing=_hearing(other))
    list(prepared)
    assert prepared.tally.from_disk == 0


def test_what_lies_on_disk_is_compared_with_the_model_and_thrown_away_if_it_is_wrong(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    """Whole and with the right digest, but not what the model gives: as from a machine that computes wrongly."""
    right = [example.features for example in PreparedClips(clips, encoder, hearing=_hearing(model))]
    heard = _hearing(model)
    assert heard.kept is not None
    prepared = PreparedClips(clips, encoder, hearing=heard)
    for place in range(len(clips)):
        heard.kept.put(prepared._key((place, 0)), right[place] * 1.01, duration_s=1.0)
    prepared = PreparedClips(clips, encoder, hearing=_hearing(model))
    assert all(torch.allclose(example.features, one, atol=1e-5) for example, one in zip(prepared, right, strict=True))
    assert prepared.tally.damaged
    assert prepared.tally.computed == len(clips)


def test_beyond_the_memory_budget_clips_are_mapped_from_disk(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    prepared = PreparedClips(clips, encoder, hearing=_hearing(model), budget_bytes=2 * 1_500 * 128 * 4)
    for _ in range(2):
        assert len([example.features for example in prepared]) == len(clips)
    assert prepared.tally.computed == len(clips)
    assert prepared.tally.from_disk > 0
    assert len(prepared._memory) == 2


def test_without_the_cache_nothing_is_kept(model: Any, encoder: Encoder, clips: list[Clip]) -> None:
    prepared = PreparedClips(clips, encoder, hearing=_hearing(model, tower_cache=False))
    first = [example.features for example in prepared]
    assert torch.equal(prepared[0].features, first[0])
    assert prepared.tally.computed == len(clips) + 1
    assert kept_files.size_bytes() == 0


def test_what_is_read_ahead_is_what_is_asked_for(encoder: Encoder, clips: list[Clip]) -> None:
    plain = [example.features for example in PreparedClips(clips, encoder)]
    prepared = PreparedClips(clips, encoder)
    prepared.ahead([(place, 0) for place in range(len(clips))])
    assert all(torch.equal(example.features, one) for example, one in zip(prepared, plain, strict=True))


def test_a_clip_that_cannot_be_read_ahead_is_told_when_it_is_asked_for(encoder: Encoder, clips: list[Clip]) -> None:
    from voxtune.errors import AudioError

    clips[2].path.write_bytes(b"")
    prepared = PreparedClips(clips, encoder)
    prepared.ahead([(2, 0)])
    with pytest.raises(AudioError, match=clips[2].path.name):
        prepared.examples([(2, 0)])


@pytest.mark.parametrize("cached", [True, False])
def test_every_other_epoch_hears_the_clips_as_recorded_and_kept_variants_come_back(model: Any, encoder: Encoder, clips: list[Clip], cached: bool) -> None:
    heard = _hearing(model) if cached else None
    prepared = PreparedClips(clips, encoder, hearing=heard, augmentation=Augmentation("strong", seed=3))
    variants = [prepared.variant(epoch) for epoch in range(12)]
    assert variants[::2] == [0] * 6
    altered = variants[1::2]
    assert altered == ([1, 2, 3, 1, 2, 3] if cached else [1, 2, 3, 4, 5, 6])
    assert 0 < max(altered[:3]) < VARIANTS

    plain = PreparedClips(clips, encoder, hearing=heard)
    sounds = [prepared.examples([(0, variant)])[0].features for variant in (0, 1, 2)]
    assert torch.equal(sounds[0], plain[0].features)
    assert not torch.equal(sounds[1], sounds[0])
    assert not torch.equal(sounds[1], sounds[2])
    again = PreparedClips(clips, encoder, hearing=_hearing(model) if cached else None, augmentation=Augmentation("strong", seed=3))
    assert torch.equal(again.examples([(0, 2)])[0].features, sounds[2])
    assert (again.tally.from_disk == 1) is cached


def test_short_clips_take_little_memory(encoder: Encoder, clips: list[Clip]) -> None:
    sound = PreparedClips(clips, encoder)[0].sound
    assert isinstance(sound, Mel)
    assert sound.nbytes < sound.chunks().nbytes / 5
