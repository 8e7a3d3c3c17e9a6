"""The forward and backward passes of an optimizer step on a CPU: those of a round side by side, with the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from voxtune.model import cores, dropout
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings

Batch = dict[str, Tensor]


def are_apart(settings: TrainSettings, precision: Precision) -> bool:
    """Whether `backward` does the passes of a run: on a CPU, in one process, where adapters train.

    Full fine-tuning would hold the gradients of all weights once more for each pass; and with gradient checkpointing layers are computed a
    second time, which `dropout.drawing` is not for.
    """
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    return precision.device == "cpu" and alone and settings.method == "lora" and not settings.gradient_checkpointing


def at_once(settings: TrainSettings, precision: Precision) -> int:
    """How many passes a round has: they share `batch_size` clips, so that side by side takes no more memory than one after the other."""
    return cores.count() if are_apart(settings, precision) else 1


def backward(model: nn.Module, batches: Sequence[Batch], loss: Callable[[Batch], Tensor]) -> list[Tensor]:
    """Add the gradients of `loss` of each batch to those of the weights, always in this order, and give the losses."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    seeds = torch.randint(2**62, (len(batches),)).tolist()

    def one(seeded: tuple[int, Batch]) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        seed, batch = seeded
        with dropout.drawing(seed):
            value = loss(batch)
        return value.detach(), torch.autograd.grad(value, weights, allow_unused=True)

    done = cores.side_by_side(one, list(zip(seeds, batches, strict=True)))
    for _, gradients in done:
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight.grad = gradient if weight.grad is None else weight.grad.add_(gradient)
    return [value for value, _ in done]
