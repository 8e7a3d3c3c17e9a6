"""What a run stands on: the machine, the versions, the base model and the data, noted each time it is set to work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from voxtune import versions
from voxtune.dataset import store
from voxtune.dataset.clips import SPLITS, Clip
from voxtune.errors import VoxtuneError
from voxtune.model.names import TINY, ModelPlace
from voxtune.settings import TrainSettings
from voxtune.training import machine
from voxtune.training.memory import duration_s
from voxtune.workspace import DATA_FILE, DATASET_FILE


def of(settings: TrainSettings, place: ModelPlace, clips: Sequence[Clip]) -> dict[str, Any]:
    """The keys of the event `machine` (docs/training-pipeline.md); no path, and no name of a person or a machine."""
    sides = {side: [clip for clip in clips if clip.split == side] for side in SPLITS}
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {
        "hardware": {**machine.hardware(), "gpus": gpus},
        "versions": versions.installed(),
        "base": {"name": TINY if place.name == TINY else None, "revision": None} if place.is_local else {"name": place.name, "revision": place.revision},
        "dataset": _dataset(Path(settings.data)),
        "clips": {side: {"num": len(of_side), "seconds": round(sum(map(duration_s, of_side)), 3)} for side, of_side in sides.items()},
    }


def _dataset(data: Path) -> dict[str, Any]:
    """Of dataset.json what tells which recordings these were, as they are now: a dataset may grow, and a run's clips stand in clips.jsonl."""
    try:
        about = store.read_about(store.locate(data).with_name(DATASET_FILE)) if data.is_dir() or data.name == DATA_FILE else {}
    except (VoxtuneError, OSError):
        return {}  # a JSONL alone, or gone since
    return {name: about[name] for name in ("content_hash", "sources", "num_clips", "duration_s", "languages") if name in about}
