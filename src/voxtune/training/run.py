"""One training run from settings to a saved model, in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from voxtune import files
from voxtune import settings as settings_files
from voxtune.dataset import checks, store
from voxtune.dataset import clips as clip_files
from voxtune.dataset.clips import Clip
from voxtune.dataset.split import counts
from voxtune.errors import DatasetError, InUseError, SettingsError, TrainingError, VoxtuneError
from voxtune.model import names, voxtral
from voxtune.model.batches import Encoder
from voxtune.model.prepared import PreparedClips
from voxtune.settings import TrainSettings
from voxtune.training import checkpoints, status
from voxtune.training.events import Events, Quiet, Watcher
from voxtune.training.status import Status, StatusFile
from voxtune.training.trainer import VoxtralTrainer, arguments, stop_on_signal
from voxtune.workspace import RunFolder

log = logging.getLogger("voxtune")

Scorer = Callable[[Any, Encoder, Sequence[Clip], PreparedClips, voxtral.Precision, int], dict[str, float]]
"""(model, encoder, clips, prompts, precision, batch size) -> {"wer", "cer"}: the evaluation's scorer, given from outside."""

MAY_CHANGE = frozenset({"output", "epochs", "eval_batch_size", "save_total_limit", "logging_steps", "early_stopping", "trackio"})
"""Settings that a resumed run may have otherwise than before."""


def train(settings: TrainSettings, *, score: Scorer, resume: bool = False, watcher: Watcher | None = None) -> dict[str, Any]:
    """Run (or go on with) the training that `settings` describe, and return its final status: what status.json holds, and the run's folder as `output`.

    Raises InUseError if the run folder is taken, DatasetError, ModelError, SettingsError, and TrainingError if training fails; from the
    moment the folder exists, a failure is in its status.json too.
    """
    settings = _settled(settings)
    assert settings.output is not None, "settled above"
    run = RunFolder(settings.output)
    settings = _resumed(run, settings) if resume else settings
    place = names.find(settings.model)
    if settings.load_in_4bit:
        voxtral.four_bit()  # refuses here, before there is a run folder
    clips = clip_files.read(run.clips) if resume else _open(run, settings)
    settings_files.save(settings, run.settings)
    state = StatusFile(run, Status(state="running", stage="preparing", clips=counts(clips), **(_so_far(run) if resume else {})))
    with _logging_to(run.log):
        events = Events(run, settings, watcher or Quiet())
        try:
            _train(settings, run, place, clips, state, events, score)
        except (VoxtuneError, torch.OutOfMemoryError, OSError) as error:
            told = _told(error)
            state.update(state="failed", stage="", message=told.message, hint=told.hint)
            events.error(told.message, told.hint)
            raise told from (None if told is error else error)
        finally:
            if state.now.state in ("running", "stopping"):  # interrupted, or an error that nobody foresaw
                state.update(state="failed", stage="", message=f"the run ended unexpectedly; {run.log} says more", hint="Go on with --resume.")
            events.close()
    return {**status.read(run), "output": str(run.path)}


def _open(run: RunFolder, settings: TrainSettings) -> list[Clip]:
    """Make the folder of a new run, with its clips on their sides. Raises InUseError if it is taken."""
    try:
        files.refuse_if_used(run.path)
    except InUseError as error:
        raise InUseError(error.message, hint=f"Choose another --output, or go on with it by --resume --output {run.path}.") from None
    clips = _usable_clips(settings)
    run.path.mkdir(parents=True, exist_ok=True)
    files.write_lines(run.clips, [clip.row(str(clip.path.resolve())) for clip in clips])
    return clips


def _so_far(run: RunFolder) -> dict[str, Any]:
    """What a run that is resumed already knew of its WER."""
    before = status.read(run)
    return {name: before.get(name) for name in ("base_wer", "best_wer", "best_step")}


def _told(error: Exception) -> VoxtuneError:
    """What a failure means for the person who trains."""
    if isinstance(error, VoxtuneError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        hint = "Halve --batch-size and double --gradient-accumulation-steps, or add --gradient-checkpointing or --load-in-4bit."
        return TrainingError("the GPU is out of memory.", hint=hint)
    return TrainingError(f"{error}", hint="Check disk space and permissions, then go on with --resume.")


def _settled(settings: TrainSettings) -> TrainSettings:
    """Settings with everything that was left to choose chosen, so that settings.yaml says what was done."""
    changes: dict[str, Any] = {}
    if settings.model == "auto":
        changes["model"] = names.DEFAULT_ON_GPU if torch.cuda.is_available() else names.TINY
    if settings.output is None:
        model = (changes.get("model") or settings.model).rstrip("/").rsplit("/", 1)[-1]
        changes["output"] = Path("outputs") / f"{model}-{settings.method}-{time.strftime('%Y%m%d-%H%M%S')}"
    return settings.model_copy(update=changes)


def _resumed(run: RunFolder, wanted: TrainSettings) -> TrainSettings:
    """The settings of the run in the folder, with what may change taken from `wanted`."""
    before = settings_files.of_run(run)
    changed = [name for name in TrainSettings.model_fields if name in wanted.model_fields_set and getattr(wanted, name) != getattr(before, name)]
    refused = [name for name in changed if name not in MAY_CHANGE]
    if refused:
        listed = ", ".join(f"{name} ({getattr(before, name)} before, {getattr(wanted, name)} now)" for name in refused)
        hint = f"Start a new run for that. These may change: {', '.join(sorted(MAY_CHANGE - {'output'}))}."
        raise SettingsError(f"a resumed run cannot change {listed}.", hint=hint)
    return before.model_copy(update={name: getattr(wanted, name) for name in changed})


def _usable_clips(settings: TrainSettings) -> list[Clip]:
    """The dataset's clips on their sides, if nothing is wrong with them. Raises DatasetError that lists what is."""
    dataset = store.load(settings.data, seed=settings.seed)
    clips = [replace(clip, language=clip.language or settings.language) for clip in dataset.clips]
    found, _ = checks.check(clips)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        shown = "".join(f"\n  {problem.file}" + (f" (line {problem.line})" if problem.line else "") + f": {problem.message}" for problem in errors[:10])
        more = f"\n  and {len(errors) - 10} more" if len(errors) > 10 else ""
        raise DatasetError(f"{len(errors)} problems:{shown}{more}", file=dataset.file, hint=f"`voxtune dataset check {settings.data}` lists them all.")
    for problem in found:
        log.warning("%s: %s", problem.file, problem.message)
    return clips


def _train(settings: TrainSettings, run: RunFolder, place: names.ModelPlace, clips: Sequence[Clip], state: StatusFile, events: Events, score: Scorer) -> None:
    events.stage("preparing", clips=counts(clips))
    transformers.set_seed(settings.seed)
    precision = voxtral.choose_precision(settings.precision)
    processor = voxtral.load_processor(place)
    encoder = Encoder(processor)
    base = voxtral.load_base(place, precision, in_4bit=settings.load_in_4bit)
    learning_rate = settings.learning_rate or voxtral.default_learning_rate(base, settings.method)
    model = voxtral.prepare_training(base, settings)
    trainable = voxtral.trainable_parameters(model)
    state.update(trainable_parameters=trainable)
    events.watcher.model(place.name, trainable)
    log.info("trainable parameters: %s; learning rate %g; %s", trainable, learning_rate, precision)

    checkpoints.sweep(run.checkpoints)
    newest = list(checkpoints.found(run.checkpoints).values())[-1:]
    sides = {side: [clip for clip in clips if clip.split == side] for side in ("train", "validation")}
    prompts = PreparedClips(sides["validation"], encoder, prompts_only=True)

    def validate(current: nn.Module) -> dict[str, float]:
        return score(current, encoder, sides["validation"], prompts, precision, settings.eval_batch_size)

    trainer = VoxtralTrainer(
        model,
        arguments(settings, precision, learning_rate=learning_rate, folder=run.checkpoints, fresh=not newest),
        encoder,
        train=PreparedClips(sides["train"], encoder),
        validation=PreparedClips(sides["validation"], encoder),
        validate=validate,
        settings=settings,
        events=events,
        status=state,
    )
    with stop_on_signal(trainer.watch):
        trainer.train(resume_from_checkpoint=str(newest[0]) if newest else None)
    if trainer.watch.stop_asked.is_set() and trainer.state.global_step < trainer.state.max_steps:
        message = f"stopped at step {trainer.state.global_step} of {trainer.state.max_steps}"
        state.update(state="stopped", stage="", step=trainer.state.global_step, message=message, hint=f"Go on with --resume --output {run.path}.")
        events.stage("stopped", step=trainer.state.global_step)
        return
    _save_best(trainer, processor, run, state, events)


def _save_best(trainer: VoxtralTrainer, processor: Any, run: RunFolder, state: StatusFile, events: Events) -> None:
    """Write the weights of the best checkpoint by WER as the run's model."""
    state.update(stage="saving", step=trainer.state.global_step)
    events.stage("saving")
    best = trainer.state.best_global_step
    kept = checkpoints.found(run.checkpoints)
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if best in kept:
        voxtral.load_trained(model, kept[best])
    if run.model.exists():  # a finished run that was resumed for more epochs
        run.model.rename(run.path / f"{files.PARTIAL}model-{time.time_ns()}")
    with files.new_folder(run.model) as partial:
        voxtral.save(model, processor, partial)
    state.update(state="finished", stage="", step=trainer.state.global_step, best_step=best, epoch=float(trainer.state.epoch or 0.0))
    events.stage("finished", best_step=best)


@contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """The plain log of a run: ours and transformers' messages, and Python's warnings."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("voxtune", "transformers", "peft", "accelerate", "py.warnings")]
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for each in loggers:
        each.addHandler(handler)
    try:
        yield
    except BaseException:
        log.exception("the run ended with an error")
        raise
    finally:
        for each in loggers:
            each.removeHandler(handler)
        handler.close()
        logging.captureWarnings(False)
