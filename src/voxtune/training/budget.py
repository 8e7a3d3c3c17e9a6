"""What a run needs and what this machine has: memory before the start, room on the disk, and the settings that would need less."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from voxtune.dataset.clips import Clip
from voxtune.errors import ModelError
from voxtune.model import voxtral
from voxtune.model.loading_errors import config_file
from voxtune.model.names import ModelPlace
from voxtune.settings import TrainSettings
from voxtune.training import machine, memory
from voxtune.training.memory import Device, Extent, Memory
from voxtune.training.shape import Shape, shape_of


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a run needs on this machine."""

    shape: Shape
    settings: TrainSettings
    device: Device
    autocast: bool
    extent: Extent
    estimate: Memory
    available_bytes: int
    checkpoint_bytes: int
    """Of one checkpoint."""

    @property
    def fits(self) -> bool:
        """Whether there is memory enough."""
        return self.estimate.total_bytes <= self.available_bytes

    @property
    def advice(self) -> str:
        """What to say before the start where memory is short, or nothing."""
        if self.fits:
            return ""
        short = f"this run is estimated to need {self.estimate.total_bytes / 1e9:.1f} GB of memory, and {self.available_bytes / 1e9:.1f} GB are free"
        smaller = self.smaller()
        flags = " ".join(f"{name}={value}" for name, value in (smaller or {}).items())
        return f"{short}; {f'with {flags} it should fit' if flags else 'no setting makes it fit'}."

    def smaller(self) -> dict[str, object] | None:
        """Settings that need less memory than these, and fit in what there was; None where nothing does."""
        # A run that failed although it should have fitted was estimated too low, so the next one must be smaller in any case.
        limit = min(self.available_bytes, round(0.99 * self.estimate.total_bytes))
        return memory.fitting(self.shape, self.settings, self.extent, limit, device=self.device, autocast=self.autocast)

    def fitted(self) -> dict[str, object]:
        """The least change of settings with which this run fits here and now; {} where it fits, and where nothing that can be had here helps."""
        if self.fits:
            return {}
        bitsandbytes = importlib.util.find_spec("bitsandbytes") is not None
        return (
            memory.fitting(self.shape, self.settings, self.extent, self.available_bytes, device=self.device, autocast=self.autocast, bitsandbytes=bitsandbytes)
            or {}
        )

    def of(self, settings: TrainSettings) -> Need:
        """What another run of the same clips needs."""
        estimate = memory.estimate(self.shape, settings, self.extent, device=self.device, autocast=self.autocast)
        return replace(self, settings=settings, estimate=estimate, checkpoint_bytes=memory.checkpoint_bytes(self.shape, settings))

    def as_json(self) -> dict[str, int]:
        """Bytes, as status.json has them."""
        return {**self.estimate.as_json(), "available_bytes": self.available_bytes, "oom_kills": machine.oom_kills()}


def of_run(settings: TrainSettings, place: ModelPlace, clips: Sequence[Clip]) -> Need:
    """What a run of these settings needs. Raises ModelError where the model's sizes cannot be read."""
    precision = voxtral.choose_precision(settings.precision)
    device: Device = "cuda" if precision.device == "cuda" else "cpu"
    shape = shape_of(_config(place))
    extent = memory.extent(clips)
    estimate = memory.estimate(shape, settings, extent, device=device, autocast=precision.autocast)
    return Need(
        shape=shape,
        settings=settings,
        device=device,
        autocast=precision.autocast,
        extent=extent,
        estimate=estimate,
        available_bytes=free_memory_bytes(device),
        checkpoint_bytes=memory.checkpoint_bytes(shape, settings),
    )


def _config(place: ModelPlace) -> dict[str, Any]:
    file = config_file(place)
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}.", hint="Copy or download the model again, whole.") from None
    return config


def free_memory_bytes(device: Device) -> int:
    """Memory that a run could take now: of the GPU, or of the machine, or what a container leaves of it."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return machine.free_ram_bytes()
