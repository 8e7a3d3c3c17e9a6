"""What only a GPU can show: bf16 autocast with fp32 trained weights, and QLoRA. Run with `python -m pytest tests/gpu` where there is one."""

from __future__ import annotations

import importlib.util
import json
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


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_qlora_trains_and_lowers_the_loss(voxtune: Command, demo_part: Callable[[int], Path]) -> None:
    done = voxtune("train", "--data", demo_part(24), "--model", "tiny", "--load-in-4bit", "--epochs", 3, "--output", "run", "--json")
    assert done.code == 0, done.err
    events = [json.loads(line) for line in (voxtune.folder / "run" / "events.jsonl").read_text().splitlines()]
    losses = [event["eval_loss"] for event in events if "eval_loss" in event]
    assert losses[-1] < losses[0]
