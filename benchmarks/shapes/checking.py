"""The count of operations against torch's own, on the tiny model on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shapes import counting, models
from benchmarks.shapes.stepping import Ours, Usual
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings

_ON_CPU = Precision(device="cpu", autocast=False, frozen=torch.float32)
_CLIPS = 2


def ratios(settings: dict[str, TrainSettings], usual: TrainSettings) -> dict[str, float]:
    """Ours by torch's, of each way to train and of the usual recipe."""
    config, encoder = models.sizes("tiny"), models.encoder()
    examples = models.clips(encoder, config, _CLIPS)
    found = {}
    ways: dict[str, tuple[type[Ours | Usual], TrainSettings]] = {name: (Ours, each) for name, each in settings.items()}
    for name, (recipe, chosen) in {**ways, "usual recipe": (Usual, usual)}.items():
        trained = recipe(models.base(config, _ON_CPU), chosen, _ON_CPU, encoder, examples)
        batch = trained.passes(_CLIPS, _CLIPS)[0]
        with _counted() as counter:
            trained.forward(batch).backward()  # type: ignore[no-untyped-call, unused-ignore]
        # Plain attention computes all pairs of tokens.
        found[name] = counting.flops(trained.model, batch, trained.depth, causal_share=1.0) / counter.get_total_flops()
    return found


@contextlib.contextmanager
def _counted() -> Iterator[FlopCounterMode]:
    # torch does not count its fused attention on the CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter
