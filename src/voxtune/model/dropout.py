"""Dropout on adapters that draws its numbers from a seed of its own in each forward pass, and quickly on a CPU.

torch draws from one generator for all threads, so that passes side by side would get other numbers each time, and a resumed run would not end with the
same bits. And on most CPUs it draws number by number: a quarter to a third of a step. Here four are cut out of 64 bits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

_STEPS = 1 << 16
"""Of the share that is dropped."""
_generator: ContextVar[torch.Generator | None] = ContextVar("_generator", default=None)


@contextlib.contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Within, in this thread, SeededDropout draws from `seed`; not for layers that are computed again later, which would draw on."""
    token = _generator.set(torch.Generator().manual_seed(seed))
    try:
        yield
    finally:
        _generator.reset(token)


class SeededDropout(nn.Dropout):
    """torch's own dropout, but from the seed of `drawing` within it; there `p` counts in steps of 1/65,536."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the parent's name
        """`input` with a share `p` of its numbers zero and the others larger by 1 / (1 - p)."""
        generator = _generator.get()
        if generator is None or not self.training or not self.p:
            return super().forward(input)
        dropped = round(self.p * _STEPS)
        bits = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator).view(torch.int16)
        kept = bits[: input.numel()].view(input.shape) >= dropped - _STEPS // 2
        return input * kept.to(input.dtype).mul_(_STEPS / (_STEPS - dropped))


def install(model: nn.Module) -> None:
    """Give each adapter of a model SeededDropout in place of torch's."""
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for name, dropout in module.lora_dropout.items():
                if isinstance(dropout, nn.Dropout):
                    module.lora_dropout[name] = SeededDropout(dropout.p)
