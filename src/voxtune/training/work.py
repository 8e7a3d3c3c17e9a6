"""The work of one run, in this process: from its folder to a saved model, whatever happens told in status.json."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import transformers
from torch import nn

from voxtune import files
from voxtune import settings as settings_files
from voxtune.dataset.clips import Clip
from voxtune.errors import DiskFullError, VoxtuneError
from voxtune.evaluation.validation import Scores, score
from voxtune.model import kept_files, names, voxtral
from voxtune.model.augmentation import Augmentation
from voxtune.model.batches import Encoder
from voxtune.model.loading_errors import at_its_commit
from voxtune.model.prepared import VARIANTS, Hearing, PreparedClips, hearing
from voxtune.settings import TrainSettings
from voxtune.training import budget, checkpoints, failures, fitting, opening, provenance, resuming
from voxtune.training.events import Events
from voxtune.training.events import read as read_events
from voxtune.training.status import StatusFile
from voxtune.training.stopping import Stopped, StopRequest
from voxtune.training.trainer import VoxtralTrainer, arguments
from voxtune.workspace import RunFolder

log = logging.getLogger("voxtune")


def work(run: RunFolder, status: StatusFile, stop: StopRequest) -> None:
    """Train the run in the folder, from its newest usable checkpoint if it has one.

    Ends in the state finished, stopped or failed; raises only what nobody foresaw, after that is in status.json too.
    """
    settings = settings_files.load(run.settings, {})
    status.update(state="running", stage="preparing")
    need = None
    outcome: dict[str, Any] | None = None
    with _logging_to(run.log):
        events = Events(run, settings)
        try:
            clips = opening.clips_of(run)
            place = at_its_commit(names.base_of(run, settings.model))
            need = fitting.settle(run, budget.of_run(settings, place, clips), events)
            outcome = _train(need.settings, run, place, clips, status, events, stop, need)
        except Stopped:
            outcome = _stopped(run, status, events)
        except (VoxtuneError, OSError, RuntimeError, MemoryError) as error:
            log.exception("the run failed")
            outcome = _failed(error, run, events, need)
        finally:
            # Without an outcome an error that nobody foresaw is on its way up.
            outcome = outcome or _failed(sys.exception(), run, events, need)
            status.update(stage="", **outcome)
            events.close()  # after the last word of the run: Trackio may take half a minute over it


def _failed(error: BaseException | None, run: RunFolder, events: Events, need: budget.Need | None) -> dict[str, Any]:
    failure = failures.tell(error, need.smaller if need else lambda: None, place=run)
    if failure.code == "disk_full":
        run.reserve.unlink(missing_ok=True)  # the room that was kept for these last words
    with contextlib.suppress(DiskFullError):
        events.failure(failure)
    return {"state": "failed", "seconds_left": None, "last_lines": opening.last_lines(run), **failure.as_status()}


def _stopped(run: RunFolder, status: StatusFile, events: Events) -> dict[str, Any]:
    now = status.now
    events.stage("stopped", step=now.step)
    message = f"stopped at step {now.step} of {now.total_steps}" if now.total_steps else "stopped before the first step"
    return {"state": "stopped", "seconds_left": None, "message": message, "hint": f"Go on with --resume --output {run.shell}."}


def _train(
    settings: TrainSettings,
    run: RunFolder,
    place: names.ModelPlace,
    clips: Sequence[Clip],
    status: StatusFile,
    events: Events,
    stop: StopRequest,
    need: budget.Need,
) -> dict[str, Any]:
    events.stage("preparing", clips=status.now.clips)
    status.update(memory=need.as_json())
    events.say("memory", **need.as_json(), advice=need.advice)
    if need.advice:
        log.warning("%s", need.advice)
    transformers.set_seed(settings.seed)
    precision = voxtral.choose_precision(settings.precision)
    processor = voxtral.load_processor(place)
    encoder = Encoder(processor)
    base = voxtral.load_base(place, precision, in_4bit=settings.load_in_4bit)
    events.say("machine", **provenance.of(settings, place, clips))
    learning_rate = settings.learning_rate or voxtral.default_learning_rate(base, settings.method)
    model = voxtral.prepare_training(base, settings, revision=place.revision)
    trainable = voxtral.trainable_parameters(model)
    status.update(trainable_parameters=trainable)
    _compare_precision(run, precision, events)
    events.say("model", name=place.name, trainable=trainable, learning_rate=learning_rate, precision=str(precision))
    log.info("trainable parameters: %s; learning rate %g; %s", trainable, learning_rate, precision)

    newest = _newest(run, events)
    _assure_room(run, need)
    sides = {side: [clip for clip in clips if clip.split == side] for side in ("train", "validation")}
    heard = hearing(model, settings, precision)
    validation = PreparedClips(sides["validation"], encoder, hearing=heard)
    augmentation = None if settings.augment == "off" else Augmentation(settings.augment, seed=settings.seed)
    train = PreparedClips(sides["train"], encoder, hearing=heard, augmentation=augmentation)
    _say_what_is_kept(heard, settings)

    def validate(current: nn.Module) -> Scores:
        batch_size = settings.eval_batch_size
        return score(current, encoder, sides["validation"], validation.prompts, precision, batch_size=batch_size, progress=lambda _: stop.check())

    trainer = VoxtralTrainer(
        model,
        arguments(settings, precision, learning_rate=learning_rate, folder=run.checkpoints, fresh=newest is None),
        encoder,
        train=train,
        validation=validation,
        validate=validate,
        settings=settings,
        precision=precision,
        run=run,
        events=events,
        status=status,
        stop=stop,
    )
    stop.at_steps_only()
    trainer.run_from(newest)
    for side, clips_of_side in {"train": train, "validation": validation}.items():
        events.say("tower", side=side, **asdict(clips_of_side.tally), full=heard.kept.full if heard and heard.kept else "")
    if stop.asked and status.now.state == "stopping":
        raise Stopped
    return _save_best(trainer, processor, run, status, events)


def _say_what_is_kept(heard: Hearing | None, settings: TrainSettings) -> None:
    if heard is None:
        told = "the audio tower trains from its first layer on, so it runs in every epoch"
    else:
        parts = f"the lower {heard.path.depth.layers} layers of the audio tower" + (", all of them, and the projector" if heard.path.depth.projected else "")
        how = f"run once per clip, and what they give is kept in {kept_files.folder()}" if heard.kept else "run in every epoch, as --no-tower-cache asks"
        told = f"{parts} are frozen: {how}"
        if heard.kept and settings.augment != "off":
            told += f"; with --augment, of {VARIANTS} variants of each clip"
    log.info("%s", told)


def _compare_precision(run: RunFolder, precision: voxtral.Precision, events: Events) -> None:
    """Say so where a run goes on with other number types than it began with, as on another machine."""
    before = [event["precision"] for event in read_events(run.events)[0] if event.get("event") == "model" and "precision" in event]
    if before and before[-1] != str(precision):
        events.say("warning", message=f"the run began with {before[-1]} and goes on with {precision}: it will not end with the same bits")


def _newest(run: RunFolder, events: Events) -> Path | None:
    """The checkpoint to go on from; damaged ones are named and passed over."""
    files.sweep(run.path)
    files.sweep(run.checkpoints)
    newest, damaged = resuming.newest_usable(run.checkpoints)
    for name, reason in damaged.items():
        told = f"checkpoint {name} is damaged ({reason}) and is passed over" + (f"; going on from {newest.name}" if newest else "; starting from the beginning")
        log.warning("%s", told)
        events.say("warning", message=told)
    return newest


def _assure_room(run: RunFolder, need: budget.Need) -> None:
    """Raise DiskFullError unless two checkpoints fit on the disk, besides those that are there."""
    files.write_bytes(run.reserve, os.urandom(64 * 1024))  # noise: some disks store zeros as nothing
    free = files.free_bytes(run.path)
    if free < 2 * need.checkpoint_bytes:
        raise DiskFullError(run.checkpoints, need_bytes=2 * need.checkpoint_bytes, have_bytes=free)


def _save_best(trainer: VoxtralTrainer, processor: Any, run: RunFolder, status: StatusFile, events: Events) -> dict[str, Any]:
    """Write the weights of the best checkpoint by WER as the run's model."""
    status.update(stage="saving", step=trainer.state.global_step)
    events.stage("saving")
    best = trainer.state.best_global_step
    kept = checkpoints.found(run.checkpoints)
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    # Each is read to its last byte to be judged, so none that is not needed: the best one, else the newest that is whole.
    taken = next((step for step in (best, *reversed(kept)) if step in kept and not checkpoints.flaw(kept[step])), None)
    if taken is not None:
        if taken != best:
            told = f"the best checkpoint, step-{best}, is missing or damaged; the model is that of step-{taken}"
            log.warning("%s", told)
            events.say("warning", message=told)
        best = taken
        voxtral.load_trained(model, kept[taken])
    with files.replaced_folder(run.model) as partial:
        voxtral.save(model, processor, partial)
    run.reserve.unlink(missing_ok=True)
    events.stage("finished", best_step=best)
    return {"state": "finished", "step": trainer.state.global_step, "seconds_left": 0.0, "best_step": best, "epoch": float(trainer.state.epoch or 0.0)}


@contextlib.contextmanager
def _logging_to(file: Path) -> Iterator[None]:
    """The plain log of a run: ours and the libraries' messages, and Python's warnings."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("voxtune", "transformers", "peft", "accelerate", "py.warnings")]
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for each in loggers:
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(handler)
        handler.close()
        logging.captureWarnings(False)
