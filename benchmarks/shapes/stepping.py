"""One optimizer step, ours and that of the usual recipe, and what it takes."""

from __future__ import annotations

import gc
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from benchmarks.shapes import counting, models
from voxtune.model import tower, voxtral
from voxtune.model.batches import IGNORED, Encoder, Example
from voxtune.model.loss import summed_loss
from voxtune.model.tower import AudioPath, Depth
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings
from voxtune.training.steps import micro_batches

USUAL_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""By short names, of which q, k and v are in the tower too; gate, up and down are there so that the language model has the same adapters as ours."""
_WARM_UPS = 2


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a step of so many clips takes."""

    clips: int
    together: int
    """Clips in a forward pass, at most."""
    seconds: float
    flops: float
    allocated_bytes: int | None
    """At the highest moment, weights and optimizer too; None on the CPU."""
    reserved_bytes: int | None
    """The same with what torch holds ready."""


class Training(ABC):
    """A model in training on some clips."""

    depth: Depth | None = None

    def __init__(self, model: Any, settings: TrainSettings, precision: Precision, examples: list[Example]) -> None:
        self.model = model.train()
        self.examples = examples
        self.precision = precision
        self._norm = settings.max_grad_norm
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._optimizer = _optimizer(self._trained, settings)

    @abstractmethod
    def passes(self, clips: int, together: int) -> list[dict[str, Tensor]]:
        """The batches of a step."""

    @abstractmethod
    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Of a pass, as it is summed up over a step."""

    def step(self, clips: int, together: int) -> None:
        """From clips in memory to changed weights, as VoxtralTrainer.training_step and transformers' Trainer around it do it."""
        for batch in self.passes(clips, together):
            self.forward(batch).backward()  # type: ignore[no-untyped-call, unused-ignore]
        torch.nn.utils.clip_grad_norm_(self._trained, self._norm)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch from the CPU."""
        there = {name: value.to(self.precision.device) for name, value in batch.items()}
        with torch.autocast(self.precision.device, torch.bfloat16, enabled=self.precision.autocast):
            return self.loss(there)

    def flops(self, clips: int, together: int) -> float:
        """Of a step."""
        return sum(counting.flops(self.model, batch, self.depth) for batch in self.passes(clips, together))

    def measure(self, clips: int, together: int, repeats: int) -> Figures:
        """The median step, after some to warm up."""
        cuda = self.precision.device == "cuda"
        release()
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        for _ in range(min(_WARM_UPS, repeats)):
            self.step(clips, together)
        seconds = median_s(lambda: self.step(clips, together), self.precision, repeats)
        peaks = (torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()) if cuda else (None, None)
        flops = self.flops(clips, together)
        return Figures(clips=clips, together=together, seconds=seconds, flops=flops, allocated_bytes=peaks[0], reserved_bytes=peaks[1])


class Ours(Training):
    """With what is frozen of the audio path run beforehand."""

    def __init__(self, base: Any, settings: TrainSettings, precision: Precision, encoder: Encoder, examples: list[Example]) -> None:
        model: Any = voxtral.prepare_training(base, settings)
        depth = tower.depth(settings, voxtral.num_tower_layers(model))
        self.hearing_s = 0.0
        """Of the frozen part, a clip: what an epoch without the cache, or the first, takes besides."""
        if depth.layers:
            self.depth, path = depth, AudioPath(model, depth, precision)
            models.heard(examples[:1], path)  # so that libraries are loaded
            began = now(precision)
            examples = models.heard(examples, path)
            self.hearing_s = (now(precision) - began) / len(examples)
        self._encoder = encoder
        super().__init__(model, settings, precision, examples)

    def passes(self, clips: int, together: int) -> list[dict[str, Tensor]]:
        """As training/steps.py makes them."""
        return [self._encoder.training_batch(some) for some in micro_batches(self.examples[:clips], together)]

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits where labels are."""
        return summed_loss(self.model, batch) / (batch["labels"] != IGNORED).sum()


class Usual(Training):
    """The usual recipe: the tower in the graph, adapters leaking into it, a mask, logits of all positions and the stock loss. Its processor runs elsewhere."""

    def __init__(self, base: Any, settings: TrainSettings, precision: Precision, encoder: Encoder, examples: list[Example]) -> None:
        model: Any = get_peft_model(
            base, LoraConfig(r=settings.lora_r, lora_alpha=int(settings.lora_alpha), lora_dropout=settings.lora_dropout, target_modules=USUAL_TARGETS)
        )
        self._encoder = encoder
        super().__init__(model, settings, precision, examples)

    def passes(self, clips: int, together: int) -> list[dict[str, Tensor]]:
        """In the order in which they come."""
        return [self._encoder.collate(self.examples[start : min(start + together, clips)]) for start in range(0, clips, together)]

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Transformers' own, the mean over a pass."""
        found: Tensor = self.model(**batch).loss
        return found

    def flops(self, clips: int, together: int) -> float:
        """Of a step; a mask makes attention compute all pairs of tokens."""
        return sum(counting.flops(self.model, batch, None, causal_share=1.0) for batch in self.passes(clips, together))


def _optimizer(trained: list[torch.nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    rate = 1e-5  # the values do not matter, but they must stay finite
    if settings.optimizer == "adamw_8bit":
        import bitsandbytes  # type: ignore[import-not-found, unused-ignore]

        found: torch.optim.Optimizer = bitsandbytes.optim.AdamW(trained, lr=rate, optim_bits=8, weight_decay=settings.weight_decay)
        return found
    return torch.optim.AdamW(trained, lr=rate, weight_decay=settings.weight_decay, fused=True)


def now(precision: Precision) -> float:
    """Seconds, once the device has done all that it was given."""
    if precision.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def median_s(what: Callable[[], object], precision: Precision, repeats: int) -> float:
    """The median time of some goes."""
    took = []
    for _ in range(repeats):
        began = now(precision)
        what()
        took.append(now(precision) - began)
    return statistics.median(took)


def release() -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
