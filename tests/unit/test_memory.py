from __future__ import annotations

import gc
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from voxtune.audio import Wave
from voxtune.errors import MissingDependencyError, ModelError, SettingsError
from voxtune.model import names, prepared, tower, voxtral
from voxtune.model.batches import Encoder
from voxtune.model.loss import summed_loss
from voxtune.model.tower import AudioPath
from voxtune.settings import TrainSettings, make
from voxtune.training import activations, budget, fitting, memory, opening, steps
from voxtune.training.shape import Shape, shape_of

FP32 = voxtral.Precision(device="cpu", autocast=False, frozen=torch.float32)
TEXT = "good morning to all of you"
MINI_3B = Shape(
    tower_layers=32,
    tower_width=1280,
    tower_ffn=5120,
    tower_heads=20,
    mel_bins=128,
    lm_layers=30,
    lm_width=3072,
    lm_ffn=8192,
    lm_heads=32,
    lm_kv_heads=8,
    lm_head_dim=128,
    vocab=131_072,
)
"""Of mistralai/Voxtral-Mini-3B-2507."""
SHORT = memory.Extent(longest_s=1.0, text_tokens=1)
USUAL = memory.Extent(longest_s=20.0, text_tokens=60)
GPU: dict[str, Any] = {"device": "cuda", "autocast": True}


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((names.tiny_folder() / "config.json").read_text())
    return found


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(names.find("tiny")))


def _settings(**values: object) -> TrainSettings:
    return make({"data": "d", "eval_batch_size": 1, **values})


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _peak_of_steps(model: Any, settings: TrainSettings, encoder: Encoder, waves: list[Wave], texts: list[str], *, autocast: bool) -> int:
    """Bytes of weights, optimizer, batch and everything torch allocates at the highest moment of an optimizer step, its clips heard in it."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    for parameter in trained:
        moments = {"exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        optimizer.state[parameter] = {"step": torch.tensor(0.0), **moments}
    frozen = tower.depth(settings, voxtral.num_tower_layers(model))
    path = AudioPath(model, frozen, replace(FP32, autocast=autocast)) if frozen.layers else None
    raw = [encoder.example(wave, language="en", text=text) for wave, text in zip(waves, texts, strict=True)]
    lasting = [*model.parameters(), *model.buffers(), *(each for state in optimizer.state.values() for each in state.values())]
    gc.collect()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        mel = torch.cat([each.features for each in raw])
        examples = raw if path is None else [replace(each, sound=sound) for each, sound in zip(raw, path.begin(mel).split(1), strict=True)]
        del mel
        passes = [encoder.training_batch(some) for some in steps.micro_batches(examples, settings.batch_size)]
        for batch in passes:
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = summed_loss(model, batch)
            loss.backward()
        optimizer.step()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return _bytes(lasting) + int(np.cumsum(changes).max())


@pytest.mark.parametrize(
    ("values", "autocast", "audio_s"),
    [
        ({"batch_size": 2}, False, 1.0),
        ({"batch_size": 4, "gradient_accumulation_steps": 1}, False, 31.0),
        ({"batch_size": 2, "lora_scope": "language_model"}, False, 1.0),
        ({"batch_size": 2, "freeze_audio_tower": True}, True, 1.0),
        ({"batch_size": 1, "lora_scope": "language_model", "gradient_accumulation_steps": 1}, False, 1.0),
        ({"batch_size": 2, "train_tower_layers": 1, "lora_dropout": 0.0}, True, 1.0),
        ({"batch_size": 2, "method": "full"}, False, 1.0),
        ({"batch_size": 1, "method": "full", "freeze_audio_tower": True}, True, 1.0),
        ({"batch_size": 2, "gradient_checkpointing": True}, False, 1.0),
        ({"batch_size": 1, "gradient_checkpointing": True, "freeze_audio_tower": True}, False, 1.0),
    ],
    ids=lambda value: ", ".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else str(value),
)
def test_the_estimate_is_within_10_percent_of_what_a_step_takes(
    values: dict[str, object], autocast: bool, audio_s: float, config: dict[str, Any], encoder: Encoder
) -> None:
    settings = _settings(**values)
    model = voxtral.prepare_training(voxtral.load_base(names.find("tiny"), FP32), settings)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})  # as transformers' Trainer does it
    model.train()
    count = settings.batch_size * settings.gradient_accumulation_steps
    noise = np.random.default_rng(0).normal(0, 0.05, round(audio_s * 16_000)).astype(np.float32)
    texts = [TEXT, "good morning", *[TEXT] * count][:count]
    measured = _peak_of_steps(model, settings, encoder, [noise] * count, texts, autocast=autocast)
    extent = memory.Extent(longest_s=audio_s, text_tokens=len(encoder.text_ids(TEXT)))
    found = memory.estimate(shape_of(config), settings, extent, device="cpu", autocast=autocast)
    assert (found.total_bytes - found.libraries_bytes - found.allocator_bytes) / measured == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"lora_r": 3, "lora_scope": "language_model+projector"},
        {"lora_scope": "audio_tower", "train_tower_layers": 2},
        {"freeze_audio_tower": True},
        {"method": "full"},
        {"method": "full", "freeze_audio_tower": True},
        {"method": "full", "train_tower_layers": 1},
    ],
    ids=str,
)
def test_what_trains_is_counted_exactly(values: dict[str, object], config: dict[str, Any]) -> None:
    settings = _settings(**values)
    model = voxtral.prepare_training(voxtral.load_base(names.find("tiny"), FP32), settings)
    assert memory.trainable(shape_of(config), settings) == voxtral.trainable_parameters(model)


def test_weights_are_counted_exactly(config: dict[str, Any]) -> None:
    model = voxtral.load_base(names.find("tiny"), FP32)
    found = memory.estimate(shape_of(config), _settings(), SHORT, device="cpu", autocast=False)
    assert found.weights_bytes == 4 * sum(parameter.numel() for parameter in model.parameters())


def test_tied_embeddings_in_a_config_change_nothing(config: dict[str, Any]) -> None:
    tied = {**config, "tie_word_embeddings": True, "text_config": {**config["text_config"], "tie_word_embeddings": True}}
    assert shape_of(tied) == shape_of(config)


def test_a_config_that_is_no_whole_voxtral_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="not of a Voxtral"):
        shape_of({**config, "model_type": "whisper"})
    with pytest.raises(ModelError, match=r"text_config\.head_dim = None"):
        shape_of({**config, "text_config": {name: value for name, value in config["text_config"].items() if name != "head_dim"}})
    broken: object
    for broken in (None, [], {**config["audio_config"], "hidden_size": "1280"}):
        with pytest.raises(ModelError, match="audio_config") as caught:
            shape_of({**config, "audio_config": broken})
        assert caught.value.hint


def _on_gpu(settings: TrainSettings, **changes: float) -> int:
    return memory.estimate(MINI_3B, settings, replace(USUAL, **changes), **GPU).total_bytes  # type: ignore[arg-type]


def test_more_of_anything_takes_more_memory() -> None:
    one = _on_gpu(_settings(batch_size=4))
    assert one == _on_gpu(_settings(batch_size=4), longest_s=29.0)
    assert one <= _on_gpu(_settings(batch_size=4), longest_s=31.0) < 1.1 * one, "of clips of two chunks fewer go together"
    assert _on_gpu(_settings(batch_size=1), longest_s=31.0) > 1.05 * _on_gpu(_settings(batch_size=1))
    assert _on_gpu(_settings(batch_size=4), text_tokens=6_000) > one
    assert _on_gpu(_settings(batch_size=8)) > one
    assert _on_gpu(_settings(batch_size=4, method="full")) > one
    assert _on_gpu(_settings(batch_size=4, gradient_checkpointing=True)) < one
    assert _on_gpu(_settings(batch_size=4, load_in_4bit=True)) < one
    assert _on_gpu(_settings(batch_size=4, freeze_audio_tower=True)) < one
    assert _on_gpu(_settings(batch_size=1, eval_batch_size=64)) > _on_gpu(_settings(batch_size=1)), "a validation counts too"
    assert _on_gpu(_settings(method="full", optimizer="adamw_8bit")) < _on_gpu(_settings(method="full")) - 5.9 * (MINI_3B.numbers()[0] - MINI_3B.vocab * 3072)


def test_the_3b_fits_where_it_is_promised_to() -> None:
    """By the estimate: batch 8 with gradient checkpointing on a GPU of 16 GB, with the weights in 4 bits on one of 8."""
    saving = {"batch_size": 8, "gradient_checkpointing": True}
    assert _on_gpu(_settings(**saving)) < 16e9
    assert _on_gpu(_settings(**saving, load_in_4bit=True)) < 8e9


def test_clips_are_kept_in_ram_up_to_a_budget() -> None:
    assert memory.KEPT_BYTES == prepared.DEFAULT_BUDGET_BYTES
    assert activations._VARIANTS == prepared.VARIANTS
    assert activations._TOGETHER == tower.TOGETHER
    assert activations.CLIP_TOKENS == steps._CLIP_TOKENS
    many = memory.Extent(longest_s=20, text_tokens=60, total_s=2_000, total_chunks=100)

    def kept(extent: memory.Extent, **values: object) -> int:
        return memory.estimate(MINI_3B, _settings(**values), extent, device="cpu", autocast=False).clips_bytes

    assert kept(many, lora_scope="language_model") == 100 * 375 * 3072 * 4
    assert kept(many, freeze_audio_tower=True) == 100 * 1500 * 1280 * 4
    assert kept(many) == 2_000 * 100 * 128 * 4, "log-mel, where the whole tower trains"
    assert kept(many, lora_scope="language_model", augment="light") > 4 * 100 * 375 * 3072 * 4
    assert kept(replace(many, total_chunks=10**6), lora_scope="language_model") == 2 * memory.KEPT_BYTES
    assert memory.estimate(MINI_3B, _settings(), many, **GPU).clips_bytes == 0


def test_the_categories_make_up_the_total() -> None:
    found = memory.estimate(MINI_3B, _settings(), USUAL, **GPU)
    told = found.as_json()
    assert told.pop("total_bytes") == found.total_bytes == sum(told.values())
    assert all(isinstance(value, int) and value >= 0 for value in told.values())
    assert found.weights_bytes == pytest.approx(2 * 4.68e9, rel=0.01), "Voxtral Mini has 4.68 billion weights"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_suggested_settings_fit_and_keep_the_effective_batch(device: memory.Device) -> None:
    settings = _settings(batch_size=6, gradient_accumulation_steps=2, eval_batch_size=8)
    where: dict[str, Any] = {"device": device, "autocast": device == "cuda"}
    needed = memory.estimate(MINI_3B, settings, USUAL, **where).total_bytes
    assert memory.fitting(MINI_3B, settings, USUAL, 2 * needed, **where) == {}
    changes = []
    for share in np.linspace(1.2, 0.02, 60):
        available = int(share * needed)
        change = memory.fitting(MINI_3B, settings, USUAL, available, **where)
        changes.append(change)
        if change is not None:
            changed = make({**settings.model_dump(), **change})
            assert memory.estimate(MINI_3B, changed, USUAL, **where).total_bytes <= 0.9 * available
            assert changed.batch_size * changed.gradient_accumulation_steps == 12
            assert not changed.load_in_4bit or device == "cuda"
    assert changes[0] == {}
    assert changes[-1] is None, "nothing fits into a fiftieth"
    assert changes.index(None) == len(changes) - changes.count(None), "less memory never fits more"


def _on_the_3b(available_bytes: int, **values: object) -> budget.Need:
    settings = _settings(**values)
    estimate = memory.estimate(MINI_3B, settings, USUAL, **GPU)
    return budget.Need(
        shape=MINI_3B,
        settings=settings,
        **GPU,
        extent=USUAL,
        estimate=estimate,
        available_bytes=available_bytes,
        checkpoint_bytes=memory.checkpoint_bytes(MINI_3B, settings),
    )


def test_fewer_bits_are_the_last_resort_and_only_those_that_the_method_has() -> None:
    lora, full = _settings(batch_size=2), _settings(method="full", batch_size=2)
    for settings, name in ((lora, "load_in_4bit"), (full, "optimizer")):
        found = [memory.fitting(MINI_3B, settings, USUAL, gigabytes * 10**9, **GPU) for gigabytes in range(120, 0, -1)]
        changes = [set(change) for change in found if change is not None]
        assert name in changes[-1], "it fits where nothing else does"
        assert not any(each & ({"load_in_4bit", "optimizer"} - {name}) for each in changes)
        without = [memory.fitting(MINI_3B, settings, USUAL, gigabytes * 10**9, **GPU, bitsandbytes=False) for gigabytes in range(120, 0, -1)]
        assert all(name not in (change or {}) for change in without)
        assert without.count(None) > found.count(None)


def test_a_run_that_does_not_fit_is_planned_so_that_it_does_and_says_how() -> None:
    whole = _on_the_3b(10**12, batch_size=8)
    assert fitting.plan(whole) == fitting.Fit(need=whole, changes={}, message="")
    short = _on_the_3b(round(0.8 * whole.estimate.total_bytes), batch_size=8)
    fit = fitting.plan(short)
    assert fit.need.fits
    assert not short.fits
    assert fit.need.settings.batch_size * fit.need.settings.gradient_accumulation_steps == 16
    assert fit.need.settings == make({**short.settings.model_dump(), **fit.changes})
    assert f"batch_size={fit.changes['batch_size']} (the steps stay the same)" in fit.message
    assert "changes the mathematics" not in fit.message
    asked = _on_the_3b(short.available_bytes, batch_size=8, fit_memory=False)
    assert fitting.plan(asked).need is asked
    assert "it should fit" in asked.advice
    hopeless = _on_the_3b(10**8)
    assert fitting.plan(hopeless) == fitting.Fit(need=hopeless, changes={}, message="")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
@pytest.mark.parametrize("values", [{"load_in_4bit": True}, {"optimizer": "adamw_8bit", "method": "full"}], ids=str)
def test_fewer_bits_are_refused_where_they_cannot_be(values: dict[str, object]) -> None:
    with pytest.raises((SettingsError, MissingDependencyError), match="needs"):
        opening.refuse_unable(_settings(**values))
    opening.refuse_unable(_settings())


def test_a_checkpoint_holds_what_was_trained_and_two_moments_of_it(config: dict[str, Any]) -> None:
    shape = shape_of(config)
    trained = sum(memory.trainable(shape, _settings()).values())
    assert memory.checkpoint_bytes(shape, _settings()) == pytest.approx(12 * trained, abs=300_000)
    everything = memory.estimate(shape, _settings(), SHORT, device="cpu", autocast=False).weights_bytes
    frozen = _settings(method="full", freeze_audio_tower=True)
    assert memory.checkpoint_bytes(shape, frozen) == pytest.approx(everything + 8 * sum(memory.trainable(shape, frozen).values()), abs=300_000)
