"""A run rehearsed: everything checked, memory estimated, a few real steps timed, nothing trained or written."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
import transformers
from torch import Tensor

from voxtune.dataset.clips import Clip
from voxtune.evaluation.validation import score
from voxtune.model import cores, names, voxtral
from voxtune.model.augmentation import Augmentation
from voxtune.model.batches import IGNORED, Encoder
from voxtune.model.loss import summed_loss
from voxtune.model.prepared import VARIANTS, PreparedClips, hearing
from voxtune.settings import TrainSettings
from voxtune.training import budget, fitting, opening, passes, steps
from voxtune.training.pace import steps_an_epoch, total_steps, validations_left
from voxtune.training.passes import Batch

TIMED_STEPS = 4
"""After one to warm up; of two epochs each way, as recorded and altered, where clips are altered."""


def rehearse(settings: TrainSettings) -> dict[str, Any]:
    """What a run of these settings will take.

    {"clips", "total_steps", "memory" (bytes), "advice", "fits", "fitted" (settings changed so that it fits), "suggestion", "time" (seconds)}.
    Raises what starting the run would raise, and torch's own error if there is not even memory for one step.
    """
    settings = opening.settled(settings)
    place = names.find(settings.model)
    opening.refuse_unable(settings)
    clips = opening.usable_clips(settings)
    fit = fitting.plan(budget.of_run(settings, place, clips))
    need, settings = fit.need, fit.need.settings
    sides = {side: [clip for clip in clips if clip.split == side] for side in ("train", "validation", "test")}
    num_clips = len(sides["train"])
    num_steps = total_steps(settings, num_clips)
    validations = 1 + validations_left(step=0, total_steps=num_steps, eval_steps=settings.eval_steps, epoch=0.0, epochs=settings.epochs)
    times = _Rehearsal(settings, place, sides).timed()
    size = min(num_clips, settings.batch_size * settings.gradient_accumulation_steps)
    # The last step of an epoch has what is left of the clips.
    filled = num_clips / (steps_an_epoch(settings, num_clips) * size)
    return {
        "clips": {side: len(of) for side, of in sides.items()},
        "total_steps": num_steps,
        "memory": need.as_json(),
        "fits": need.fits,
        "advice": fit.message or need.advice,
        "fitted": fit.changes,
        "suggestion": {} if need.fits else need.smaller() or {},
        "time": {
            "step_s": round(times.step_s, 3),
            "validation_s": round(times.validation_s, 3),
            "hearing_s": round(times.hearing_s, 3),
            "total_s": round(num_steps * filled * times.step_s + validations * times.validation_s + times.hearing_s, 1),
        },
    }


@dataclass(frozen=True, kw_only=True)
class _Times:
    step_s: float
    validation_s: float
    hearing_s: float
    """In the whole run, for what is read, altered, and run through the frozen part of the tower apart from the steps."""


class _Rehearsal:
    """The run, as `work` and `trainer` make it, but for the optimizer's rate, which is 0, and the disk, where nothing is kept."""

    def __init__(self, settings: TrainSettings, place: names.ModelPlace, sides: dict[str, list[Clip]]) -> None:
        transformers.set_seed(settings.seed)
        self._settings, self._sides = settings, sides
        self._precision = voxtral.choose_precision(settings.precision)
        self._encoder = Encoder(voxtral.load_processor(place))
        base = voxtral.load_base(place, self._precision, in_4bit=settings.load_in_4bit)
        self._model: Any = voxtral.prepare_training(base, settings)
        if settings.gradient_checkpointing:
            self._model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._hearing = hearing(self._model, settings.model_copy(update={"tower_cache": False}), self._precision)

    def timed(self) -> _Times:
        """Times a few steps and one batch of validation."""
        step_s, train_clip_s, altered_clip_s = self._steps()
        clips, size = self._sides["validation"], self._settings.eval_batch_size
        validation_s, clip_s = self._validation(clips[:size])
        batches = len(clips) / min(size, len(clips))
        epochs = math.ceil(self._settings.epochs)
        as_recorded, altered, times_heard = self._epochs_heard(epochs)
        training_s = len(self._sides["train"]) * (as_recorded * train_clip_s + altered * altered_clip_s)
        again_s = 0.0 if times_heard else 2 * len(clips) * clip_s  # for the loss, and to be transcribed
        return _Times(step_s=step_s, validation_s=batches * validation_s + again_s, hearing_s=training_s + len(clips) * clip_s * times_heard)

    def _epochs_heard(self, epochs: int) -> tuple[int, int, int]:
        """(times that each training clip is heard as recorded, altered, 1 if what is heard of validation clips is kept else 0)."""
        kept = self._hearing is None or self._settings.tower_cache
        if self._settings.augment == "off":
            return (1 if kept else epochs), 0, int(kept)
        if self._hearing is not None and kept:
            return 1, min(VARIANTS - 1, epochs // 2), 1
        return epochs - epochs // 2, epochs // 2, int(kept)

    def _steps(self) -> tuple[float, float, float]:
        """Seconds of a full step; of hearing a clip as it was recorded, and altered."""
        settings = self._settings
        augmentation = None if settings.augment == "off" else Augmentation(settings.augment, seed=settings.seed)
        clips = PreparedClips(self._sides["train"], self._encoder, hearing=self._hearing, augmentation=augmentation)
        loader: Any = steps.loader(clips, self._encoder, settings, at_once=passes.at_once(settings, self._precision))
        optimizer = torch.optim.AdamW([each for each in self._model.parameters() if each.requires_grad], lr=0.0, fused=True)
        steps_s, heard_s = [], []
        for epoch in range(1 + TIMED_STEPS):
            loader.set_epoch(epoch)
            began = time.monotonic()
            rounds: list[list[Batch]] = next(iter(loader))[steps.ROUNDS]
            heard_s.append((time.monotonic() - began) / sum(len(batch["labels"]) for batches in rounds for batch in batches))
            began = time.monotonic()
            self._model.train()
            losses = [loss for batches in rounds for loss in self._learned(batches)]
            optimizer.step()
            optimizer.zero_grad()
            torch.stack(losses).tolist()  # waits for the device
            steps_s.append(time.monotonic() - began)
        return fmean(steps_s[1:]), fmean(heard_s[2::2]), fmean(heard_s[1::2])

    def _learned(self, batches: list[Batch]) -> list[Tensor]:
        """Losses of a round, whose gradients the weights have then."""
        if passes.are_apart(self._settings, self._precision):
            return passes.backward(self._model, batches, self._loss)
        losses = [self._loss(batch) for batch in batches]
        for loss in losses:
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        return [loss.detach() for loss in losses]

    def _loss(self, batch: Batch) -> Tensor:
        num_labels = (batch["labels"] != IGNORED).sum()
        there = {name: value.to(self._precision.device) for name, value in batch.items()}
        with torch.autocast(self._precision.device, dtype=torch.bfloat16, enabled=self._precision.autocast):
            return summed_loss(self._model, there) / num_labels

    def _loss_alone(self, batch: Batch) -> Tensor:
        with torch.inference_mode():
            return self._loss(batch)

    def _validation(self, clips: list[Clip]) -> tuple[float, float]:
        """Seconds of validating some clips, without and for hearing one of them."""
        validation = PreparedClips(clips, self._encoder, hearing=self._hearing)
        began = time.monotonic()
        examples = validation[:]
        heard_s = (time.monotonic() - began) / len(clips)
        self._model.eval()
        began = time.monotonic()
        together = passes.at_once(self._settings, self._precision)
        for batches in steps.collated(examples, encoder=self._encoder, batch_size=self._settings.eval_batch_size, at_once=together)[steps.ROUNDS]:
            cores.side_by_side(self._loss_alone, batches)
        prompts = [each.prompt for each in examples]
        score(self._model, self._encoder, clips, prompts, self._precision, batch_size=self._settings.eval_batch_size)
        return time.monotonic() - began, heard_s
