"""Passes side by side: the gradients of one pass over all, and the same bits each time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.clips import speech_like
from voxtune.model import cores, names, voxtral
from voxtune.model.batches import IGNORED, Encoder
from voxtune.model.loss import summed_loss
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings, make
from voxtune.training import passes, steps

TINY = names.find("tiny")
FP32 = Precision(device="cpu", autocast=False, frozen=torch.float32)
BF16 = Precision(device="cpu", autocast=True, frozen=torch.float32)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(voxtral.load_processor(TINY))


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "count", lambda: 3)


def _settings(**values: object) -> TrainSettings:
    return make({"data": "x", "batch_size": 6, **values})


def _learned(encoder: Encoder, settings: TrainSettings, *, at_once: int, precision: Precision = FP32) -> tuple[float, dict[str, Tensor]]:
    torch.manual_seed(0)
    model: Any = voxtral.prepare_training(voxtral.load_base(TINY, FP32), settings).train()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.02)
    examples = [encoder.example(speech_like(1 + each), language="en", text="play " * (1 + each)) for each in range(6)]
    total = sum(label != IGNORED for example in examples for label in example.labels)
    rounds = steps.collated(examples, encoder=encoder, batch_size=settings.batch_size, at_once=at_once)[steps.ROUNDS]
    assert max(map(len, rounds)) == at_once

    def loss(batch: dict[str, Tensor]) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision.autocast):
            return summed_loss(model, batch) / total

    losses = [each for batches in rounds for each in passes.backward(model, batches, loss)]
    return float(sum(losses)), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("precision", [FP32, BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("scope", ["all", "language_model"])
def test_side_by_side_they_give_what_one_pass_gives(encoder: Encoder, scope: str, precision: Precision) -> None:
    settings = _settings(lora_dropout=0, lora_scope=scope)
    whole, expected = _learned(encoder, settings, at_once=1, precision=precision)
    loss, gradients = _learned(encoder, settings, at_once=3, precision=precision)
    close = {"rtol": 1e-3, "atol": 1e-5} if precision is FP32 else {"rtol": 5e-2, "atol": 3e-2}
    assert loss == pytest.approx(whole, rel=close["rtol"])
    assert set(gradients) == set(expected)
    for name, gradient in expected.items():
        scale = float(gradient.abs().max()) or 1.0
        assert torch.allclose(gradients[name] / scale, gradient / scale, **close), name


def test_with_dropout_they_end_in_the_same_bits_each_time(encoder: Encoder) -> None:
    settings = _settings(lora_dropout=0.2, lora_scope="language_model")
    first, gradients = _learned(encoder, settings, at_once=3)
    for _ in range(3):
        again, same = _learned(encoder, settings, at_once=3)
        assert again == first
        assert all(torch.equal(same[name], gradient) for name, gradient in gradients.items())
    without, _ = _learned(encoder, _settings(lora_dropout=0, lora_scope="language_model"), at_once=3)
    assert without != first


def test_what_must_not_run_side_by_side_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passes.at_once(_settings(), FP32) == 3
    assert passes.at_once(_settings(method="full"), FP32) == 1
    assert passes.at_once(_settings(gradient_checkpointing=True), FP32) == 1
    assert passes.at_once(_settings(), Precision(device="cuda", autocast=True, frozen=torch.bfloat16)) == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert passes.at_once(_settings(), FP32) == 1
