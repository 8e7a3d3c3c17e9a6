"""What a run will take, told at once from sizes alone: nothing is loaded, so that it can be told anew at each change of a setting."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from voxtune import files
from voxtune.dataset import store
from voxtune.dataset.split import counts
from voxtune.model.names import TINY
from voxtune.phrases.cleaning import sentence_key
from voxtune.settings import TrainSettings
from voxtune.studio import models
from voxtune.studio.machine import Machine
from voxtune.training import machine as this_machine
from voxtune.training import memory, pace
from voxtune.training.memory import Device, Extent
from voxtune.training.shape import Shape
from voxtune.workspace import DATA_FILE, DATASET_FILE

TINY_CLIP_S, TINY_START_S = 0.19, 15.0
"""Seconds that the tiny model took for a clip in one pass, validations among them, and to begin: 92 s for 96 clips in five passes
on two CPU cores (docs/training-pipeline.md). The first word on time, until it is measured here."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a run would learn from."""

    clips: dict[str, int]
    """Clips on each side; all 0 where there are too few for a split."""
    num_clips: int
    num_sentences: int
    num_bad_lines: int
    language: str | None
    texts: tuple[str, ...]
    extent: Extent

    @property
    def num_training(self) -> int:
        """Clips that train."""
        return self.clips["train"]


def data_of(folder: Path) -> Data | None:
    """What is in a dataset folder; None where no dataset was made yet. Raises DatasetError or CallError for one that cannot be read."""
    stamps = [path.stat().st_mtime_ns if path.is_file() else 0 for path in (folder / DATA_FILE, folder / DATASET_FILE)]
    return _read(folder, *stamps) if stamps[0] else None


@functools.lru_cache(maxsize=8)
def _read(folder: Path, *_stamps: int) -> Data:
    dataset = store.load(folder, strict=False)
    return Data(
        clips=counts(dataset.clips),
        num_clips=len(dataset.clips),
        num_sentences=len({sentence_key(clip.text) for clip in dataset.clips}),
        num_bad_lines=len(dataset.bad_lines),
        language=dataset.language,
        texts=tuple(clip.text for clip in dataset.clips),
        extent=memory.extent(dataset.clips),
    )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run is estimated to take. None stands for what cannot be known before the model or the machine is."""

    steps: int
    memory_bytes: int | None = None
    available_bytes: int | None = None
    smaller: dict[str, object] | None = None
    """The least change of settings with which it fits: {} where it does, None where nothing helps or nothing is known."""
    checkpoint_bytes: int | None = None
    disk_bytes: int | None = None
    """Of checkpoints and the tuned model together."""
    free_bytes: int = 0
    download_bytes: int | None = None
    """Of weights that are not on this machine yet; 0 where they are."""
    total_s: float | None = None

    @property
    def fits(self) -> bool:
        """Whether there is memory enough, as far as is known."""
        return self.memory_bytes is None or self.available_bytes is None or self.memory_bytes <= self.available_bytes

    @property
    def has_room(self) -> bool:
        """Whether the disk takes the two checkpoints without which a run does not begin."""
        return self.checkpoint_bytes is None or self.free_bytes >= 2 * self.checkpoint_bytes


def of(settings: TrainSettings, data: Data, machine: Machine | None, outputs: Path) -> Estimate:
    """The estimate of a run of these settings on this machine, as far as it is known."""
    steps, shape = pace.total_steps(settings, data.num_training), models.shape(settings.model)
    here, free = models.is_here(settings.model), files.free_bytes(outputs)
    if shape is None:
        return Estimate(steps=steps, free_bytes=free, download_bytes=0 if here else None)
    weights = shape.numbers()[0]
    trained = sum(memory.trainable(shape, settings).values())
    checkpoint = memory.checkpoint_bytes(shape, settings)
    need, available, smaller = _memory(shape, settings, data, machine)
    on_cpu = machine is not None and machine.gpu is None
    return Estimate(
        steps=steps,
        memory_bytes=need,
        available_bytes=available,
        smaller=smaller,
        checkpoint_bytes=checkpoint,
        # The newest, the best, the one being written; and the model at the end.
        disk_bytes=(settings.save_total_limit + 2) * checkpoint + 4 * (weights if settings.method == "full" else trained),
        free_bytes=free,
        download_bytes=0 if here else 2 * weights,  # published in bf16
        total_s=TINY_START_S + TINY_CLIP_S * settings.epochs * data.num_training if settings.model == TINY and on_cpu else None,
    )


def _memory(shape: Shape, settings: TrainSettings, data: Data, machine: Machine | None) -> tuple[int | None, int | None, dict[str, object] | None]:
    """(needed, available, what to change); nothing while the machine is not known."""
    if machine is None:
        return None, None, None
    gpu = machine.gpu
    device: Device = "cuda" if gpu else "cpu"
    autocast = gpu.bf16 and settings.precision != "fp32" if gpu else settings.precision == "bf16"
    need = memory.estimate(shape, settings, data.extent, device=device, autocast=autocast).total_bytes
    available = gpu.free_bytes if gpu else this_machine.free_ram_bytes()
    if need <= available:
        return need, available, {}
    return need, available, memory.fitting(shape, settings, data.extent, available, device=device, autocast=autocast)
