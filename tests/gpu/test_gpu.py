"""What only a GPU can show: bf16 autocast with fp32 trained weights, and QLoRA. Run with `python -m pytest tests/gpu` where there is one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.command import Command
from voxtune.dataset import store
from voxtune.model import loss, names, voxtral
from voxtune.model.batches import Encoder
from voxtune.model.prepared import PreparedClips, hearing
from voxtune.settings import make

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize("method", ["lora", "full"])
def test_bf16_trains_and_lowers_the_loss(voxtune: Command, demo_part: Callable[[int], Path], method: str) -> None:
    done = voxtune("train", "--data", demo_part(24), "--model", "tiny", "--method", method, "--epochs", 3, "--precision", "bf16", "--output", "run", "--json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in (voxtune.folder / "run" / "events.jsonl").read_text().splitlines()]
    losses = [event["eval_loss"] for event in events if "eval_loss" in event]
    assert losses[-1] < losses[0]
    assert voxtune("evaluate", "run", "--json").code == 0


def test_a_killed_run_ends_with_the_same_bits(voxtune: Command, demo_part: Callable[[int], Path]) -> None:
    """In bf16, killed once, with the kernels that torch takes by default."""
    words = ("train", "--data", demo_part(24), "--model", "tiny", "--epochs", 4, "--precision", "bf16", "--no-trackio", "--output")
    assert voxtune(*words, "undisturbed").code == 0
    process = voxtune.start(*words, "killed")
    checkpoints = voxtune.folder / "killed" / "checkpoints"
    while not list(checkpoints.glob("step-*")):
        time.sleep(0.05)
    os.killpg(json.loads((voxtune.folder / "killed" / "status.json").read_text())["pid"], signal.SIGKILL)
    process.communicate(timeout=60)
    assert voxtune("runs", "resume", "killed").code == 0
    weights = [(voxtune.folder / name / "model" / "adapter_model.safetensors").read_bytes() for name in ("undisturbed", "killed")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_memory_of_a_run_is_what_was_estimated(voxtune: Command, demo_part: Callable[[int], Path], method: str) -> None:
    done = voxtune("train", "--data", demo_part(24), "--model", "tiny", "--method", method, "--epochs", 1, "--output", "run", "--json")
    memory = done.json["memory"]
    assert (memory["total_bytes"] - memory["libraries_bytes"]) / memory["peak_bytes"] == pytest.approx(1, abs=0.15)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize(
    "words",
    [["--load-in-4bit"], ["--load-in-4bit", "--lora-scope", "language_model"], ["--method", "full", "--optimizer", "adamw_8bit"]],
    ids=" ".join,
)
def test_fewer_bits_train_and_lower_the_loss(voxtune: Command, demo_part: Callable[[int], Path], words: list[str]) -> None:
    done = voxtune("train", "--data", demo_part(24), "--model", "tiny", *words, "--epochs", 3, "--output", "run", "--json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in (voxtune.folder / "run" / "events.jsonl").read_text().splitlines()]
    losses = [event["eval_loss"] for event in events if "eval_loss" in event]
    assert losses[-1] < losses[0]


def _bf16(**values: object) -> tuple[Any, Any, voxtral.Precision, Encoder]:
    settings = make({"data": "-", "lora_dropout": 0.0, **values})
    precision = voxtral.choose_precision("bf16")
    model = voxtral.prepare_training(voxtral.load_base(names.find("tiny"), precision), settings)
    return settings, model, precision, Encoder(voxtral.load_processor(names.find("tiny")))


def _loss(model: Any, batch: dict[str, torch.Tensor]) -> float:
    with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
        return loss.summed_loss(model, {name: value.cuda() for name, value in batch.items()}).item()


@pytest.mark.parametrize("values", [{"lora_scope": "language_model"}, {"freeze_audio_tower": True}, {"train_tower_layers": 1}], ids=str)
def test_the_loss_is_that_without_the_cache(demo_part: Callable[[int], Path], values: dict[str, object]) -> None:
    settings, model, precision, encoder = _bf16(**values)
    clips = store.load(demo_part(24)).clips
    raw = _loss(model, encoder.training_batch(PreparedClips(clips, encoder)[:]))
    heard = hearing(model, settings, precision)
    first, again = (_loss(model, encoder.training_batch(PreparedClips(clips, encoder, hearing=heard)[:])) for _ in range(2))
    assert first == again, "from the disk as it was computed"
    assert first == pytest.approx(raw, rel=1e-2)


@pytest.mark.skipif(importlib.util.find_spec("liger_kernel") is None, reason="Liger is not installed")
def test_ligers_loss_is_ours(demo_part: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, model, _, encoder = _bf16()
    batch = {name: value.cuda() for name, value in encoder.training_batch(PreparedClips(store.load(demo_part(24)).clips, encoder)[:]).items()}
    found = []
    for many in (1 << 62, 0):
        monkeypatch.setattr(loss, "_MANY_LOGITS", many)
        model.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            total = loss.summed_loss(model, batch)
        total.backward()
        gradients = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
        found.append((total.item(), gradients / gradients.norm()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-2)
    assert np.dot(found[0][1].cpu().numpy(), found[1][1].cpu().numpy()) > 0.99
