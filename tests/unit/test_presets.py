from __future__ import annotations

import math
import subprocess
import sys

import pytest

from voxtune.model.names import DEFAULT_ON_GPU, TINY
from voxtune.settings import TrainSettings
from voxtune.training import pace, presets
from voxtune.training.presets import PRESETS, Preset

COUNTS = [1, 2, 8, 31, 32, 96, 250, 1_000, 20_000]
CLIP_PASS_S = 0.19
"""Of the tiny model on two cores, validations among them: 92 s for 96 clips in five passes (docs/training-pipeline.md)."""


def _validations(settings: TrainSettings, num_clips: int) -> int:
    steps = pace.total_steps(settings, num_clips)
    return pace.validations_left(step=0, total_steps=steps, eval_steps=settings.eval_steps, epoch=0.0, epochs=settings.epochs)


@pytest.mark.parametrize("num_clips", COUNTS)
@pytest.mark.parametrize("model", [TINY, DEFAULT_ON_GPU])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_a_valid_run_for_any_number_of_clips(preset: Preset, model: str, num_clips: int) -> None:
    settings = presets.settings(preset, data="d", model=model, num_clips=num_clips)
    assert settings.model == model
    assert 1 <= _validations(settings, num_clips) <= 15
    assert settings.lora_alpha / settings.lora_r == 2
    assert settings.learning_rate is None


@pytest.mark.parametrize("num_clips", COUNTS)
def test_more_thorough_is_longer_and_looks_more_often(num_clips: int) -> None:
    runs = [presets.settings(preset, data="d", model=TINY, num_clips=num_clips) for preset in PRESETS]
    steps = [pace.total_steps(run, num_clips) for run in runs]
    assert steps == sorted(steps)
    assert len(set(steps)) == 3
    assert [run.early_stopping for run in runs] == [0, 0, 5]


def test_all_presets_set_the_same_fields_so_that_one_leaves_nothing_of_another() -> None:
    names = {frozenset(presets.changes(preset, model=model, num_clips=count)) for preset in PRESETS for model in (TINY, DEFAULT_ON_GPU) for count in COUNTS}
    assert len(names) == 1


def test_quick_on_the_demo_voice_is_the_run_that_was_measured() -> None:
    settings = presets.settings("quick", data="d", model=TINY, num_clips=96)
    assert (settings.epochs, settings.gradient_accumulation_steps, settings.eval_steps) == (5, 2, 0)


def test_balanced_on_a_hundred_clips_is_the_default_of_the_command() -> None:
    settings = presets.settings("balanced", data="d", model="auto", num_clips=96)
    assert settings == TrainSettings(data="d")


@pytest.mark.parametrize("num_clips", [8, 24, 80, 96])
def test_on_a_cpu_the_tiny_model_is_a_matter_of_minutes(num_clips: int) -> None:
    passes = {preset: presets.settings(preset, data="d", model=TINY, num_clips=num_clips).epochs * num_clips for preset in PRESETS}
    assert passes["quick"] * CLIP_PASS_S < 120
    assert passes["balanced"] * CLIP_PASS_S < 240
    assert passes["thorough"] * CLIP_PASS_S < 600


def test_few_clips_are_not_all_one_step() -> None:
    settings = presets.settings("quick", data="d", model=TINY, num_clips=10)
    assert pace.steps_an_epoch(settings, 10) == math.ceil(10 / 4)
    assert settings.logging_steps == 1


def test_presets_load_no_torch() -> None:
    code = "import sys, voxtune.training.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
