"""Kill training at any moment: resumed, it ends with the same bits as if nobody had (reliability 1 and 3)."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.crash.conftest import Small, outcome
from voxtune import settings as settings_files
from voxtune.training import checkpoints, events, opening, runs, status
from voxtune.workspace import RunFolder

Undisturbed = tuple[RunFolder, dict[str, object]]

# Moments of the run of conftest: two around each of 8 steps, a validation before the first step and every 2, a save after each.
FEW = [("step", 3), ("step", 14), ("validation", 5), ("save", 40), ("prune", 4)]
MANY = [
    *(("step", moment) for moment in (1, 4, 9, 11, 16)),
    *(("validation", moment) for moment in (1, 2, 4, 7, 10)),
    *(("save", moment) for moment in (1, 3, 9, 15, 21, 33, 48, 61, 75, 90)),
    *(("prune", moment) for moment in (1, 2, 5, 8, 11)),
]


def _killed_and_resumed(small: Small, where: str, moment: int) -> RunFolder:
    run = small.make(f"killed-{where}-{moment}-{time.monotonic_ns()}")
    assert small.train(run, where, moment) == -signal.SIGKILL, f"there is no moment {moment} of kind {where}"
    dead = runs.look(run)
    assert (dead.state, dead.code) == ("failed", "died")
    assert small.again(run) == 0, run.log.read_text()
    return run


@pytest.mark.parametrize(("where", "moment"), FEW)
def test_a_killed_run_ends_with_the_same_bits(small: Small, undisturbed: Undisturbed, where: str, moment: int) -> None:
    run = _killed_and_resumed(small, where, moment)
    assert outcome(run) == undisturbed[1]
    _no_leftovers(run)


@pytest.mark.long
@pytest.mark.parametrize(("where", "moment"), MANY)
def test_a_run_killed_at_any_enumerated_moment_ends_with_the_same_bits(small: Small, undisturbed: Undisturbed, where: str, moment: int) -> None:
    run = _killed_and_resumed(small, where, moment)
    assert outcome(run) == undisturbed[1]
    _no_leftovers(run)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(25))
def test_a_run_killed_at_a_random_time_and_once_more_ends_with_the_same_bits(small: Small, undisturbed: Undisturbed, seed: int) -> None:
    rng = random.Random(seed)
    run = small.make(f"random-{seed}")
    kinds = {"step": 16, "validation": 9, "save": 90}
    for attempt in range(2):
        where = rng.choice(list(kinds))
        moment = rng.randrange(1, kinds[where])
        (small.train if attempt == 0 else small.again)(run, where, moment)
        if runs.look(run).state == "finished":
            break
    if runs.look(run).state != "finished":
        assert small.again(run) == 0, run.log.read_text()
    assert outcome(run) == undisturbed[1]


def _no_leftovers(run: RunFolder) -> None:
    assert not list(run.path.rglob(".partial-*"))
    assert set(checkpoints.found(run.checkpoints)) == {8, status.read(run).best_step}


def test_a_stop_in_mid_epoch_changes_nothing(small: Small, undisturbed: Undisturbed) -> None:
    """Asked to stop at a step where no checkpoint is due, it makes one there, and goes on from it as if it had not stopped."""
    run = small.make("stopped")
    assert small.train(run, "stop", 5) == 0, run.log.read_text()  # in the third step
    stopped = status.read(run)
    assert (stopped.state, stopped.step) == ("stopped", 3)
    assert max(checkpoints.found(run.checkpoints)) == 3
    assert small.again(run) == 0, run.log.read_text()
    assert outcome(run) == undisturbed[1]


def test_a_stop_where_a_validation_is_due_waits_for_it(small: Small, undisturbed: Undisturbed) -> None:
    run = small.make("stopped-at-a-validation")
    assert small.train(run, "stop", 7) == 0, run.log.read_text()  # in the fourth
    stopped = status.read(run)
    assert (stopped.state, stopped.step) == ("stopped", 4)
    assert [row["step"] for row in events.surviving_metrics(run.events) if "eval_wer" in row] == [0, 2, 4]
    assert small.again(run) == 0, run.log.read_text()
    assert outcome(run) == undisturbed[1]


def test_resuming_keeps_what_was_learned(undisturbed: Undisturbed, small: Small) -> None:
    """Loaded from a checkpoint, adapter and optimizer are those that were saved; there is one adapter, and the same parameters train."""
    from voxtune.model import names, voxtral
    from voxtune.model.batches import Encoder
    from voxtune.model.prepared import PreparedClips
    from voxtune.training.events import Events
    from voxtune.training.status import StatusFile
    from voxtune.training.stopping import StopRequest
    from voxtune.training.trainer import VoxtralTrainer, arguments

    run = small.make("looked-into")
    newest = checkpoints.found(undisturbed[0].checkpoints)[8]
    settings = settings_files.load(run.settings, {"epochs": 5})
    precision = voxtral.choose_precision("fp32")
    place = names.find("tiny")
    encoder = Encoder(voxtral.load_processor(place))
    model = voxtral.prepare_training(voxtral.load_base(place, precision), settings)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    clips = PreparedClips([clip for clip in opening.clips_of(run) if clip.split == "train"], encoder)
    seen: dict[str, object] = {}

    class Looking(VoxtralTrainer):
        def training_step(self, current: torch.nn.Module, inputs: dict[str, object], num_items_in_batch: object = None) -> torch.Tensor:
            saved = load_file(newest / "adapter_model.safetensors")
            now = {name.replace(".default", ""): value for name, value in current.named_parameters() if "lora_" in name}
            seen["adapter"] = set(saved) == set(now) and all(torch.equal(saved[name], now[name]) for name in saved)
            seen["trained"] = {name for name, value in current.named_parameters() if value.requires_grad} == trained
            seen["adapters"] = len(current.peft_config)
            stored = torch.load(newest / "optimizer.pt", weights_only=True)["state"]
            held = self.optimizer.state_dict()["state"]
            seen["moments"] = set(stored) == set(held) and all(torch.equal(stored[key][name], held[key][name]) for key in stored for name in stored[key])
            raise KeyboardInterrupt

    trainer = Looking(
        model,
        arguments(settings, precision, learning_rate=2e-3, folder=run.checkpoints, fresh=False),
        encoder,
        train=clips,
        validation=clips,
        validate=lambda _: pytest.fail("no validation is due"),
        settings=settings,
        precision=precision,
        run=run,
        events=Events(run, settings),
        status=StatusFile(run, status.read(run)),
        stop=StopRequest(),
    )
    with pytest.raises(KeyboardInterrupt):
        trainer.run_from(newest)
    assert seen == {"adapter": True, "trained": True, "adapters": 1, "moments": True}


def test_early_stopping_counts_on_over_a_kill(small: Small) -> None:
    """With nothing learned, a patience of 2 ends the run at its third validation, killed in between or not."""
    patient = {"early_stopping": 2, "learning_rate": 1e-9, "epochs": 10, "eval_steps": 1, "save_steps": 1}
    undisturbed, killed = small.make("patient", **patient), small.make("patient-killed", **patient)
    assert small.train(undisturbed) == 0
    assert small.train(killed, "validation", 7) == -signal.SIGKILL
    assert small.again(killed) == 0
    assert status.read(undisturbed).step == status.read(killed).step < 20
    assert outcome(killed) == outcome(undisturbed)


def test_early_stopping_may_be_asked_for_on_a_resume(small: Small) -> None:
    run = small.make("impatient", learning_rate=1e-9, epochs=10, eval_steps=1, save_steps=1)
    assert small.train(run, "step", 10) == -signal.SIGKILL
    settings_files.save(opening.reopened(run, {"early_stopping": 3}), run.settings)
    assert small.again(run) == 0, run.log.read_text()
    assert status.read(run).step < 20


def test_the_best_is_saved_where_no_checkpoint_is_due(small: Small) -> None:
    """Validated at every step and saved at every eighth, with a rate at which it only gets worse: the model is the best one, of an early step."""
    run = small.make("worse", method="full", learning_rate=2e-2, scheduler="constant", warmup_ratio=0, eval_steps=1, save_steps=8, save_total_limit=1)
    assert small.train(run) == 0, run.log.read_text()
    best = status.read(run).best_step
    rows = [row for row in events.surviving_metrics(run.events) if "eval_wer" in row and row["step"]]
    assert best == min(rows, key=lambda row: (row["eval_wer"], row["eval_loss"]))["step"] < 8
    assert best in checkpoints.found(run.checkpoints)
    assert not [event for event in events.read(run.events)[0] if event["event"] == "warning"]


def test_a_run_killed_after_its_last_step_only_saves_its_model(small: Small, undisturbed: Undisturbed) -> None:
    run = small.make("killed-at-the-end")
    assert small.train(run, "save", 10_000) == 0
    (run.path / "report.json").write_text("{}")
    lines = run.events.read_text().count('"loss"')
    assert small.again(run) == 0
    assert run.events.read_text().count('"loss"') == lines
    assert outcome(run) == undisturbed[1]


def test_what_may_change_on_a_resume_changes_no_step(small: Small, undisturbed: Undisturbed) -> None:
    """Validated, saved and logged at other steps than before, the run still learns the same."""
    run = small.make("changed", save_total_limit=9)
    assert small.train(run, "step", 7) == -signal.SIGKILL
    changes = {"eval_steps": 4, "save_steps": 4, "eval_batch_size": 1, "logging_steps": 1, "save_total_limit": 1}
    settings_files.save(opening.reopened(run, changes), run.settings)
    assert small.again(run) == 0, run.log.read_text()
    validated = [row["step"] for row in events.surviving_metrics(run.events) if "eval_wer" in row]
    assert validated == [0, 2, 4, 8]
    logged = [row["step"] for row in events.surviving_metrics(run.events) if "loss" in row]
    assert logged == [1, 3, 4, 5, 6, 7, 8]
    last = [checkpoints.found(each.checkpoints)[8] / "adapter_model.safetensors" for each in (run, undisturbed[0])]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_a_finished_run_goes_on_for_more_epochs(small: Small, tmp_path: Path) -> None:
    run = small.make("longer", epochs=2)
    assert small.train(run) == 0
    settings_files.save(opening.reopened(run, {"epochs": 3.0}), run.settings)
    assert small.again(run) == 0
    assert status.read(run).step == 6
    steps = [json.loads(line)["step"] for line in run.events.read_text().splitlines() if '"loss"' in line]
    assert steps == sorted(set(steps))
    assert not list(run.path.rglob(".partial-*"))
