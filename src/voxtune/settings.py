"""The settings of a training run: frozen, checked once when made, one line of meaning and a unit under every field.

Command-line flags are made from these fields, and `settings.yaml` in a run folder is this object written out. Defaults follow what
people report for Voxtral on 10-100 clips and what was measured on the tiny model (docs/training-pipeline.md).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from voxtune.errors import SettingsError
from voxtune.files import read_text, write_text
from voxtune.languages import check_code

PARTS = ("language_model", "projector", "audio_tower")
"""The three parts of a Voxtral, by the names used in settings, status and reports."""

LoraScope = Literal["all", "language_model", "language_model+projector", "audio_tower"]

Augment = Literal["off", "light", "strong"]

Positive = Annotated[int, Field(ge=1)]


class TrainSettings(BaseModel):
    """Everything that decides what a training run does."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    data: str = Field(description="Dataset to train on: a JSONL file, a dataset folder, or a Hub dataset owner/name[:config][:split].")
    model: str = Field(default="auto", description="tiny, a Hub id or a folder; auto takes mistralai/Voxtral-Mini-3B-2507 where there is a GPU, else tiny.")
    method: Literal["lora", "full"] = Field(default="lora", description="lora trains adapters, full trains the weights themselves.")
    output: Path | None = Field(default=None, description="Run folder; by default a new one under outputs/.")
    language: str | None = Field(default=None, description="Two-letter language of clips that name none; without it Voxtral detects the language.")

    epochs: Annotated[float, Field(gt=0, le=10_000)] = Field(default=10.0, description="Passes over the training clips.")
    batch_size: Positive = Field(default=4, description="Clips per device in one forward pass.")
    eval_batch_size: Positive = Field(default=8, description="Clips in one forward pass while evaluating.")
    gradient_accumulation_steps: Positive = Field(default=2, description="Forward passes in one optimizer step.")
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Peak learning rate; by default chosen from method and width (2e-4 for LoRA and 1e-5 for full on the 3B)."
    )
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = Field(default=0.1, description="Share of all steps over which the learning rate rises from 0.")
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="Shape of the learning rate after warm-up, by transformers' name."
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(default=0.0, description="AdamW's decoupled weight decay.")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(default=1.0, description="Gradient norm above which gradients are scaled down.")

    lora_r: Positive = Field(default=16, description="Rank of the adapters.")
    lora_alpha: Annotated[float, Field(gt=0)] = Field(default=32, description="Adapters are scaled by lora_alpha / lora_r.")
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.05, description="Dropout on the adapters' input.")
    lora_scope: LoraScope = Field(default="all", description="Parts whose linear layers get adapters; all is language model, projector and audio tower.")
    freeze_audio_tower: bool = Field(default=False, description="Train nothing in the audio tower, whatever the method or scope says.")
    train_tower_layers: Annotated[int, Field(ge=0)] = Field(default=0, description="Only the top k layers of the audio tower train; 0 is all of them.")

    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="bf16 is autocast with fp32 trained weights; auto takes it where a GPU has it, else fp32."
    )
    load_in_4bit: bool = Field(default=False, description="QLoRA: frozen weights in 4 bits (NF4). Needs an NVIDIA GPU and bitsandbytes.")
    gradient_checkpointing: bool = Field(default=False, description="Recompute activations in the backward pass: less memory, about a third slower.")
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        default="adamw", description="adamw_8bit keeps its state in 8 bits: a quarter of the memory. Needs an NVIDIA GPU and bitsandbytes."
    )
    fit_memory: bool = Field(
        default=True, description="Where memory is estimated to be short, take what fits: smaller batches for the same steps, then checkpointing, 8 and 4 bits."
    )
    tower_cache: bool = Field(
        default=True, description="Run what is frozen of the audio tower once per clip and keep what it gives, in memory and on this machine's disk."
    )
    cache_gb: Annotated[float, Field(gt=0)] = Field(default=20.0, description="Disk that this may take for all runs together, in GB; the oldest goes first.")
    augment: Augment = Field(default="off", description="Also train on altered copies of the clips: other speed, loudness and noise, and parts masked.")

    eval_steps: Annotated[int, Field(ge=0)] = Field(default=0, description="Optimizer steps between validations (loss and WER); 0 is once an epoch.")
    save_steps: Annotated[int, Field(ge=0)] = Field(default=0, description="Optimizer steps between checkpoints; 0 is at every validation.")
    logging_steps: Positive = Field(default=5, description="Optimizer steps between lines of training loss.")
    early_stopping: Annotated[int, Field(ge=0)] = Field(default=0, description="Stop after this many validations without a better WER; 0 never does.")
    save_total_limit: Annotated[int, Field(ge=1)] = Field(default=2, description="Checkpoints kept: the newest ones, and always the best.")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(default=0, description="Seed of the split, adapters, order and dropout.")
    trackio: bool = Field(default=True, description="Also log metrics to Trackio, on this machine only.")

    @field_validator("language")
    @classmethod
    def _two_letters(cls, value: str | None) -> str | None:
        return value if value is None else check_code(value)

    @field_validator("*", mode="before")
    @classmethod
    def _no_nan(cls, value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("must be a finite number")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.method == "full" and self.load_in_4bit:
            raise ValueError("load_in_4bit needs method lora: 4-bit weights cannot be trained")
        if self.method == "lora" and self.lora_scope == "audio_tower" and self.freeze_audio_tower:
            raise ValueError("lora_scope audio_tower with freeze_audio_tower leaves nothing to train")
        if self.freeze_audio_tower and self.train_tower_layers:
            raise ValueError("train_tower_layers and freeze_audio_tower exclude each other")
        if self.save_steps and self.eval_steps and self.save_steps % self.eval_steps:
            raise ValueError("save_steps must be a multiple of eval_steps, so that each checkpoint knows how good it is")
        if self.save_steps and not self.eval_steps:
            raise ValueError("save_steps needs eval_steps too (save_steps a multiple of it)")
        return self

    @property
    def trained_parts(self) -> frozenset[str]:
        """Which of PARTS train."""
        scope = PARTS if self.method == "full" or self.lora_scope == "all" else self.lora_scope.split("+")
        return frozenset(part for part in scope if not (part == "audio_tower" and self.freeze_audio_tower))


def make(values: dict[str, object]) -> TrainSettings:
    """Settings from names and values. Raises SettingsError that names every wrong field."""
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from None


def load(path: Path, overrides: dict[str, object]) -> TrainSettings:
    """Settings from a YAML file, with `overrides` on top. Raises SettingsError or CallError."""
    return make({**given_in(path), **overrides})


def given_in(path: Path) -> dict[str, object]:
    """The settings that stand in a YAML file, unchecked. Raises SettingsError or CallError."""
    try:
        values = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}", hint="See examples/settings.yaml for a valid one.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold `name: value` lines, not {type(values).__name__}.", hint="See examples/settings.yaml.")
    return {str(name).replace("-", "_"): value for name, value in values.items()}


def save(settings: TrainSettings, path: Path) -> None:
    """Write `settings` as YAML, one field a line, each with its meaning as a comment."""
    lines = ["# Reproduce this run: voxtune train settings.yaml --output ANOTHER_FOLDER"]
    for name, value in settings.model_dump(mode="json").items():
        lines.append(f"# {TrainSettings.model_fields[name].description}")
        lines.append(yaml.safe_dump({name: value}, allow_unicode=True, width=10_000).strip())
    write_text(path, "\n".join(lines) + "\n")


def _explain(error: ValidationError) -> SettingsError:
    """One message that names each wrong field, its value and what is allowed."""
    import difflib

    problems = []
    for item in error.errors(include_url=False):
        name = ".".join(str(part) for part in item["loc"][:1])
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, TrainSettings.model_fields, n=1)
            problems.append(f"unknown setting {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        elif item["type"] == "missing":
            problems.append(f"setting {name!r} is missing")
        else:
            reason = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
            problems.append(f"{name} = {item['input']!r}: {reason}" if name else reason)
    return SettingsError("; ".join(problems) + ".", hint="`voxtune train --help` lists every setting.")
