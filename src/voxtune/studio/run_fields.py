"""The settings of a run as fields of the page: which there are, in which order, and how they become TrainSettings and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import gradio as gr
from gradio.components import Component

from voxtune.errors import SettingsError
from voxtune.settings import Augment, LoraScope, TrainSettings, make
from voxtune.studio import models
from voxtune.studio.page import Page
from voxtune.studio.words import Words, words

BASIC = ("model", "method", "batch_size")
GROUPS: dict[str, tuple[str, ...]] = {
    "learning": (
        "epochs",
        "learning_rate",
        "gradient_accumulation_steps",
        "warmup_ratio",
        "scheduler",
        "weight_decay",
        "max_grad_norm",
        "early_stopping",
        "augment",
    ),
    "parts": ("lora_r", "lora_alpha", "lora_dropout", "lora_scope", "freeze_audio_tower", "train_tower_layers"),
    "memory": ("precision", "load_in_4bit", "gradient_checkpointing", "eval_batch_size"),
    "watching": ("eval_steps", "save_steps", "logging_steps", "save_total_limit", "seed", "trackio"),
}
NAMES: tuple[str, ...] = (*BASIC, *(name for group in GROUPS.values() for name in group))
"""Every setting on the page, in the order of its fields: all of TrainSettings but data, output and language, which the dataset knows, and
optimizer, fit_memory, tower_cache and cache_gb, which are right as they are for nearly everyone and would make a heavy page heavier."""

MAY_BE_EMPTY = frozenset({"learning_rate"})
_CHOICES: dict[str, tuple[str, ...]] = {
    "model": models.OFFERED,
    "method": ("lora", "full"),
    "scheduler": get_args(TrainSettings.model_fields["scheduler"].annotation),
    "augment": get_args(Augment),
    "lora_scope": get_args(LoraScope),
    "precision": get_args(TrainSettings.model_fields["precision"].annotation),
}


def build(page: Page, name: str) -> Component:
    """The field of one setting, with its name and one line of what it means."""
    field = TrainSettings.model_fields[name]
    about: dict[str, Any] = {"label": page.label(f"setting.{name}"), "info": page.label(f"setting.{name}.info"), "elem_id": f"vx-setting-{name}"}
    if name in _CHOICES:
        start = "tiny" if name == "model" else field.default
        options = {"choices": _labels(words("en"), name), "value": start, **about, "min_width": 230}
        return gr.Dropdown(**options, allow_custom_value=name == "model", filterable=name == "model")
    if field.annotation is bool:
        return gr.Checkbox(value=field.default, **about, min_width=230)
    whole = "int" in str(field.annotation) and "float" not in str(field.annotation)
    # No bounds here: what is out of them is told beside the summary, where a person is told everything, and by no notice over the page.
    return gr.Number(value=field.default, precision=0 if whole else None, **about, min_width=230)


def choices(said: Words, name: str) -> dict[str, Any]:
    """What a field offers, in the visitor's words; nothing for one that offers nothing."""
    return {"choices": _labels(said, name)} if name in _CHOICES else {}


def _labels(said: Words, name: str) -> list[tuple[str, str]]:
    return [(said.say(f"setting.{name}.{choice}"), choice) for choice in _CHOICES[name]]


def read(values: Sequence[Any], *, data: str, said: Words) -> TrainSettings:
    """The settings that stand in the fields, in the order of NAMES. Raises SettingsError that names what is wrong."""
    given = dict(zip(NAMES, values, strict=True))
    if empty := [said.say(f"setting.{name}") for name, value in given.items() if value is None and name not in MAY_BE_EMPTY]:
        raise SettingsError(said.say("setup.empty", names=", ".join(empty)))
    return make({"data": data, **{name: value for name, value in given.items() if value is not None}})


def values_of(settings: TrainSettings, changes: Mapping[str, object]) -> list[Any]:
    """What stands in the fields for these settings with `changes` of them."""
    return [changes.get(name, getattr(settings, name)) for name in NAMES]
