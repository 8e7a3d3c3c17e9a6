"""`voxtune runs` and what a run shows of itself."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import disks
from tests.support.command import Command
from tests.workflow.conftest import Trained


def test_runs_are_listed_and_shown_with_curves_and_texts(trained: Trained) -> None:
    listed = trained.voxtune("runs", "list", "--json").json
    assert ("run", "finished") in [(row["run"], row["state"]) for row in listed]
    assert trained.voxtune("runs", "--json").json == listed
    assert trained.voxtune("runs", "show", "--json").json["run"] == listed[0]["run"]
    assert trained.voxtune("runs", "logs", "run", "--json").json["lines"]
    shown = trained.voxtune("runs", "show", "run", "--json").json
    losses = [row["loss"] for row in shown["metrics"] if "loss" in row]
    assert len(losses) == shown["total_steps"]
    assert {"audio_path", "text", "heard"} == set(shown["samples"][0])
    told = trained.voxtune("runs", "show", "run")
    assert told.out == ""
    for word in ("training loss", "validation WER", "said", "heard", f"{max(losses):.2f}"):
        assert word in told.err
    assert any("\u2800" < letter <= "\u28ff" for letter in told.err), "no curve was drawn"


def test_the_first_batch_is_shown_token_by_token(trained: Trained) -> None:
    rows = json.loads((trained.run / "first_batch.json").read_text())
    assert len(rows) == 4
    clips = {row["audio_path"]: row["text"] for row in map(json.loads, (trained.run / "clips.jsonl").read_text().splitlines()) if row["split"] == "train"}
    for row in rows:
        assert "".join(row["loss_tokens"]) == row["loss_text"] == clips[row["audio_path"]] + "</s>"
        assert row["num_audio_tokens"] == 375
        assert row["prompt_text"].startswith("<s>[INST][BEGIN_AUDIO][AUDIO]")
        assert row["prompt_text"].endswith("[/INST]lang:en[TRANSCRIBE]")


def test_figures_of_training_say_how_fast_and_how_large(trained: Trained) -> None:
    events = [json.loads(line) for line in (trained.run / "events.jsonl").read_text().splitlines()]
    rows = [event for event in events if "loss" in event]
    assert all(row["memory_bytes"] > 100_000_000 for row in rows)
    assert all(row["clips_per_s"] > 0 for row in rows)
    assert {"learning_rate", "grad_norm", "epoch"} <= set(rows[0])
    assert trained.status["seconds_left"] == 0


def test_the_memory_of_a_run_is_what_was_estimated(trained: Trained) -> None:
    memory = trained.status["memory"]
    assert memory["total_bytes"] / memory["peak_bytes"] == pytest.approx(1, abs=0.15)
    assert memory["available_bytes"] > memory["total_bytes"]


def test_a_dry_run_estimates_and_makes_nothing(trained: Trained) -> None:
    before = sorted(trained.run.parent.iterdir())
    done = trained.voxtune("train", "--data", "data", "--model", "tiny", "--epochs", 3, "--batch-size", 4, "--output", "not-made", "--dry-run", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["total_steps"] == trained.status["total_steps"]
    assert found["clips"] == trained.status["clips"]
    assert found["fits"]
    assert found["memory"]["total_bytes"] == trained.status["memory"]["total_bytes"]
    time = found["time"]
    assert time["total_s"] == pytest.approx(found["total_steps"] * 19 / 24 * time["step_s"] + 4 * time["validation_s"], rel=0.05)
    assert sorted(trained.run.parent.iterdir()) == before
    told = trained.voxtune("train", "--data", "data", "--model", "tiny", "--dry-run")
    assert told.out == ""
    assert "Time: about" in told.err
    trained.voxtune.refused("train", "--data", "data", "--model", "tiny", "--dry-run", "--train-tower-layers", 99, code=2)


def test_a_resumed_run_goes_on_under_its_name_in_trackio(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    words = ("--model", "tiny", "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1, "--epochs")
    assert voxtune("train", "--data", demo_part(10), *words, 1, "--output", "run").code == 0
    assert voxtune("train", "--resume", "--output", "run", "--epochs", 2).code == 0
    (database,) = (tmp_path / "trackio").rglob("*voxtune*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics order by id").fetchall()
    assert len({name for name, _, _ in rows}) == 1
    trained = [step for _, step, metrics in rows if "loss" in json.loads(metrics)]
    assert trained == list(range(1, len(trained) + 1))
    assert len(trained) == json.loads((tmp_path / "run" / "status.json").read_text())["total_steps"]


def test_steps_done_again_stand_in_trackio_once(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from voxtune.settings import TrainSettings; from voxtune.training.events import Events\n"
        "from voxtune.workspace import RunFolder; import sys\n"
        "events = Events(RunFolder(Path('run')), TrainSettings(data='d'))\n"
        "[events.metrics({'step': int(step), 'loss': 1.0}) for step in sys.argv[1:]]\n"
        "events.metrics({'step': 2, 'eval_wer': 0.5}); events.close()"
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "clips.jsonl").write_text("")
    for steps in ("123", "234"):
        subprocess.run([sys.executable, "-c", code, *steps], cwd=tmp_path, env={**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio")}, check=True)
    (database,) = (tmp_path / "trackio").rglob("*voxtune*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select step, metrics from metrics order by id").fetchall()
    assert [step for step, metrics in rows if "loss" in json.loads(metrics)] == [1, 2, 3, 4]
    assert len(rows) == 5


def test_a_full_trackio_disk_stops_no_run(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    words = ("--model", "tiny", "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1, "--epochs", 1)
    with disks.small(tmp_path / "full", "256k") as disk:
        (disk / "ballast").write_bytes(bytes(220 << 10))
        voxtune.environment["TRACKIO_DIR"] = str(disk / "trackio")
        done = voxtune("train", "--data", demo_part(10), *words, "--output", "run", "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "finished"


@pytest.mark.long
def test_a_trackio_database_that_another_holds_stops_no_run(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    words = ("--model", "tiny", "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1, "--epochs", 1)
    assert voxtune("train", "--data", demo_part(10), *words, "--output", "first").code == 0
    (database,) = (tmp_path / "trackio").rglob("*voxtune*.db")
    with sqlite3.connect(database) as connection:
        connection.execute("begin exclusive")
        done = voxtune("train", "--data", demo_part(10), *words, "--output", "second", "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "finished"
