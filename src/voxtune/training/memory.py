"""How much memory a training run will take, told before it starts from config.json and the settings alone: no torch, no weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Literal

import soundfile

from voxtune.audio import CHUNK_S
from voxtune.dataset.clips import Clip
from voxtune.settings import PARTS, TrainSettings
from voxtune.training.activations import Batch, Numbers, batches
from voxtune.training.shape import Shape

Device = Literal["cpu", "cuda"]
LIBRARIES_BYTES: dict[Device, int] = {"cpu": 510_000_000, "cuda": 640_000_000}
"""What a process takes besides a model. CPU: resident size of a run with torch 2.13, transformers 5.23, peft and Trackio less the rest,
x86-64 Linux, 2026-11-23 (benchmarks/memory.py --processes). GPU: a CUDA context with torch's kernels, about 0.6 GiB by experience; not measured."""
ALLOCATOR_SHARE: dict[Device, float] = {"cpu": 1.15, "cuda": 0.0}
"""Of activations and logits: how much more glibc's malloc holds than is in use, fitted on six runs of the tiny model (docs/performance.md)."""


KEPT_BYTES = 2 << 30
"""Of RAM for what is kept of the training clips, and as much for those of validation: model/prepared.py, which needs torch."""
_8_BIT = 2 * (1 + 4 / 256)
"""Bytes for Adam's two moments of a number: with each a scale in fp32 for 256 (Dettmers et al. 2022, arXiv:2110.02861)."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much there is of the clips that a run trains or validates on."""

    longest_s: float
    text_tokens: int
    """Of the longest transcript, which may be another clip's."""
    total_s: float = 0.0
    total_chunks: int = 0
    """Of 30 s, all clips together."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes by category at the highest moment of a run; gradients and logits may not be there at that moment."""

    weights_bytes: int
    adapters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    logits_bytes: int
    clips_bytes: int
    """What is kept of clips in RAM; on a GPU it takes nothing."""
    allocator_bytes: int
    """What the system's allocator holds of memory that was given back to it; the GPU's is in none of these."""
    libraries_bytes: int

    @property
    def total_bytes(self) -> int:
        """All categories together."""
        return sum(asdict(self).values())

    def as_json(self) -> dict[str, int]:
        """The categories by name, and their total."""
        return {**asdict(self), "total_bytes": self.total_bytes}


def extent(clips: Iterable[Clip]) -> Extent:
    """How much there is of the clips that train and validate."""
    used = [clip for clip in clips if clip.split != "test"]
    lengths_s = [duration_s(clip) for clip in used]
    return Extent(
        longest_s=max(lengths_s, default=0.0),
        # A token is three bytes or more of text in every script that Tekken knows well; exact counting would need the tokenizer.
        text_tokens=max((len(clip.text.encode()) // 3 + 2 for clip in used), default=0),
        total_s=sum(lengths_s),
        total_chunks=sum(max(1, math.ceil(length_s / CHUNK_S)) for length_s in lengths_s),
    )


def duration_s(clip: Clip) -> float:
    """Seconds of a clip by its header; one that cannot be read is told where it is needed, in training."""
    if clip.start_s is not None and clip.end_s is not None:
        return clip.end_s - clip.start_s
    try:
        return float(soundfile.info(str(clip.path)).duration)
    except (soundfile.LibsndfileError, OSError):
        return 0.0


def trainable(shape: Shape, settings: TrainSettings) -> dict[str, int]:
    """Numbers that train in each of settings.PARTS: exactly those of voxtral.trainable_parameters."""
    return {part: sum(stage.trained for stage in Numbers(shape, settings).stages() if stage.part == part) for part in PARTS}


def checkpoint_bytes(shape: Shape, settings: TrainSettings) -> int:
    """What one checkpoint takes on disk: what was trained (with method full all weights), in fp32, and Adam's two moments of it."""
    trained = sum(trainable(shape, settings).values())
    weights = 4 * (shape.numbers()[0] if settings.method == "full" else trained)
    return weights + _optimizer(shape, settings, trained) + 200_000  # JSON files and random states


def _optimizer(shape: Shape, settings: TrainSettings, trained: int) -> int:
    """Bytes of Adam's two moments."""
    if settings.optimizer == "adamw":
        return 8 * trained
    in_fp32 = shape.vocab * shape.lm_width * (settings.method == "full")  # transformers leaves embeddings in 32 bits
    return round(8 * in_fp32 + _8_BIT * (trained - in_fp32))


def estimate(shape: Shape, settings: TrainSettings, extent: Extent, *, device: Device, autocast: bool) -> Memory:
    """What a run needs at its highest moment, if it may be that of its longest clips and of its longest transcripts."""
    found = (_of(shape, settings, extent, batch, device, autocast) for batch in batches(settings, audio_s=extent.longest_s, text_tokens=extent.text_tokens))
    return max(found, key=lambda each: each.total_bytes)


def _of(shape: Shape, settings: TrainSettings, extent: Extent, batch: Batch, device: Device, autocast: bool) -> Memory:
    run = Numbers(shape, settings, batch, cuda=device == "cuda", autocast=autocast)
    stages = list(run.stages())
    trained, adapts = sum(stage.trained for stage in stages), settings.method == "lora"
    gradients, activations, logits = max(run.moments(stages), key=sum)
    return Memory(
        weights_bytes=run.weights(0 if adapts else trained),
        adapters_bytes=4 * trained * adapts,
        gradients_bytes=round(gradients),
        optimizer_bytes=_optimizer(shape, settings, trained),
        activations_bytes=round(activations),
        logits_bytes=round(logits),
        clips_bytes=round(min(2 * KEPT_BYTES, run.kept(extent.total_s, extent.total_chunks))) if device == "cpu" else 0,
        allocator_bytes=round(ALLOCATOR_SHARE[device] * (activations + logits)),
        libraries_bytes=LIBRARIES_BYTES[device],
    )


def fitting(
    shape: Shape, settings: TrainSettings, extent: Extent, available_bytes: int, *, device: Device, autocast: bool, bitsandbytes: bool = True
) -> dict[str, object] | None:
    """The least change of settings with which a run fits into nine tenths of the memory, the effective batch kept: {} for none, None if nothing helps.

    Without `bitsandbytes`, none that needs it.
    """
    for change in _changes(settings, coarser=device == "cuda" and bitsandbytes):
        changed = settings.model_copy(update=change)
        if estimate(shape, changed, extent, device=device, autocast=autocast).total_bytes <= 0.9 * available_bytes:
            return change
    return None


def _changes(settings: TrainSettings, *, coarser: bool) -> Iterator[dict[str, object]]:
    """From least to most: smaller batches, then slower steps, then fewer bits; with each, smaller validation batches if need be."""
    size, steps = settings.batch_size, settings.gradient_accumulation_steps
    slower = [False] if settings.gradient_checkpointing else [False, True]
    fewer: dict[str, object] = {"load_in_4bit": True} if settings.method == "lora" else {"optimizer": "adamw_8bit"}
    bits = [{}, fewer] if coarser and any(getattr(settings, name) != value for name, value in fewer.items()) else [{}]
    for in_bits, again, batch in product(bits, slower, [n for n in range(size, 0, -1) if size % n == 0]):
        change: dict[str, object] = {} if batch == size else {"batch_size": batch, "gradient_accumulation_steps": size // batch * steps}
        change |= ({"gradient_checkpointing": True} if again else {}) | in_bits
        yield change
        if batch < settings.eval_batch_size:
            yield change | {"eval_batch_size": batch}
