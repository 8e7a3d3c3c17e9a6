"""The trainer's callback: carries steps and figures to status.json, events.jsonl and Trackio, and stops the run when asked to."""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from voxtune.settings import TrainSettings
from voxtune.training.events import Events
from voxtune.training.losses import Losses
from voxtune.training.pace import Pace, peak_memory_bytes, validations_left
from voxtune.training.status import StatusFile
from voxtune.training.stopping import StopRequest

SELECTION = "eval_selection"
"""What the best checkpoint is chosen by: WER, and among equals (a small validation side has many) the lower loss."""

_STATUS_EVERY_S = 1.0


class Watch(TrainerCallback):
    """Looks on while transformers.Trainer works."""

    def __init__(self, settings: TrainSettings, events: Events, status: StatusFile, stop: StopRequest, losses: Losses) -> None:
        self._settings = settings
        self._events = events
        self._status = status
        self._stop = stop
        self._losses = losses
        self.pace = Pace()
        self._told_at = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The number of steps is known now."""
        state.compute_steps(args, state.max_steps)  # a checkpoint brings the intervals of before, and those may have changed
        self._status.update(stage="training", step=state.global_step, total_steps=state.max_steps, epoch=float(state.epoch or 0.0))
        self._events.stage("training", step=state.global_step, total_steps=state.max_steps)
        self.pace.begin()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """From here to the next checkpoint, stopping at once would lose steps."""
        self._stop.nothing_to_lose = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each optimizer step."""
        self.pace.step_done()
        self._losses.end_step(state.global_step)
        if time.monotonic() - self._told_at >= _STATUS_EVERY_S:
            self.tell(state)
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_evaluate or args.eval_strategy == "steps"  # the last step may be the best
        if self._stop.asked:
            self._status.update(state="stopping", step=state.global_step)
            control.should_training_stop = True
            # Where a validation is due, its checkpoint follows it: one made before it would, resumed, go on without it.
            control.should_save = control.should_save or not self._validated_at_epoch_end(args, state)
        self.pace.begin()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        """The best one so far is saved, whether or not a checkpoint is due."""
        assert metrics is not None, "the trainer gives them"
        if state.global_step and (state.best_metric is None or metrics[SELECTION] < state.best_metric):
            control.should_save = True

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A run stopped in mid-epoch is saved already, and not validated where it would not have been."""
        if self._stop.asked and not self._validated_at_epoch_end(args, state):
            control.should_evaluate = control.should_save = False

    def _validated_at_epoch_end(self, args: TrainingArguments, state: TrainerState) -> bool:
        at_end = float(state.epoch or 0.0).is_integer() or state.global_step >= state.max_steps
        return args.eval_strategy == "epoch" and at_end

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Figures of training; those of validation go out with their WER, from `evaluate`."""
        if logs is None or "loss" not in logs:
            return
        figures = {"loss": self._losses.take()}
        figures |= {name: float(logs[name]) for name in ("learning_rate", "grad_norm", "epoch") if math.isfinite(logs.get(name, math.nan))}
        if self.pace.step_s:
            clips = self._settings.batch_size * self._settings.gradient_accumulation_steps
            figures |= {"clips_per_s": round(clips / self.pace.step_s, 3)}
        self._events.metrics({"step": state.global_step, **figures, "memory_bytes": peak_memory_bytes()})
        self.tell(state)

    def tell(self, state: TrainerState) -> None:
        """Write step, time left and memory to status.json."""
        self._told_at = time.monotonic()
        epoch = float(state.epoch or 0.0)
        settings = self._settings
        total = max(state.max_steps, state.global_step)
        left = validations_left(step=state.global_step, total_steps=total, eval_steps=settings.eval_steps, epoch=epoch, epochs=settings.epochs)
        self._status.update(
            step=state.global_step,
            epoch=epoch,
            seconds_left=self.pace.seconds_left(total - state.global_step, left),
            memory={**self._status.now.memory, "peak_bytes": peak_memory_bytes()},
        )
