"""Generation in batches, and what base and tuned model share of it: the same texts as when each clip is heard alone by each model."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from transformers import VoxtralForConditionalGeneration

from tests.support.clips import speech_like
from voxtune import audio, files
from voxtune import settings as settings_files
from voxtune.dataset.clips import Clip
from voxtune.evaluation import listen, report, transcribe
from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder, Example
from voxtune.model.tower import AudioPath, Depth
from voxtune.workspace import RunFolder

TINY = names.find("tiny")
FP32 = voxtral.Precision(device="cpu", autocast=False, frozen=torch.float32)
NUM_CLIPS = 3

TUNED: dict[str, tuple[dict[str, object], str]] = {
    "adapter, tower frozen": ({"lora_scope": "language_model"}, "lora_"),
    "adapter, upper tower": ({"train_tower_layers": 1}, "lora_"),
    "adapter, all": ({}, "lora_"),
    "full, tower frozen": ({"method": "full", "freeze_audio_tower": True}, "language_model"),
    "full, but with another tower than its settings say": ({"method": "full", "freeze_audio_tower": True}, "audio_tower.layers.0"),
}
"""Settings, and which weights differ from the base's."""
SHARED = {"adapter, tower frozen": 1, "adapter, upper tower": 1, "adapter, all": 0, "full, tower frozen": 1}
"""Times that each clip is kept, of those that are what their settings say."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads wait for each other token by token, which is slow where the machine has other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(TINY))


@pytest.fixture(scope="module")
def tiny() -> VoxtralForConditionalGeneration:
    return voxtral.load_base(TINY, FP32)


@torch.inference_mode()
def _alone(model: Any, encoder: Encoder, prompt: Example) -> str:
    """What stock generation says of one clip."""
    inputs = {name: value for name, value in encoder.collate([prompt]).items() if name != "labels"}
    limit = transcribe.limit_tokens(prompt)
    out = model.generate(**inputs, max_new_tokens=limit, do_sample=False, eos_token_id=encoder.end_id, pad_token_id=encoder.pad_id)
    return encoder.decode(out[0, inputs["input_ids"].shape[1] :].tolist()).strip()


def _prompts(encoder: Encoder, rows: list[tuple[Path, str]]) -> list[Example]:
    """Clips of many lengths, one of two chunks, some with a language and some without."""
    waves = [audio.read(path) for path, _ in rows]
    waves.insert(2, np.concatenate(waves * 3)[: 31 * 16_000])
    assert len(waves[2]) > 30 * 16_000
    return [encoder.example(wave, language="en" if number % 3 else None, text=None) for number, wave in enumerate(waves)]


def _quick(encoder: Encoder, rows: list[tuple[Path, str]]) -> tuple[Any, list[Example]]:
    """A model, and prompts of clips that have been through its tower."""
    model = voxtral.load_base(TINY, FP32)
    prompts = [encoder.example(audio.read(path), language="en", text=None) for path, _ in rows]
    return model, transcribe.begun(prompts, AudioPath(model, Depth(layers=3, projected=True), FP32))


def test_batches_hear_what_each_clip_alone_gives(encoder: Encoder, tiny: VoxtralForConditionalGeneration, demo_rows: list[tuple[Path, str]]) -> None:
    prompts = _prompts(encoder, demo_rows[:9])
    done: list[int] = []
    heard = transcribe.transcribe(tiny, encoder, prompts, FP32, batch_size=4, progress=done.append)
    assert heard == [_alone(tiny, encoder, prompt) for prompt in prompts]
    assert done == sorted(done)
    assert done[-1] == len(prompts)


def test_more_clips_than_are_read_at_once_stay_in_order(encoder: Encoder, demo_rows: list[tuple[Path, str]]) -> None:
    model, prompts = _quick(encoder, demo_rows[:18])
    one_by_one = transcribe.transcribe(model, encoder, prompts, FP32, batch_size=1)  # 16 and then 2
    assert one_by_one == transcribe.transcribe(model, encoder, prompts, FP32, batch_size=18)
    assert one_by_one == [_alone(model, encoder, prompt) for prompt in prompts]


def test_a_model_in_a_loop_is_stopped_by_each_clips_own_limit(tiny: VoxtralForConditionalGeneration) -> None:
    encoder = Encoder(voxtral.load_processor(TINY))
    encoder.end_id = encoder.audio_id  # never said, so no clip comes to an end
    prompts = [encoder.example(speech_like(seconds), language="en", text=None) for seconds in (0.2, 2.0, 1.0)]
    heard = transcribe.transcribe(tiny, encoder, prompts, FP32, batch_size=3)
    assert heard == [_alone(tiny, encoder, prompt) for prompt in prompts]
    assert len(heard[1]) > len(heard[2]) > len(heard[0])


_SOUND = torch.empty(0)


@given(
    clips=some.lists(some.tuples(some.integers(1, 6), some.integers(0, 2), some.floats(0.1, 1.0)), max_size=40),
    batch_size=some.integers(1, 9),
)
def test_a_batch_holds_one_length_and_no_more_than_its_share_of_tokens(clips: list[tuple[int, int, float]], batch_size: int) -> None:
    prompts = [
        Example(input_ids=[0] * (375 * chunks + words), labels=[], sound=torch.empty(chunks, 0), duration_s=30 * (chunks - 1) + 30 * part)
        for chunks, words, part in clips
    ]
    found = list(transcribe.batches(prompts, batch_size))
    assert Counter(place for places in found for place in places) == Counter(range(len(prompts)))
    for places in found:
        assert len({len(prompts[place].input_ids) for place in places}) == 1
        assert len(places) == 1 or len(places) * prompts[places[0]].num_chunks <= batch_size
    lengths = [(len(prompts[place].input_ids), prompts[place].duration_s) for places in found for place in places]
    assert lengths == sorted(lengths, reverse=True)


def test_files_of_any_length_are_heard_as_one_by_one(
    encoder: Encoder, tiny: VoxtralForConditionalGeneration, demo_rows: list[tuple[Path, str]], tmp_path: Path
) -> None:
    paths = [path for path, _ in demo_rows[:4]]
    long = tmp_path / "long.wav"
    long.write_bytes(audio.write_wav(np.concatenate([audio.read(path) for path in paths * 5])))
    mixed = [paths[0], long, *paths[1:]]
    done: list[int] = []
    heard = transcribe.transcribe_files(tiny, encoder, mixed, FP32, language="en", progress=done.append)
    alone = [[_alone(tiny, encoder, prompt) for prompt in transcribe.prompts_of(path, encoder, language="en")] for path in mixed]
    assert len(alone[1]) > 1
    assert heard == [" ".join(texts) for texts in alone]
    assert done[-1] == len(mixed)


def _run(folder: Path, which: str, rows: list[tuple[Path, str]]) -> RunFolder:
    """A run as training leaves it, its weights moved at random."""
    changes, differing = TUNED[which]
    settings = settings_files.make({"data": "x", "model": "tiny", "precision": "fp32", "eval_batch_size": 2, **changes})
    model: Any = voxtral.prepare_training(voxtral.load_base(TINY, FP32), settings)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if differing in name:
                weight += 0.05 * torch.randn_like(weight)
    run = RunFolder(folder / "run")
    run.path.mkdir()
    settings_files.save(settings, run.settings)
    clips = [Clip(audio_path=str(path), path=path, text=text, language="en", split="test") for path, text in rows]
    files.write_lines(run.clips, [clip.row(clip.audio_path) for clip in clips])
    with files.replaced_folder(run.model) as partial:
        voxtral.save(model, voxtral.load_processor(TINY), partial)
    return run


def _heard_apart(run: RunFolder, encoder: Encoder, paths: list[Path]) -> list[tuple[str, str]]:
    """What base and tuned model say of each file, each loaded anew and from the audio on."""
    prompts = [encoder.example(audio.read(path), language="en", text=None) for path in paths]
    base, tuned = (voxtral.load(place, FP32) for place in (TINY, names.find(str(run.path))))
    return [(_alone(base, encoder, prompt), _alone(tuned, encoder, prompt)) for prompt in prompts]


@pytest.mark.parametrize("which", TUNED)
def test_base_and_tuned_share_what_they_can_and_hear_what_they_hear_apart(
    which: str, encoder: Encoder, demo_rows: list[tuple[Path, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXTUNE_CACHE", str(tmp_path / "cache"))
    rows = demo_rows[:NUM_CLIPS]
    run = _run(tmp_path, which, rows)
    expected = _heard_apart(run, encoder, [path for path, _ in rows])
    assert len({tuned for _, tuned in expected} | {base for base, _ in expected}) > NUM_CLIPS  # they do answer differently
    gc.collect()
    before = _num_models()
    loaded: set[int] = set()
    found = report.evaluate(run, settings_files.load(run.settings, {}), progress=lambda *_: loaded.add(_num_models() - before))
    heard = {clip["audio_path"]: (clip["base_text"], clip["tuned_text"]) for clip in found["clips"]}
    assert [heard[str(path)] for path, _ in rows] == expected
    assert loaded == {1}
    assert set(found["seconds"]) == {"load", "base", "tuned", "total"}
    entries = len(list((tmp_path / "cache").rglob("*.safetensors")))
    assert entries == NUM_CLIPS * SHARED.get(which, 2)


def _num_models() -> int:
    return sum(type(each) is VoxtralForConditionalGeneration for each in gc.get_objects())


@pytest.mark.parametrize("which", TUNED)
def test_a_pair_that_listens_shares_what_it_can(
    which: str, encoder: Encoder, demo_rows: list[tuple[Path, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXTUNE_CACHE", str(tmp_path / "cache"))
    paths = [path for path, _ in demo_rows[:2]]
    run = _run(tmp_path, which, [])
    pair = listen.Pair(run)
    answers = [pair.hear(path, "en") for path in paths]
    assert [(answer["base"], answer["tuned"]) for answer in answers] == _heard_apart(run, encoder, paths)
    assert not (tmp_path / "cache").exists()  # nothing is kept of what is only tried


def test_prompts_after_the_frozen_part_are_the_same_but_for_their_sound(encoder: Encoder, tiny: VoxtralForConditionalGeneration) -> None:
    model = voxtral.load_base(TINY, FP32)
    prompt = encoder.example(speech_like(2.0), language="en", text=None)
    (after,) = transcribe.begun([prompt], AudioPath(model, Depth(layers=3, projected=True), FP32))
    assert replace(after, sound=prompt.sound) == prompt
    assert after.features.shape == (1, 375, 128)
    assert _alone(model, encoder, after) == _alone(tiny, encoder, prompt)
