"""Every way in which a run can fail: a code, what happened, where, what to do, and where it is sound the settings to retry with."""

from __future__ import annotations

import http.server
import json
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file, save_file

from tests.support import disks
from tests.support.command import Command
from tests.support.waiting import until
from voxtune.model.names import tiny_folder
from voxtune.training import checkpoints
from voxtune.training.failures import CODES

QUICK = ("--epochs", 30, "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1, "--no-trackio")


def _failed(run: Path) -> dict[str, Any]:
    now: dict[str, Any] = json.loads((run / "status.json").read_text())
    assert now["state"] == "failed"
    assert now["code"] in CODES
    assert now["message"]
    assert now["hint"]
    last = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()][-1]
    assert (last["event"], last["code"]) == ("error", now["code"])
    return now


def _losses(run: Path) -> int:
    return (run / "events.jsonl").read_text().count('"loss"') if (run / "events.jsonl").is_file() else 0


def test_a_loss_that_is_no_number_names_step_and_clips(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    damaged = Path(shutil.copytree(tiny_folder(), tmp_path / "damaged"))
    weights = load_file(damaged / "model.safetensors")
    next(value for name, value in weights.items() if "language_model" in name and "down_proj" in name)[0, 0] = float("nan")
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    error = voxtune.refused("train", "--data", demo_part(10), "--model", damaged, *QUICK, "--output", "run", code=1)
    assert "diverged" in error
    now = _failed(tmp_path / "run")
    assert now["code"] == "diverged"
    assert "at step 1" in now["message"]
    rows = [json.loads(line) for line in (tmp_path / "run" / "clips.jsonl").read_text().splitlines()]
    assert sum(row["audio_path"] in now["message"] for row in rows if row["split"] == "train") == 2
    assert now["suggestion"] == {"learning_rate": pytest.approx(4e-4)}
    assert "--learning-rate" in now["hint"]
    assert not (tmp_path / "run" / "model").exists()


def test_a_loss_that_explodes_ends_the_run_early(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    words = ("--method", "full", "--learning-rate", 0.5, "--warmup-ratio", 0, "--eval-steps", 100)
    voxtune.refused("train", "--data", demo_part(10), "--model", "tiny", *QUICK, *words, "--output", "run", code=1)
    now = _failed(tmp_path / "run")
    assert now["code"] in ("exploded", "diverged")
    assert now["step"] < 30
    assert ".flac" in now["message"]
    assert now["suggestion"] == {"learning_rate": 0.1}


def test_too_little_memory_suggests_settings_that_fit(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    words = ("--epochs", 30, "--batch-size", 8, "--gradient-accumulation-steps", 1, "--logging-steps", 1, "--no-trackio", "--eval-steps", 100)
    process = voxtune.start("train", "--data", demo_part(20), "--model", "tiny", *words, "--output", "run")
    until(lambda: _losses(tmp_path / "run") >= 1)
    worker = psutil.Process(json.loads((tmp_path / "run" / "status.json").read_text())["pid"])
    held = worker.memory_info().vms
    worker.rlimit(resource.RLIMIT_AS, (held - (256 << 20), held))  # what it gives back, it does not get again
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    now = _failed(tmp_path / "run")
    assert now["code"] == "out_of_memory"
    smaller = now["suggestion"]
    assert smaller.get("batch_size", 8) * smaller.get("gradient_accumulation_steps", 1) == 8
    assert smaller.get("batch_size", 8) < 8 or smaller.get("gradient_checkpointing")
    flags = [word for name, value in smaller.items() for word in (["--" + name.replace("_", "-")] + ([] if value is True else [value]))]
    assert all(str(word) in now["hint"] for word in flags)
    done = voxtune("train", tmp_path / "run" / "settings.yaml", *flags, "--epochs", 0.1, "--output", "retried", "--json")
    assert done.code == 0, done.err


def test_a_clip_that_is_gone_is_named(voxtune: Command, tmp_path: Path, demo_rows: list[tuple[Path, str]]) -> None:
    copies = tmp_path / "clips"
    copies.mkdir()
    rows = [(shutil.copy(path, copies), text) for path, text in demo_rows[:10]]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps({"audio_path": str(path), "text": text, "language": "en"}) + "\n" for path, text in rows))
    voxtune("train", "--data", "data.jsonl", "--model", "tiny", *QUICK, "--output", "run", "--detach")
    voxtune("runs", "stop", "run")
    gone = next(json.loads(line) for line in (tmp_path / "run" / "clips.jsonl").read_text().splitlines() if '"train"' in line)["audio_path"]
    kept = Path(gone).read_bytes()
    Path(gone).unlink()
    error = voxtune.refused("train", "--resume", "--output", "run", code=1)
    now = _failed(tmp_path / "run")
    assert now["code"] == "clip"
    assert gone in now["message"]
    assert "--resume" in error
    Path(gone).write_bytes(kept)
    done = voxtune("train", "--resume", "--output", "run", "--epochs", 1, "--json")
    assert done.json["state"] == "finished", done.err


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers each repository with the refusal in its name."""

    def do_HEAD(self) -> None:
        gated = "gated" in self.path
        self.send_response(403 if gated else 401)
        self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
        self.send_header("X-Error-Message", "no")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 - http.server's name for it

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    """A Hub that refuses."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("model", "token", "code", "said"),
    [
        ("someone/gated", "hf_aTokenForATest123456789", "gated", "accept its terms"),
        ("someone/gated", "", "gated", "hf auth login"),
        ("someone/private", "", "no_token", "hf auth login"),
        ("someone/gone", "hf_aTokenForATest123456789", "not_found", "Check the id"),
    ],
)
def test_the_hubs_refusals_are_told_apart(
    voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path], hub: str, model: str, token: str, code: str, said: str
) -> None:
    voxtune.environment.update({"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": token})
    error = voxtune.refused("train", "--data", demo_part(10), "--model", model, "--output", "run", "--no-trackio", code=1)
    assert said in error
    assert _failed(tmp_path / "run")["code"] == code
    assert not token or token not in (tmp_path / "run" / "train.log").read_text()


def test_no_network_is_told(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    voxtune.environment.update({"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")})
    error = voxtune.refused("train", "--data", demo_part(10), "--model", "someone/model", "--output", "run", "--no-trackio", code=1)
    assert "HF_HUB_OFFLINE" in error
    assert _failed(tmp_path / "run")["code"] == "no_network"


def test_a_wrong_version_is_told_before_anything_is_made(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    old = tmp_path / "old" / "transformers-4.0.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.0.0\n")
    voxtune.environment["PYTHONPATH"] = str(tmp_path / "old")
    error = voxtune.refused("train", "--data", demo_part(10), "--model", "tiny", "--output", "run", code=1)
    assert "transformers" in error
    assert "pip install" in error
    assert not (tmp_path / "run").exists()


def test_a_setting_that_does_not_fit_the_model_is_a_wrong_call(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    error = voxtune.refused("train", "--data", demo_part(10), "--model", "tiny", "--train-tower-layers", 99, "--output", "run", "--no-trackio", code=2)
    assert "train_tower_layers = 99" in error
    assert _failed(tmp_path / "run")["code"] == "settings"


def test_room_for_two_checkpoints_is_seen_to_before_the_first_step(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    with disks.small(tmp_path / "disk", "3M") as disk:
        run = disk / "run"
        error = voxtune.refused("train", "--data", demo_part(10), "--model", "tiny", *QUICK, "--output", run, code=1)
        assert "the disk is full" in error
        now = _failed(run)
        assert _losses(run) == 0
    assert (now["code"], now["step"]) == ("disk_full", 0)


def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    with disks.small(tmp_path / "disk", "60M") as disk:
        run = disk / "run"
        process = voxtune.start("train", "--data", demo_part(10), "--model", "tiny", *QUICK, "--output", run)
        until(lambda: bool(checkpoints.found(run / "checkpoints")))
        (disk / "ballast").write_bytes(bytes(psutil.disk_usage(str(disk)).free - 200_000))
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1, err
        assert "the disk is full" in err
        assert _failed(run)["code"] == "disk_full"
        found = checkpoints.found(run / "checkpoints")
        assert found
        assert [checkpoints.flaw(path) for path in found.values()] == [""] * len(found)
        (disk / "ballast").unlink()
        done = voxtune("train", "--resume", "--output", run, "--epochs", 3, "--json")
        assert done.code == 0, done.err
        assert done.json["state"] == "finished"


def test_a_run_whose_own_records_are_damaged_says_which(voxtune: Command, tmp_path: Path, demo_part: Callable[[int], Path]) -> None:
    voxtune("train", "--data", demo_part(10), "--model", "tiny", *QUICK, "--output", "run", "--detach")
    voxtune("runs", "stop", "run")
    (tmp_path / "run" / "clips.jsonl").write_bytes(b"\xff\xfe\x00")
    error = voxtune.refused("train", "--resume", "--output", "run", code=2)
    assert "clips.jsonl is not UTF-8" in error
    assert _failed(tmp_path / "run")["code"] == "call"
    (tmp_path / "run" / "status.json").write_text('{"state": "ru')
    assert "status.json cannot be read" in voxtune.refused("runs", "show", "run", code=1)
    (tmp_path / "run" / "status.json").write_text('{"state": "flying", "schema": 99}')
    assert "Update voxtune" in voxtune.refused("runs", "show", "run", code=1)
