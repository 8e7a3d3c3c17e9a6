"""Three ways to train, for who does not want to choose each setting: how long, how often to look, and when to stop. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from voxtune.model.names import TINY
from voxtune.settings import TrainSettings
from voxtune.training.pace import steps_an_epoch

Preset = Literal["quick", "balanced", "thorough"]
PRESETS: tuple[Preset, ...] = ("quick", "balanced", "thorough")

FEW_CLIPS = 32
"""Fewer training clips than these are taken four to a step and not eight, so that there are twice as many steps to learn in."""


@dataclass(frozen=True, kw_only=True)
class _Aim:
    """What a preset is after."""

    steps: int
    """Optimizer steps: a voice is learned in steps, not in passes, so few clips pass more often than many."""
    epochs: tuple[int, int]
    """Passes at least and at most: beyond some tens, few clips are only learned by heart."""
    validations: int
    """At most: each hears every validation clip word by word, which takes as long as several steps."""
    early_stopping: int = 0
    rank: int = 16


_AIMS: dict[Preset, _Aim] = {
    "quick": _Aim(steps=60, epochs=(1, 10), validations=5),
    "balanced": _Aim(steps=120, epochs=(3, 20), validations=10),
    "thorough": _Aim(steps=300, epochs=(5, 40), validations=15, early_stopping=5, rank=32),
}


def changes(preset: Preset, *, model: str, num_clips: int) -> dict[str, object]:
    """What a preset sets otherwise than the defaults, for a model and as many training clips; always the same names.

    quick is a first look: some 60 steps took the tiny model from 68 % to 2.5 % WER in a minute and a half on two CPU cores
    (docs/training-pipeline.md: 96 clips, five epochs), and peers' three epochs of 100 clips are fewer steps still.
    balanced is the default of `voxtune train`, ten epochs of 100 clips, held at about as many steps for more clips and fewer.
    thorough goes on as long as it gets better: it stops after five validations without a better WER, and gives a wide model adapters
    of twice the rank, in the middle of what people report for Voxtral (r 8 to 64); the tiny one, 128 wide, was measured with 16.

    Not touched: the learning rate, which is chosen from method and width; the parts that train, since a new voice is heard by the
    audio tower (all parts: 2.5 % WER, language model alone: 14 %); and what a machine's memory decides (`memory.fitting`).
    """
    aim = _AIMS[preset]
    accumulation = 2 if num_clips >= FEW_CLIPS else 1
    each = steps_an_epoch(TrainSettings(data="", gradient_accumulation_steps=accumulation), num_clips)
    epochs = min(max(round(aim.steps / each), aim.epochs[0]), aim.epochs[1])
    steps = epochs * each
    rank = 16 if model == TINY else aim.rank
    return {
        "epochs": float(epochs),
        "gradient_accumulation_steps": accumulation,
        "eval_steps": 0 if epochs <= aim.validations else math.ceil(steps / aim.validations),
        "early_stopping": aim.early_stopping,
        "logging_steps": max(1, min(5, steps // 20)),  # a curve wants some twenty points
        "lora_r": rank,
        "lora_alpha": 2.0 * rank,  # adapters keep their scale, so the learning rate that suits 16 suits 32
    }


def settings(preset: Preset, *, data: str, model: str, num_clips: int) -> TrainSettings:
    """A run by a preset, everything else by default."""
    return TrainSettings.model_validate({"data": data, "model": model, **changes(preset, model=model, num_clips=num_clips)})
