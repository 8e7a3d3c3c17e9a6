"""A run rehearsed: everything checked, memory estimated, a few real steps timed, nothing trained or written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
import transformers

from voxtune.evaluation.validation import score
from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder, Example
from voxtune.model.prepared import PreparedClips
from voxtune.settings import TrainSettings
from voxtune.training import budget, opening
from voxtune.training.pace import Pace, steps_an_epoch, total_steps, validations_left

TIMED_STEPS = 3


def rehearse(settings: TrainSettings) -> dict[str, Any]:
    """What a run of these settings will take: {"clips", "total_steps", "memory" (bytes), "advice", "fits", "suggestion", "time" (seconds)}.

    Raises what starting the run would raise, and torch's own error if there is not even memory for one step.
    """
    settings = opening.settled(settings)
    place = names.find(settings.model)
    clips = opening.usable_clips(settings)
    need = budget.of_run(settings, place, clips)
    sides = {side: [clip for clip in clips if clip.split == side] for side in ("train", "validation", "test")}
    num_clips = len(sides["train"])
    steps = total_steps(settings, num_clips)
    validations = 1 + validations_left(step=0, total_steps=steps, eval_steps=settings.eval_steps, epoch=0.0, epochs=settings.epochs)
    step_s, validation_s = _timed(settings, place, sides)
    # The last step of an epoch has what is left of the clips.
    filled = num_clips / (steps_an_epoch(settings, num_clips) * settings.batch_size * settings.gradient_accumulation_steps)
    return {
        "clips": {side: len(of) for side, of in sides.items()},
        "total_steps": steps,
        "memory": need.as_json(),
        "fits": need.fits,
        "advice": need.advice,
        "suggestion": {} if need.fits else need.smaller() or {},
        "time": {
            "step_s": round(step_s, 3),
            "validation_s": round(validation_s, 3),
            "total_s": round(steps * filled * step_s + validations * validation_s, 1),
        },
    }


def _timed(settings: TrainSettings, place: names.ModelPlace, sides: dict[str, list[Any]]) -> tuple[float, float]:
    """Seconds of an optimizer step and of a validation, after one of each to warm up."""
    transformers.set_seed(settings.seed)
    precision = voxtral.choose_precision(settings.precision)
    encoder = Encoder(voxtral.load_processor(place))
    base = voxtral.load_base(place, precision, in_4bit=settings.load_in_4bit)
    model: Any = voxtral.prepare_training(base, settings)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=0.0)
    train = PreparedClips(sides["train"], encoder)
    pace = Pace()

    def loss_of(examples: Sequence[Example]) -> torch.Tensor:
        batch = {name: value.to(precision.device) for name, value in encoder.collate(examples).items()}
        with torch.autocast(precision.device, dtype=torch.bfloat16, enabled=precision.autocast):
            loss: torch.Tensor = model(**batch).loss
        return loss

    for _ in range(1 + TIMED_STEPS):
        pace.begin()
        model.train()
        for start in islice(range(0, len(train), settings.batch_size), settings.gradient_accumulation_steps):
            loss_of(train[start : start + settings.batch_size]).backward()
        optimizer.step()
        optimizer.zero_grad()
        pace.step_done()
    some = sides["validation"][: settings.eval_batch_size]
    validation = PreparedClips(some, encoder)
    model.eval()
    began = time.monotonic()
    with torch.inference_mode():
        loss_of(validation[:])
    score(model, encoder, some, validation.prompts, precision, batch_size=settings.eval_batch_size)
    validation_s = (time.monotonic() - began) * len(sides["validation"]) / len(some)
    assert pace.step_s is not None, "there was a step"
    return pace.step_s, validation_s
