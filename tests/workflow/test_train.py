"""`voxtune train`, `evaluate` and `transcribe` on the real tiny model."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml

from tests.support.command import Command
from tests.workflow.conftest import Trained


def _events(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_a_run_leaves_all_that_the_design_names(trained: Trained) -> None:
    assert trained.status["state"] == "finished"
    assert set(trained.status["trainable_parameters"]) == {"language_model", "projector", "audio_tower"}
    assert trained.status["clips"] == {"train": 19, "validation": 2, "test": 3}
    assert trained.status == {**json.loads((trained.run / "status.json").read_text()), "output": "run"}
    names = {path.name for path in trained.run.iterdir()}
    assert names >= {"settings.yaml", "status.json", "events.jsonl", "train.log", "checkpoints", "model", "clips.jsonl"}
    assert yaml.safe_load((trained.run / "settings.yaml").read_text())["model"] == "tiny"
    losses = [event for event in _events(trained.run) if "loss" in event]
    assert [event["step"] for event in losses] == list(range(1, trained.status["total_steps"] + 1))
    validations = [event for event in _events(trained.run) if "eval_wer" in event]
    assert validations[0]["step"] == 0
    assert len(validations) == 4
    assert min(event["eval_wer"] for event in validations[1:]) == trained.status["best_wer"]
    kept = {path.name for path in (trained.run / "checkpoints").iterdir()}
    assert f"step-{trained.status['best_step']}" in kept
    assert len(kept) <= 3
    assert not list(trained.run.rglob("*.bin"))


def test_training_lowers_the_loss(trained: Trained) -> None:
    losses = [event["eval_loss"] for event in _events(trained.run) if "eval_loss" in event]
    assert losses[-1] < 0.8 * losses[0]


def test_metrics_are_in_trackio_on_this_machine(trained: Trained) -> None:
    databases = list((trained.run.parent / "trackio").rglob("*voxtune*.db"))
    assert databases
    import sqlite3

    with sqlite3.connect(databases[0]) as database:
        logged = [json.loads(metrics) for (metrics,) in database.execute("select metrics from metrics order by id")]
    events = [event for event in _events(trained.run) if event["event"] == "metrics"]
    assert len(logged) == len(events)
    assert [values["eval_wer"] for values in logged if "eval_wer" in values] == [event["eval_wer"] for event in events if "eval_wer" in event]
    assert [values["loss"] for values in logged if "loss" in values] == [event["loss"] for event in events if "loss" in event]


def test_evaluation_compares_base_and_tuned_on_the_held_out_clips(trained: Trained) -> None:
    done = trained.voxtune("evaluate", "run", "--json")
    assert done.code == 0, done.err
    report = done.json
    assert {"num_clips", "base", "tuned", "wer_reduction", "wer_reduction_ci95", "verdict", "clips", "seconds"} <= set(report)
    assert {"wer", "cer"} <= set(report["base"]) == set(report["tuned"])
    assert report["num_clips"] == len(report["clips"]) == 3
    assert report["verdict"] == "no clear change"  # three clips prove nothing
    assert all(set(clip) == {"audio_path", "text", "base_text", "tuned_text", "base_wer", "tuned_wer"} for clip in report["clips"])
    assert report["wer_reduction"] == pytest.approx(report["base"]["wer"] - report["tuned"]["wer"])
    assert json.loads((trained.run / "report.json").read_text()) == report
    rows = [json.loads(line) for line in (trained.run / "clips.jsonl").read_text().splitlines()]
    trained_on = {row["text"] for row in rows if row["split"] == "train"}
    assert trained_on.isdisjoint(clip["text"] for clip in report["clips"])
    worst = [clip["tuned_wer"] for clip in report["clips"]]
    assert worst == sorted(worst, reverse=True)


def test_evaluation_on_other_data_leaves_out_what_was_trained_on(trained: Trained) -> None:
    done = trained.voxtune("evaluate", "run", "--data", "data", "--json")
    assert done.code == 0, done.err
    assert done.json["num_clips"] == 3


def test_stock_peft_loads_the_model_and_hears_the_same(trained: Trained) -> None:
    from peft import PeftModel
    from transformers import AutoProcessor, VoxtralForConditionalGeneration

    from voxtune import audio
    from voxtune.model.names import tiny_folder

    clip = min((trained.data / "wavs").iterdir())
    done = trained.voxtune("transcribe", clip, "--model", "run", "--language", "en", "--json")
    assert done.code == 0, done.err
    processor = AutoProcessor.from_pretrained(trained.run / "model")
    base = VoxtralForConditionalGeneration.from_pretrained(tiny_folder())
    model = PeftModel.from_pretrained(base, trained.run / "model").eval()
    inputs = processor.apply_transcription_request(audio.read(clip), model_id="x", language="en", sampling_rate=16_000, format=["WAV"])
    out = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    text = processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
    assert done.json == [{"audio_path": str(clip), "text": text.strip()}]


def test_a_tuned_model_that_answers_as_the_base_is_an_error(trained: Trained, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = tmp_path / "same"
    shutil.copytree(trained.run, copy)
    weights = load_file(copy / "model" / "adapter_model.safetensors")
    save_file({name: torch.zeros_like(value) for name, value in weights.items()}, copy / "model" / "adapter_model.safetensors", metadata={"format": "pt"})
    assert "tuning changed nothing" in trained.voxtune.refused("evaluate", copy, code=1)


def test_full_fine_tuning_with_a_frozen_tower_leaves_the_tower_as_it_was(trained: Trained) -> None:
    from safetensors.torch import load_file

    from voxtune.model.names import tiny_folder

    done = trained.voxtune(
        *("train", "--data", "data", "--model", "tiny", "--method", "full", "--freeze-audio-tower", "--epochs", 1, "--output", "full", "--no-trackio", "--json")
    )
    assert done.code == 0, done.err
    assert done.json["trainable_parameters"]["audio_tower"] == 0
    assert done.json["trainable_parameters"]["language_model"] > 0
    before, after = load_file(tiny_folder() / "model.safetensors"), load_file(trained.run.parent / "full" / "model" / "model.safetensors")
    assert set(before) == set(after)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("audio_tower" in name for name in changed)
    heard = trained.voxtune("transcribe", next((trained.data / "wavs").iterdir()), "--model", "full", "--json")
    assert heard.code == 0, heard.err


def _wait_for_step(run: Path, step: int, timeout_s: float = 120) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if (run / "events.jsonl").is_file() and any(event.get("step", 0) >= step and "loss" in event for event in _events(run)):
            return
        time.sleep(0.1)
    raise AssertionError("the run made no step")


def test_ctrl_c_saves_and_stops_and_resume_goes_on(trained: Trained) -> None:
    run = trained.run.parent / "stopped"
    process = trained.voxtune.start(
        *("train", "--data", "data", "--model", "tiny", "--epochs", 4, "--batch-size", 2, "--logging-steps", 1, "--output", "stopped", "--no-trackio")
    )
    _wait_for_step(run, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "stopped"
    assert 2 <= status["step"] < status["total_steps"]
    assert (run / "checkpoints" / f"step-{status['step']}").is_dir()
    assert not (run / "model").exists()

    refused = trained.voxtune.refused("train", "--resume", "--output", "stopped", "--lora-r", 2, code=2)
    assert "cannot change lora_r (16 before, 2 now)" in refused
    done = trained.voxtune("train", "--resume", "--output", "stopped", "--json")
    assert done.code == 0, done.err
    assert (done.json["state"], done.json["step"]) == ("finished", status["total_steps"])
    steps = [event["step"] for event in _events(run) if "loss" in event]
    assert steps == list(range(1, status["total_steps"] + 1))
    assert (run / "model" / "adapter_model.safetensors").is_file()


def test_a_long_recording_is_transcribed_in_pieces(trained: Trained, demo_rows: list[tuple[Path, str]], tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    from voxtune import audio

    waves = [audio.read(path) for path, _ in demo_rows[:30]]
    soundfile.write(tmp_path / "long.wav", np.concatenate(waves), 16_000)
    assert len(np.concatenate(waves)) > 60 * 16_000
    done = trained.voxtune("transcribe", tmp_path / "long.wav", "--model", "tiny", "--language", "en", "--json")
    assert done.code == 0, done.err
    assert len(done.json[0]["text"].split()) > 30


def test_scripts_take_the_flags_of_the_command(trained: Trained) -> None:
    import os
    import subprocess
    import sys

    root = Path(__file__).parent.parent.parent
    for script, method in (("train.py", "full"), ("train_lora.py", "lora")):
        words = ["--data", "data", "--model", "tiny", "--epochs", "0.4", "--output", f"by-{method}", "--no-trackio", "--json"]
        done = subprocess.run(
            [sys.executable, root / "scripts" / script, *words],
            cwd=trained.run.parent,
            env={**os.environ, **trained.voxtune.environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["state"] == "finished"
        assert yaml.safe_load((trained.run.parent / f"by-{method}" / "settings.yaml").read_text())["method"] == method


def test_settings_of_a_run_reproduce_it(trained: Trained) -> None:
    done = trained.voxtune("train", "run/settings.yaml", "--output", "again", "--no-trackio", "--json")
    assert done.code == 0, done.err
    losses = [[event["loss"] for event in _events(run) if "loss" in event] for run in (trained.run, trained.run.parent / "again")]
    assert losses[0] == losses[1]


def test_trackio_that_cannot_write_stops_nothing(trained: Trained) -> None:
    blocked = trained.run.parent / "blocked"
    blocked.write_text("a file where Trackio wants a folder")
    voxtune = Command(folder=trained.run.parent, environment={"TRACKIO_DIR": str(blocked / "trackio")})
    done = voxtune("train", "--data", "data", "--model", "tiny", "--epochs", "0.4", "--output", "no-trackio", "--json")
    assert done.code == 0, done.err
    assert "Trackio" in (trained.run.parent / "no-trackio" / "train.log").read_text()
