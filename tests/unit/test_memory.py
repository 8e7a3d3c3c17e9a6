from __future__ import annotations

import gc
import json
from typing import Any

import numpy as np
import pytest
import torch

from voxtune.errors import ModelError
from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder
from voxtune.settings import TrainSettings, make
from voxtune.training import memory
from voxtune.training.shape import Shape, shape_of

FP32 = voxtral.Precision(device="cpu", autocast=False, frozen=torch.float32)
AUDIO_S, TEXT = 1.0, "good morning to all of you"
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


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return json.loads((names.tiny_folder() / "config.json").read_text())


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(names.find("tiny")))


def _settings(**values: object) -> TrainSettings:
    return make({"data": "d", "eval_batch_size": 1, **values})


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _peak_of_steps(model: torch.nn.Module, batch: dict[str, torch.Tensor], *, autocast: bool, passes: int) -> int:
    """Bytes of weights, optimizer, batch and everything torch allocates at the highest moment of an optimizer step."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    for parameter in trained:
        moments = {"exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
        optimizer.state[parameter] = {"step": torch.tensor(0.0), **moments}
    lasting = [*model.parameters(), *model.buffers(), *batch.values(), *(each for state in optimizer.state.values() for each in state.values())]
    gc.collect()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        for _ in range(passes):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = model(**batch).loss
            loss.backward()
        optimizer.step()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return _bytes(lasting) + int(np.cumsum(changes).max())


@pytest.mark.parametrize(
    ("values", "autocast"),
    [
        ({"batch_size": 2}, False),
        ({"batch_size": 1, "lora_scope": "language_model", "gradient_accumulation_steps": 1}, False),
        ({"batch_size": 2, "train_tower_layers": 1, "lora_dropout": 0.0}, True),
        ({"batch_size": 2, "method": "full"}, False),
        ({"batch_size": 1, "method": "full", "freeze_audio_tower": True}, True),
        ({"batch_size": 2, "gradient_checkpointing": True}, False),
        ({"batch_size": 1, "gradient_checkpointing": True, "freeze_audio_tower": True}, False),
    ],
    ids=lambda value: ", ".join(f"{name}={each}" for name, each in value.items()) if isinstance(value, dict) else f"autocast={value}",
)
def test_the_estimate_is_within_15_percent_of_what_a_step_takes(values: dict[str, object], autocast: bool, config: dict[str, Any], encoder: Encoder) -> None:
    settings = _settings(**values)
    model = voxtral.prepare_training(voxtral.load_base(names.find("tiny"), FP32), settings)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})  # as transformers' Trainer does it
    model.train()
    noise = np.random.default_rng(0).normal(0, 0.05, round(AUDIO_S * 16_000)).astype(np.float32)
    texts = [TEXT, "good morning", *[TEXT] * settings.batch_size][: settings.batch_size]
    batch = encoder.collate([encoder.example(noise, language="en", text=text) for text in texts])
    measured = _peak_of_steps(model, batch, autocast=autocast, passes=min(2, settings.gradient_accumulation_steps))
    tokens = len(encoder.text_ids(TEXT))
    found = memory.estimate(shape_of(config), settings, device="cpu", autocast=autocast, audio_s=AUDIO_S, text_tokens=tokens)
    assert (found.total_bytes - found.libraries_bytes - found.allocator_bytes) / measured == pytest.approx(1, abs=0.15)


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
    found = memory.estimate(shape_of(config), _settings(), device="cpu", autocast=False, audio_s=1, text_tokens=1)
    assert found.weights_bytes == 4 * sum(parameter.numel() for parameter in model.parameters())


def test_tied_embeddings_in_a_config_change_nothing(config: dict[str, Any]) -> None:
    tied = {**config, "tie_word_embeddings": True, "text_config": {**config["text_config"], "tie_word_embeddings": True}}
    assert shape_of(tied) == shape_of(config)


def test_a_config_that_is_no_whole_voxtral_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="not of a Voxtral"):
        shape_of({**config, "model_type": "whisper"})
    with pytest.raises(ModelError, match=r"text_config\.head_dim = None"):
        shape_of({**config, "text_config": {name: value for name, value in config["text_config"].items() if name != "head_dim"}})
    for broken in (None, [], {**config["audio_config"], "hidden_size": "1280"}):
        with pytest.raises(ModelError, match="audio_config") as caught:
            shape_of({**config, "audio_config": broken})
        assert caught.value.hint


def _on_gpu(settings: TrainSettings, **changes: Any) -> int:
    clip: dict[str, Any] = {"device": "cuda", "autocast": True, "audio_s": 20.0, "text_tokens": 60, **changes}
    return memory.estimate(MINI_3B, settings, **clip).total_bytes


def test_more_of_anything_takes_more_memory() -> None:
    one = _on_gpu(_settings(batch_size=4))
    assert one == _on_gpu(_settings(batch_size=4), audio_s=29.0)
    assert _on_gpu(_settings(batch_size=4), audio_s=31.0) > one
    assert _on_gpu(_settings(batch_size=4), text_tokens=600) > one
    assert _on_gpu(_settings(batch_size=8)) > one
    assert _on_gpu(_settings(batch_size=4, method="full")) > one
    assert _on_gpu(_settings(batch_size=4, gradient_checkpointing=True)) < one
    assert _on_gpu(_settings(batch_size=4, load_in_4bit=True)) < one
    assert _on_gpu(_settings(batch_size=4, freeze_audio_tower=True)) < one
    assert _on_gpu(_settings(batch_size=1, eval_batch_size=64)) > one, "a validation's logits count too"


def test_the_categories_make_up_the_total() -> None:
    found = memory.estimate(MINI_3B, _settings(), device="cuda", autocast=True, audio_s=20, text_tokens=60)
    told = found.as_json()
    assert told.pop("total_bytes") == found.total_bytes == sum(told.values())
    assert all(isinstance(value, int) and value >= 0 for value in told.values())
    assert found.weights_bytes == pytest.approx(2 * 4.68e9, rel=0.01), "Voxtral Mini has 4.68 billion weights"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_suggested_settings_fit_and_keep_the_effective_batch(device: memory.Device) -> None:
    settings = _settings(batch_size=6, gradient_accumulation_steps=2, eval_batch_size=8)
    clip: dict[str, Any] = {"device": device, "autocast": device == "cuda", "audio_s": 20.0, "text_tokens": 60}
    needed = memory.estimate(MINI_3B, settings, **clip).total_bytes
    assert memory.fitting(MINI_3B, settings, 2 * needed, **clip) == {}
    changes = []
    for share in np.linspace(1.2, 0.02, 60):
        available = int(share * needed)
        change = memory.fitting(MINI_3B, settings, available, **clip)
        changes.append(change)
        if change is not None:
            changed = make({**settings.model_dump(), **change})
            assert memory.estimate(MINI_3B, changed, **clip).total_bytes <= 0.9 * available
            assert changed.batch_size * changed.gradient_accumulation_steps == 12
            assert not changed.load_in_4bit or device == "cuda"
    assert changes[0] == {}
    assert changes[-1] is None, "nothing fits into a fiftieth"
    assert changes.index(None) == len(changes) - changes.count(None), "less memory never fits more"


def test_full_fine_tuning_is_never_told_to_use_four_bits() -> None:
    settings = _settings(method="full", batch_size=2)
    for available in (10**9, 10**10, 10**11):
        change = memory.fitting(MINI_3B, settings, available, device="cuda", autocast=True, audio_s=20, text_tokens=60)
        assert change is None or "load_in_4bit" not in change


def test_a_checkpoint_holds_what_was_trained_and_two_moments_of_it(config: dict[str, Any]) -> None:
    shape = shape_of(config)
    trained = sum(memory.trainable(shape, _settings()).values())
    assert memory.checkpoint_bytes(shape, _settings()) == pytest.approx(12 * trained, abs=300_000)
    everything = memory.estimate(shape, _settings(), device="cpu", autocast=False, audio_s=1, text_tokens=1).weights_bytes
    frozen = _settings(method="full", freeze_audio_tower=True)
    assert memory.checkpoint_bytes(shape, frozen) == pytest.approx(everything + 8 * sum(memory.trainable(shape, frozen).values()), abs=300_000)
