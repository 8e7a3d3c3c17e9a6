"""What is frozen of the audio path, run beforehand: the same loss and the same gradients as when the whole model runs in every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.support.clips import speech_like
from voxtune.errors import ModelError
from voxtune.model import names, tower, voxtral
from voxtune.model.batches import Encoder
from voxtune.model.loss import summed_loss
from voxtune.model.tower import AudioPath, Depth
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings, make

TINY = names.find("tiny")
FP32 = Precision(device="cpu", autocast=False, frozen=torch.float32)
BF16 = Precision(device="cpu", autocast=True, frozen=torch.float32)

FROZEN: dict[str, tuple[dict[str, object], Depth]] = {
    "language model": ({"lora_scope": "language_model"}, Depth(layers=3, projected=True)),
    "language model and projector": ({"lora_scope": "language_model+projector"}, Depth(layers=3)),
    "tower frozen": ({"freeze_audio_tower": True}, Depth(layers=3)),
    "top layer of the tower": ({"train_tower_layers": 1}, Depth(layers=2)),
    "top two": ({"train_tower_layers": 2}, Depth(layers=1)),
    "full, tower frozen": ({"method": "full", "freeze_audio_tower": True}, Depth(layers=3)),
    "full, top layer": ({"method": "full", "train_tower_layers": 1}, Depth(layers=2)),
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(TINY))


def _settings(**values: object) -> TrainSettings:
    return make({"data": "x", "lora_dropout": 0.0, **values})


def _model(settings: TrainSettings) -> Any:
    torch.manual_seed(0)
    return voxtral.prepare_training(voxtral.load_base(TINY, FP32), settings).train()


def _loss_and_gradients(model: Any, batch: dict[str, torch.Tensor], precision: Precision) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision.autocast):
        loss = summed_loss(model, batch)
    loss.backward()
    return float(loss.detach()), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def test_nothing_is_frozen_where_the_whole_tower_trains() -> None:
    assert tower.depth(_settings(), 3) == Depth(layers=0)
    assert tower.depth(_settings(method="full"), 3) == Depth(layers=0)
    assert tower.depth(_settings(train_tower_layers=3), 3) == Depth(layers=0)


@pytest.mark.parametrize("precision", [FP32, BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("name", FROZEN)
def test_loss_and_gradients_are_those_of_the_whole_model(encoder: Encoder, name: str, precision: Precision) -> None:
    changes, depth = FROZEN[name]
    settings = _settings(**changes)
    model = _model(settings)
    examples = [encoder.example(speech_like(each), language="en", text=f"play {each} songs") for each in (1.0, 31.0)]
    batch = encoder.training_batch(examples)
    whole, gradients = _loss_and_gradients(model, batch, precision)

    assert tower.depth(settings, voxtral.num_tower_layers(model)) == depth
    path = AudioPath(model, depth, precision)
    given = {**batch, "input_features": path.begin(batch["input_features"])}
    assert not given["input_features"].requires_grad
    divided, same = _loss_and_gradients(model, given, precision)

    close = {"rtol": 1e-5, "atol": 1e-6} if not precision.autocast else {"rtol": 2e-2, "atol": 1e-2}
    assert divided == pytest.approx(whole, rel=close["rtol"])
    assert set(same) == set(gradients)
    for each, gradient in gradients.items():
        scale = float(gradient.abs().max()) or 1.0
        assert torch.allclose(same[each] / scale, gradient / scale, **close), each


def test_mel_is_still_taken_and_anything_else_is_refused(encoder: Encoder) -> None:
    model = voxtral.load_base(TINY, FP32)
    batch = encoder.training_batch([encoder.example(speech_like(1.0), language="en", text="stop")])
    with torch.no_grad():
        before = summed_loss(model, batch)
        AudioPath(model, Depth(layers=3, projected=True), FP32)
        assert torch.equal(summed_loss(model, batch), before)
        with pytest.raises(ModelError, match="neither mel nor frames nor embeddings"):
            summed_loss(model, {**batch, "input_features": torch.zeros(1, 128, 2_999)})


def test_generation_hears_the_same(encoder: Encoder) -> None:
    model = voxtral.load_base(TINY, FP32)
    path = AudioPath(model, Depth(layers=2), FP32)
    batch = encoder.collate([encoder.example(speech_like(2.0), language="en", text=None)])
    asked = {name: batch[name] for name in ("input_ids", "attention_mask")}
    heard = [model.generate(**asked, input_features=some, max_new_tokens=12) for some in (batch["input_features"], path.begin(batch["input_features"]))]
    assert torch.equal(*heard)


def test_what_comes_of_a_clip_does_not_depend_on_its_company(encoder: Encoder) -> None:
    """So that a run which finds some outputs kept and computes others ends as one that computed all."""
    path = AudioPath(voxtral.load_base(TINY, FP32), Depth(layers=3, projected=True), FP32)
    chunks = torch.cat([encoder.mel(speech_like(each)).chunks() for each in (1.0, 2.0, 3.0, 4.0, 5.0)])
    together = path.outputs(chunks)
    assert all(torch.equal(path.outputs(chunks[place : place + 1]), together[place : place + 1]) for place in range(5))
    assert torch.equal(path.outputs(chunks[3:]), together[3:])
    assert torch.allclose(path.begin(chunks), together, rtol=1e-4, atol=1e-5)


def _changed(change: Callable[[Any], Any]) -> str:
    model = voxtral.load_base(TINY, FP32)
    with torch.no_grad():
        change(voxtral.inner(model))
    return AudioPath(model, Depth(layers=2), FP32).fingerprint()


def test_the_fingerprint_is_of_what_is_used_and_of_nothing_else() -> None:
    same = _changed(lambda _: None)
    assert _changed(lambda inner: inner.audio_tower.layers[1].fc1.weight[0, 0].add_(1e-3)) != same
    assert _changed(lambda inner: inner.audio_tower.conv1.bias[0].add_(1e-3)) != same
    assert _changed(lambda inner: inner.audio_tower.layers[2].fc1.weight[0, 0].add_(1e-3)) == same, "above the depth"
    assert _changed(lambda inner: inner.language_model.layers[0].mlp.up_proj.weight[0, 0].add_(1e-3)) == same
    model = voxtral.load_base(TINY, FP32)
    assert AudioPath(model, Depth(layers=1), FP32).fingerprint() != same
    assert AudioPath(model, Depth(layers=2), BF16).fingerprint() != same
    assert AudioPath(_model(_settings(train_tower_layers=1)), Depth(layers=2), FP32).fingerprint() == same, "adapters above change nothing below"


def test_gradient_checkpointing_sends_no_gradient_through_a_frozen_tower(encoder: Encoder) -> None:
    settings = _settings(freeze_audio_tower=True, gradient_checkpointing=True)
    model = _model(settings)
    model.activation_checkpointing_enable({"use_reentrant": False})
    path = AudioPath(model, Depth(layers=3), FP32)
    batch = encoder.training_batch([encoder.example(speech_like(1.0), language="en", text="stop")])
    seen: list[bool] = []
    voxtral.inner(model).audio_tower.layers[0].register_forward_hook(lambda _, __, out: seen.append(torch.is_tensor(out) and out.requires_grad))
    given = {**batch, "input_features": path.begin(batch["input_features"])}
    loss, gradients = _loss_and_gradients(model, given, FP32)
    assert seen == [False], "once, without a gradient"
    assert loss > 0
    assert gradients
