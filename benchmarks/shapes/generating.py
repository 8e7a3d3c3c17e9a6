"""Tokens a second in greedy generation from what the frozen part gives, with a cache that grows and with a fixed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.shapes.stepping import Ours, median_s, now
from voxtune.model.batches import Encoder


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Of one batch size and kind of cache."""

    clips: int
    cache: str
    tokens_per_s: float
    """Of all clips together, the reading of their prompts included."""
    prompt_s: float
    """To the first token."""
    first_s: float
    """What the first go took more than those after it: with a fixed cache on a GPU, transformers compiles the model."""


def speed(training: Ours, encoder: Encoder, clips: int, cache: str, tokens: int, repeats: int) -> Speed:
    """`cache` is dynamic or static, by transformers' names; every clip gives `tokens`."""
    model, precision = training.model, training.precision
    batch = encoder.collate([example.prompt for example in training.examples[:clips]])
    inputs = {name: value.to(precision.device) for name, value in batch.items() if name != "labels"}
    options: dict[str, Any] = {} if cache == "dynamic" else {"cache_implementation": cache}

    def generate(count: int) -> None:
        with torch.autocast(precision.device, torch.bfloat16, enabled=precision.autocast):
            model.generate(**inputs, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=encoder.pad_id, **options)

    model.eval()
    try:
        with torch.inference_mode():
            began = now(precision)
            generate(tokens)
            first_s = now(precision) - began
            whole_s = median_s(lambda: generate(tokens), precision, repeats)
            prompt_s = median_s(lambda: generate(1), precision, repeats)
    finally:
        model.train()
        torch.compiler.reset()
    return Speed(clips=clips, cache=cache, tokens_per_s=clips * tokens / whole_s, prompt_s=prompt_s, first_s=max(0.0, first_s - whole_s))
