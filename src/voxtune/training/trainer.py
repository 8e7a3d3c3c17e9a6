"""transformers.Trainer with what a recogniser needs: WER on validation, whole checkpoints, a clean stop, no NaN that goes unseen."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from voxtune.errors import TrainingError
from voxtune.model.batches import Encoder
from voxtune.model.prepared import PreparedClips
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings
from voxtune.training import checkpoints
from voxtune.training.events import Events
from voxtune.training.status import StatusFile

Validate = Callable[[nn.Module], dict[str, float]]
"""Scores a model on the validation clips: {"wer": ..., "cer": ...}."""

SELECTION = "eval_selection"
"""What the best checkpoint is chosen by: WER, and among equals (a small validation side has many) the lower loss."""


def arguments(settings: TrainSettings, precision: Precision, *, learning_rate: float, folder: Path, fresh: bool) -> TrainingArguments:
    """Our settings as transformers' own; a `fresh` run is validated before its first step, which gives the base model's WER."""
    by_steps = "steps" if settings.eval_steps else "epoch"
    # Passed only where wanted: transformers 5.23 warns of these names, and the older versions we support have no others.
    checkpointing: dict[str, Any] = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    checkpointing = checkpointing if settings.gradient_checkpointing else {}
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.eval_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=learning_rate,
        warmup_steps=_warmup(settings.warmup_ratio),
        lr_scheduler_type=settings.scheduler,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=precision.autocast,
        use_cpu=precision.device == "cpu",
        **checkpointing,
        eval_strategy=by_steps,
        eval_steps=settings.eval_steps or None,
        save_strategy=by_steps,
        save_steps=settings.save_steps or settings.eval_steps or 500,
        logging_steps=settings.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        metric_for_best_model=SELECTION,
        greater_is_better=False,
        eval_on_start=fresh,
        seed=settings.seed,
        data_seed=settings.seed,
        remove_unused_columns=False,
        prediction_loss_only=True,
        disable_tqdm=True,
        report_to=[],
    )


def _warmup(ratio: float) -> float:
    # transformers reads values below 1 as a share of all steps, and 1 as one step.
    return min(ratio, 0.999999)


class VoxtralTrainer(Trainer):
    """Trains on PreparedClips, validates by generation, and writes checkpoints that are complete or absent."""

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        encoder: Encoder,
        *,
        train: PreparedClips,
        validation: PreparedClips,
        validate: Validate,
        settings: TrainSettings,
        events: Events,
        status: StatusFile,
    ) -> None:
        self._validate = validate
        self._settings = settings
        self._events = events
        self._status = status
        self.watch = Watch(events, status)
        callbacks: list[TrainerCallback] = [self.watch]
        if settings.early_stopping:
            callbacks.append(EarlyStoppingCallback(early_stopping_patience=settings.early_stopping))
        super().__init__(model=model, args=args, data_collator=encoder.collate, train_dataset=train, eval_dataset=validation, callbacks=callbacks)
        self.remove_callback(PrinterCallback)  # prints every line of figures to standard output; Watch carries them instead

    def training_step(self, model: nn.Module, inputs: dict[str, Tensor | Any], num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """One forward and backward pass. Raises TrainingError when the loss is no number any more."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}: training has diverged.",
                hint=f"Lower --learning-rate (it was {self.args.learning_rate:g}; try {self.args.learning_rate / 5:g}) and start again.",
            )
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss and WER on the validation clips."""
        self._status.update(stage="evaluating")
        metrics = super().evaluate(*args, **kwargs)
        assert self.model is not None, "given to __init__"
        scores = self._validate(self.model)
        metrics |= {f"eval_{name}": value for name, value in scores.items()}
        metrics[SELECTION] = scores["wer"] + 1e-4 * min(metrics["eval_loss"], 99.0)
        figures = {name: metrics[name] for name in REPORTED if math.isfinite(metrics.get(name, math.nan))}
        self._events.metrics({"step": self.state.global_step, **figures})
        changes: dict[str, Any] = {"stage": "training"}
        if self.state.global_step == 0:
            changes["base_wer"] = scores["wer"]
        best = self._status.now.best_wer
        if self.state.global_step and (best is None or scores["wer"] < best):
            changes["best_wer"] = scores["wer"]
        self._status.update(**changes)
        return metrics

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """The parent's checkpoint, made under a temporary name and renamed when it is whole; then the surplus ones are deleted."""
        self._status.update(stage="saving")
        folder = Path(str(self.args.output_dir))
        step, best = self.state.global_step, self.state.best_global_step
        parent_save = super()._save_checkpoint

        def fill(partial: Path) -> Path:
            self.args.output_dir = str(partial)
            try:
                parent_save(model, trial)
            finally:
                self.args.output_dir = str(folder)
            # A pickle of the arguments, which nothing reads: settings.yaml has them, and no checkpoint may hold what can run code.
            (partial / f"checkpoint-{step}" / "training_args.bin").unlink(missing_ok=True)
            return partial / f"checkpoint-{step}"

        checkpoints.write(folder, step, fill)
        checkpoints.prune(folder, keep=self._settings.save_total_limit, best_step=best)
        self._status.update(stage="training", best_step=best)


REPORTED = ("eval_loss", "eval_wer", "eval_cer", "epoch")


class Watch(TrainerCallback):
    """Carries steps and figures to status.json, events.jsonl, Trackio and whoever watches, and stops when asked to."""

    def __init__(self, events: Events, status: StatusFile) -> None:
        self._events = events
        self._status = status
        self.stop_asked = threading.Event()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The number of steps is known now."""
        self._status.update(stage="training", step=state.global_step, total_steps=state.max_steps)
        self._events.stage("training", total_steps=state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """After each optimizer step."""
        self._events.watcher.step(state.global_step, state.max_steps)
        if self.stop_asked.is_set():
            self._status.update(state="stopping")
            control.should_save = True
            control.should_training_stop = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Figures of training; those of validation go out with their WER, from `evaluate`."""
        if logs is None or "loss" not in logs:
            return
        figures = {name: float(logs[name]) for name in ("loss", "learning_rate", "grad_norm", "epoch") if math.isfinite(logs.get(name, math.nan))}
        self._events.metrics({"step": state.global_step, **figures})
        self._status.update(step=state.global_step, epoch=float(state.epoch or 0.0))


@contextmanager
def stop_on_signal(watch: Watch) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for a checkpoint and a stop after the step at hand; a second Ctrl-C interrupts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if watch.stop_asked.is_set():
            raise KeyboardInterrupt
        watch.stop_asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
