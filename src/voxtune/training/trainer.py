"""transformers.Trainer with what a recogniser needs: WER on validation, whole checkpoints, exact resume, no NaN that goes unseen."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments

from voxtune import files
from voxtune.evaluation.validation import Scores
from voxtune.model import cores, voxtral
from voxtune.model.batches import IGNORED, Encoder, Example
from voxtune.model.loss import summed_loss
from voxtune.model.prepared import PreparedClips
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings
from voxtune.training import checkpoints, passes, resuming, steps
from voxtune.training.events import Events
from voxtune.training.losses import Losses
from voxtune.training.pace import total_steps
from voxtune.training.passes import Batch
from voxtune.training.status import StatusFile
from voxtune.training.stopping import StopRequest
from voxtune.training.watch import SELECTION, Watch
from voxtune.workspace import RunFolder

Validate = Callable[[nn.Module], Scores]
"""Scores a model on the validation clips."""

REPORTED = ("eval_loss", "eval_wer", "eval_cer", "epoch")
"""Figures of a validation that are kept."""

NUM_SAMPLES = 3
"""Validation clips whose recognised text is shown as the run goes."""


def arguments(settings: TrainSettings, precision: Precision, *, learning_rate: float, folder: Path, fresh: bool) -> TrainingArguments:
    """Our settings as transformers' own; a `fresh` run is validated before its first step, which gives the base model's WER."""
    by_steps = "steps" if settings.eval_steps else "epoch"
    # Passed only where wanted: transformers 5.23 warns of these names, and the older versions we support have no others.
    checkpointing: dict[str, Any] = {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    checkpointing = checkpointing if settings.gradient_checkpointing else {}
    if settings.optimizer == "adamw_8bit":
        voxtral.assure_bitsandbytes(f"optimizer {settings.optimizer}")  # a run may be resumed on another machine
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size * settings.gradient_accumulation_steps,  # a whole step, which `training_step` cuts up
        per_device_eval_batch_size=settings.eval_batch_size,
        learning_rate=learning_rate,
        warmup_steps=_warmup(settings.warmup_ratio),
        lr_scheduler_type=settings.scheduler,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused" if settings.optimizer == "adamw" else settings.optimizer,
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


def _num_labels(rounds: Sequence[Sequence[Batch]]) -> int:
    return sum(int((batch["labels"] != IGNORED).sum()) for batches in rounds for batch in batches)


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
        precision: Precision,
        run: RunFolder,
        events: Events,
        status: StatusFile,
        stop: StopRequest,
    ) -> None:
        self._encoder = encoder
        self._apart, self._at_once = passes.are_apart(settings, precision), passes.at_once(settings, precision)
        self._train = train
        self._validation = validation
        self._validate = validate
        self._settings = settings
        self._run = run
        self._events = events
        self._status = status
        self._stop = stop
        self._losses = Losses(args.learning_rate, [clip.audio_path for clip in train.clips])
        self.watch = Watch(settings, events, status, stop, self._losses)
        self._scores = Scores(wer=math.nan, cer=math.nan, texts=[])
        # It counts even where it never stops: a resumed run may have it otherwise than before.
        self._patience = EarlyStoppingCallback(early_stopping_patience=settings.early_stopping or sys.maxsize)
        callbacks = [self.watch, self._patience]
        super().__init__(
            model=model,
            args=args,
            data_collator=partial(steps.collated, encoder=encoder, batch_size=settings.eval_batch_size, at_once=self._at_once),
            train_dataset=train,
            eval_dataset=validation,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)  # prints every line of figures to standard output; Watch carries them instead

    def get_train_dataloader(self) -> DataLoader[Any]:
        """One optimizer step at a time."""
        return steps.loader(self._train, self._encoder, self._settings, at_once=self._at_once)

    def run_from(self, checkpoint: Path | None) -> None:
        """Train, from a checkpoint if one is given; one of a run that had come to its end is taken as it is."""
        if checkpoint is not None:
            self._losses.load(checkpoint)
            before = resuming.state_of(checkpoint)
            self._patience.early_stopping_patience_counter = resuming.patience_so_far(before)
            gave_up = self._patience.early_stopping_patience_counter >= self._patience.early_stopping_patience
            if gave_up or before.global_step >= total_steps(self._settings, len(self._train)):
                # The parent would make one more step, past the end.
                self.state = before
                self._status.update(step=before.global_step, total_steps=before.global_step, epoch=float(before.epoch or 0.0))
                return
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any) -> tuple[Tensor, None, None]:
        """Mean loss of a validation batch, with nothing beside it: WER comes from generation."""
        self._stop.check()
        rounds: list[list[Batch]] = inputs[steps.ROUNDS]

        def loss(batch: Batch) -> Tensor:
            with torch.no_grad():
                return self._summed_loss(model, batch)

        losses = [each for batches in rounds for each in cores.side_by_side(loss, batches)]
        return torch.stack(losses).sum() / _num_labels(rounds), None, None

    def _summed_loss(self, model: nn.Module, batch: Batch) -> Tensor:
        with self.compute_loss_context_manager():
            return summed_loss(model, self._prepare_inputs(batch))

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *_: Any) -> Tensor:
        """All forward and backward passes of one optimizer step. Raises TrainingError when the loss is no number any more."""
        rounds: list[list[Batch]] = inputs[steps.ROUNDS]
        if self.state.global_step == 0 and not self._run.first_batch.exists():
            self._show_first_batch(rounds[0])
        model.train()
        num_labels = _num_labels(rounds)

        def share(batch: Batch) -> Tensor:
            return self._summed_loss(model, batch) / num_labels

        if self._apart:
            losses = [loss for batches in rounds for loss in passes.backward(model, batches, share)]
        else:
            losses = list(self._one_by_one(model, [batch for batches in rounds for batch in batches], share))
        shares = torch.stack(losses)
        # Looked at once a step: each look waits until the device has come so far.
        each = iter(shares.tolist())
        for batches in rounds:
            clips = [number for batch in batches for number in batch[steps.CLIP_NUMBERS].tolist()]
            self._losses.add(sum(islice(each, len(batches))), clips, step=self.state.global_step + 1)
        return shares.sum()

    def _one_by_one(self, model: nn.Module, batches: Sequence[Batch], share: Callable[[Batch], Tensor]) -> Iterator[Tensor]:
        for number, batch in enumerate(batches, start=1):
            with contextlib.nullcontext() if number == len(batches) else self.accelerator.no_sync(model):
                loss = share(batch)
                self.accelerator.backward(loss)
            yield loss.detach()

    def floating_point_ops(self, _: dict[str, Any]) -> int:
        """Not counted: the parent would count a tower that does not run."""
        return 0

    def _show_first_batch(self, batches: Sequence[Batch]) -> None:
        """Write what the very tensors of the first round say, decoded: the surest look at what is being learned."""
        rows = []
        names = (steps.CLIP_NUMBERS, "input_ids", "labels")
        for number, ids, labels in (row for batch in batches for row in zip(*(batch[name].tolist() for name in names), strict=True)):
            length = max(place for place, label in enumerate(labels, start=1) if label != IGNORED)
            shown = Example(
                input_ids=ids[:length],
                labels=labels[:length],
                sound=torch.empty(0),
                duration_s=self._train[number].duration_s,
            )
            row = {"audio_path": self._train.clips[number].audio_path, "duration_s": round(shown.duration_s, 4), **self._encoder.preview(shown)}
            rows.append(row | {"loss_tokens": [self._encoder.decode([token], keep_control=True) for token in shown.loss_ids]})
        files.write_json(self._run.first_batch, rows)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """The parent's loss, and WER by generation: both before callbacks such as early stopping see the figures."""
        output = super().evaluation_loop(*args, **kwargs)
        assert self.model is not None, "given to __init__"
        self._scores = self._validate(self.model)
        assert output.metrics is not None, "the parent fills it"
        loss = output.metrics["eval_loss"]
        selection = self._scores.wer + 1e-4 * (min(loss, 99.0) if math.isfinite(loss) else 99.0)
        output.metrics.update({"eval_wer": self._scores.wer, "eval_cer": self._scores.cer, SELECTION: selection})
        return output

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss and WER on the validation clips; training goes on afterwards as if there had been none."""
        self._status.update(stage="evaluating")
        self.watch.pace.begin()
        with torch.random.fork_rng():  # the loop over validation batches draws a seed, and the steps after it must not depend on it
            metrics = super().evaluate(*args, **kwargs)
        self.watch.pace.validation_done()
        step, wer = self.state.global_step, self._scores.wer
        self._events.metrics({"step": step, **{name: metrics[name] for name in REPORTED if math.isfinite(metrics.get(name, math.nan))}})
        samples = zip(self._validation.clips[:NUM_SAMPLES], self._scores.texts, strict=False)
        shown = [{"audio_path": clip.audio_path, "text": clip.text, "heard": heard} for clip, heard in samples]
        self._events.say("samples", step=step, samples=shown)
        best = self._status.now.best_wer
        if step == 0:
            self._status.update(stage="training", base_wer=wer)
        elif best is None or wer < best:
            self._status.update(stage="training", best_wer=wer)
        else:
            self._status.update(stage="training")
        self.watch.pace.begin()
        return metrics

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """The parent's checkpoint, made under a temporary name and renamed when it is whole; then the surplus ones are deleted."""
        self._status.update(stage="saving")
        folder = Path(str(self.args.output_dir))
        step, best = self.state.global_step, self.state.best_global_step
        parent_save = super()._save_checkpoint

        def fill(partial: Path) -> None:
            self.args.output_dir = str(partial)
            try:
                parent_save(model, trial)
            finally:
                self.args.output_dir = str(folder)
            inner = partial / f"checkpoint-{step}"
            # A pickle of the arguments, which nothing reads: settings.yaml has them, and no checkpoint may hold what can run code.
            (inner / "training_args.bin").unlink(missing_ok=True)
            for path in inner.iterdir():
                path.rename(partial / path.name)
            inner.rmdir()
            self._losses.save(partial)

        checkpoints.write(folder, step, fill)
        checkpoints.prune(folder, keep=self._settings.save_total_limit, best_step=best)
        self._stop.nothing_to_lose = True
        self._status.update(stage="training", step=step, best_step=best)
        self.watch.pace.begin()
