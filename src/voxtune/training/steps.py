"""Which clips make up each optimizer step, in which order, and how a step is cut into forward passes.

A step is always `batch_size * gradient_accumulation_steps` clips, drawn anew each epoch by seed and epoch alone, so that a resumed run goes on in
the same order. How they are cut changes nothing in the mathematics: the loss is summed over all of a step's labels before it is divided. So clips
of as many chunks and of nearly the same length go together, and as many at once as a budget of tokens allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from voxtune.model.batches import CHUNK_AUDIO_TOKENS, Encoder, Example
from voxtune.model.prepared import Item, PreparedClips
from voxtune.settings import TrainSettings

ROUNDS = "rounds"
CLIP_NUMBERS = "clip_numbers"
_CLIP_TOKENS = CHUNK_AUDIO_TOKENS + 73
"""Of a clip of one chunk with its prompt and a transcript of 60 tokens: `batch_size` of these may go together, of longer ones fewer."""


def loader(clips: PreparedClips, encoder: Encoder, settings: TrainSettings, *, at_once: int = 1) -> DataLoader[Any]:
    """Gives one optimizer step at a time, as `collated`."""
    steps = Steps(clips, settings)
    collate = partial(collated, encoder=encoder, batch_size=settings.batch_size, at_once=at_once)
    return _Loader(_Items(clips, steps), batch_sampler=steps, collate_fn=collate)


def collated(examples: Sequence[Example], *, encoder: Encoder, batch_size: int, at_once: int = 1) -> dict[str, Any]:
    """{CLIP_NUMBERS: [b], ROUNDS: lists of at most `at_once` batches of `Encoder.training_batch` with their CLIP_NUMBERS}.

    What is in memory at the same time is a round: its batches may go through the model side by side.
    """

    def numbers(some: Sequence[Example]) -> Tensor:
        return torch.tensor([each.number for each in some])

    def batch(some: Sequence[Example]) -> dict[str, Tensor]:
        return {**encoder.training_batch(some), CLIP_NUMBERS: numbers(some)}

    rounds = [[batch(part) for part in _shared_out(some, at_once)] for some in micro_batches(examples, batch_size)]
    return {CLIP_NUMBERS: numbers(examples), ROUNDS: rounds}


def _shared_out(examples: list[Example], parts: int) -> list[list[Example]]:
    """In at most so many parts of nearly equal size."""
    size = -(-len(examples) // parts)
    return [examples[start : start + size] for start in range(0, len(examples), size)]


def micro_batches(examples: Sequence[Example], batch_size: int) -> list[list[Example]]:
    """The examples of a step that are in memory together: of as many chunks each, shortest first, at most `batch_size` and the tokens of as many clips."""
    found: list[list[Example]] = []
    for example in sorted(examples, key=lambda each: (each.num_chunks, len(each.input_ids), each.number)):
        last = found[-1] if found else []
        together = bool(last) and last[0].num_chunks == example.num_chunks
        if together and len(last) < batch_size and (len(last) + 1) * len(example.input_ids) <= batch_size * _CLIP_TOKENS:
            last.append(example)
        else:
            found.append([example])
    return found


class Steps(Sampler[list[Item]]):
    """The items of each optimizer step of an epoch."""

    def __init__(self, clips: PreparedClips, settings: TrainSettings) -> None:
        self._clips = clips
        self._size = settings.batch_size * settings.gradient_accumulation_steps
        self._seed = settings.seed
        self._epoch = 0
        self._following: dict[Item, list[Item]] = {}

    def set_epoch(self, epoch: int) -> None:
        """Before each epoch."""
        self._epoch = epoch

    def after(self, items: Sequence[Item]) -> list[Item]:
        """What comes after the items of a step; nothing after the last of an epoch."""
        return self._following.get(items[0], [])

    def __len__(self) -> int:
        return -(-len(self._clips) // self._size)

    def __iter__(self) -> Iterator[list[Item]]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._clips)).tolist()
        items = [(place, self._clips.variant(self._epoch)) for place in order]
        steps = [items[start : start + self._size] for start in range(0, len(items), self._size)]
        self._following = {step[0]: after for step, after in pairwise(steps)}
        return iter(steps)


class _Items(Dataset[Example]):
    """The clips by item; those of the next step are read while this one is computed."""

    def __init__(self, clips: PreparedClips, steps: Steps) -> None:
        self._clips, self._steps = clips, steps

    def __len__(self) -> int:
        return len(self._clips)

    def __getitems__(self, items: list[Item]) -> list[Example]:
        found = self._clips.examples(items)
        self._clips.ahead(self._steps.after(items))
        return found


class _Loader(DataLoader[Any]):
    def set_epoch(self, epoch: int) -> None:
        """Called by transformers' Trainer, which finds the sampler of a loader that skips steps by itself."""
        steps: Any = self.batch_sampler
        steps.set_epoch(epoch)
