"""What only a GPU can show: bf16 autocast with fp32 trained weights, and QLoRA. Run with `python -m pytest tests/gpu` where there is one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.command import Command

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
def test_qlora_trains_and_lowers_the_loss(voxtune: Command, demo_part: Callable[[int], Path]) -> None:
    done = voxtune("train", "--data", demo_part(24), "--model", "tiny", "--load-in-4bit", "--epochs", 3, "--output", "run", "--json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in (voxtune.folder / "run" / "events.jsonl").read_text().splitlines()]
    losses = [event["eval_loss"] for event in events if "eval_loss" in event]
    assert losses[-1] < losses[0]
