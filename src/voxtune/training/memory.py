"""How much memory a training run will take, told before it starts from config.json and the settings alone: no torch, no weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Literal

import soundfile

from voxtune.dataset.clips import Clip
from voxtune.settings import PARTS, TrainSettings
from voxtune.training.activations import Numbers
from voxtune.training.shape import Shape

Device = Literal["cpu", "cuda"]
LIBRARIES_BYTES: dict[Device, int] = {"cpu": 610_000_000, "cuda": 640_000_000}
"""What a process takes besides a model. CPU: resident size of a run with torch 2.13, transformers 5.23, peft and Trackio less the rest,
x86-64 Linux, 2026-11-22 (benchmarks/memory.py --processes). GPU: a CUDA context with torch's kernels, about 0.6 GiB by experience; not measured."""
ALLOCATOR_SHARE: dict[Device, float] = {"cpu": 0.65, "cuda": 0.0}
"""Of activations and logits: how much more glibc's malloc holds than is in use, fitted on six runs of the tiny model (docs/performance.md)."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes by category at the highest moment of a run; gradients and logits may not be there at that moment."""

    weights_bytes: int
    adapters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    logits_bytes: int
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


def longest(clips: Iterable[Clip]) -> tuple[float, int]:
    """Seconds of the longest clip that a run trains or validates on, and tokens of the longest transcript, which may be another's."""
    used = [clip for clip in clips if clip.split != "test"]
    # A token is three bytes or more of text in every script that Tekken knows well; exact counting would need the tokenizer.
    return max((duration_s(clip) for clip in used), default=0.0), max((len(clip.text.encode()) // 3 + 2 for clip in used), default=0)


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
    """What one checkpoint takes on disk: what was trained (with method full all weights) and Adam's two moments, in fp32."""
    trained = sum(trainable(shape, settings).values())
    return 4 * (shape.numbers()[0] if settings.method == "full" else trained) + 8 * trained + 200_000  # JSON files and random states


def estimate(shape: Shape, settings: TrainSettings, *, device: Device, autocast: bool, audio_s: float, text_tokens: int) -> Memory:
    """What a run needs at its highest moment, if its batches are all of clips of `audio_s` seconds and `text_tokens` tokens of transcript."""
    run = Numbers(shape, settings, cuda=device == "cuda", autocast=autocast, audio_s=audio_s, text_tokens=text_tokens)
    stages = list(run.stages())
    trained, adapts = sum(stage.trained for stage in stages), settings.method == "lora"
    gradients, activations, logits = max(run.moments(stages), key=sum)
    return Memory(
        weights_bytes=run.weights(0 if adapts else trained),
        adapters_bytes=4 * trained * adapts,
        gradients_bytes=round(gradients),
        optimizer_bytes=8 * trained,
        activations_bytes=round(activations),
        logits_bytes=round(logits),
        allocator_bytes=round(ALLOCATOR_SHARE[device] * (activations + logits)),
        libraries_bytes=LIBRARIES_BYTES[device],
    )


def fitting(
    shape: Shape, settings: TrainSettings, available_bytes: int, *, device: Device, autocast: bool, audio_s: float, text_tokens: int
) -> dict[str, object] | None:
    """The least change of settings with which a run fits into nine tenths of the memory, the effective batch kept: {} for none, None if nothing helps."""
    for change in _changes(settings, device):
        changed = settings.model_copy(update=change)
        if estimate(shape, changed, device=device, autocast=autocast, audio_s=audio_s, text_tokens=text_tokens).total_bytes <= 0.9 * available_bytes:
            return change
    return None


def _changes(settings: TrainSettings, device: Device) -> Iterator[dict[str, object]]:
    """From least to most: smaller batches, then slower steps, then coarser weights; with each, smaller validation batches if need be."""
    size, steps = settings.batch_size, settings.gradient_accumulation_steps
    slower = [False] if settings.gradient_checkpointing else [False, True]
    coarser = [False, True] if device == "cuda" and settings.method == "lora" and not settings.load_in_4bit else [False]
    for in_4bit, again, batch in product(coarser, slower, [n for n in range(size, 0, -1) if size % n == 0]):
        change: dict[str, object] = {} if batch == size else {"batch_size": batch, "gradient_accumulation_steps": size // batch * steps}
        change |= ({"gradient_checkpointing": True} if again else {}) | ({"load_in_4bit": True} if in_4bit else {})
        yield change
        if batch < settings.eval_batch_size:
            yield change | {"eval_batch_size": batch}
