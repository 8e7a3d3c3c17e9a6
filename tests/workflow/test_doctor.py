"""The doctor on machines that lack one thing or another, and the bundle as a person makes it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import soundfile

import voxtune as package
from tests.support.clips import speech_like
from tests.support.command import Command, Done

TOKEN = "hf_SentinelTokenOfThisTest0123456789"
CHECKS = [
    *("packages", "torch", "cpu", "memory", "workspace", "temporary_folder", "hub_cache", "trackio_folder", "audio", "hub", "hub_token", "tiny_model"),
]  # fmt: skip


@dataclass
class Hub:
    """What the loopback Hub answers, and which tokens it was shown."""

    url: str = ""
    status: int = 200
    role: str = "write"
    tokens: list[str | None] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A server on loopback that knows whoami."""
    answers = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(answers.status, {})

        def do_GET(self) -> None:
            if self.path != "/api/whoami-v2":
                self.answer(404, {})
                return
            answers.tokens.append(self.headers.get("Authorization"))
            known = answers.tokens[-1] == f"Bearer {TOKEN}"
            access = {"displayName": "mine", "role": answers.role}
            self.answer(200 if known else 401, {"type": "user", "name": "anna", "auth": {"type": "access_token", "accessToken": access}} if known else {})

        def answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answers.url = f"http://127.0.0.1:{server.server_port}"
        yield answers
        server.shutdown()


@pytest.fixture
def doctor(voxtune: Command, tmp_path: Path) -> Command:
    """The command line of someone with no token, in an empty folder, with a Hub folder elsewhere."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    here = {"HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "NO_PROXY": "*", "COLUMNS": "160"}
    return Command(folder=workspace, environment={**voxtune.environment, **here})


def _found(done: Done, name: str) -> dict[str, Any]:
    assert "Traceback" not in done.err
    return next(check for check in done.json["checks"] if check["name"] == name)


def _online(doctor: Command, url: str, **more: str) -> None:
    doctor.environment.update({"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": url, **more})


def test_a_machine_that_can_train_is_told_so_and_left_as_it_was(doctor: Command, tmp_path: Path) -> None:
    blob = tmp_path / "hf" / "hub" / "models--a--b" / "blobs" / "x"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(bytes(12_345))
    (blob.parent.parent / "link").symlink_to(blob)
    done = doctor("doctor", "--json")
    assert done.code == 0, done.out
    assert done.err == ""
    assert done.json["ok"] is True
    assert done.json["bundle"] is None
    assert [check["name"] for check in done.json["checks"]] == CHECKS
    assert all(set(check) == {"name", "state", "message", "hint", "details"} and check["message"] for check in done.json["checks"])
    assert {check["state"] for check in done.json["checks"]} <= {"ok", "warning", "unknown"}
    assert _found(done, "hub")["state"] == "unknown"
    assert "offline" in _found(done, "hub")["message"]
    assert _found(done, "hub_cache")["details"]["size_bytes"] == 12_345
    assert _found(done, "workspace")["details"]["writable"] is True
    assert "MP3" in _found(done, "audio")["details"]["formats"]
    assert 0 < _found(done, "memory")["details"]["available_bytes"] <= _found(done, "memory")["details"]["total_bytes"]
    assert list(doctor.folder.iterdir()) == []
    assert {path.name for path in (tmp_path / "hf").iterdir()} == {"hub"}


def test_on_a_terminal_it_is_a_table_and_standard_output_stays_empty(doctor: Command) -> None:
    done = doctor("doctor")
    assert done.code == 0, done.err
    assert done.out == ""
    for name in CHECKS:
        assert name.replace("_", " ") in done.err


@pytest.mark.parametrize("role", ["read", "fineGrained"])
def test_what_the_token_may_do_is_told_and_its_text_never(doctor: Command, hub: Hub, role: str) -> None:
    hub.role = role
    _online(doctor, hub.url, HF_TOKEN=TOKEN)
    done = doctor("doctor", "--json")
    assert done.code == 0, done.out
    assert _found(done, "hub")["state"] == "ok"
    assert _found(done, "hub_token")["state"] == "ok"
    assert _found(done, "hub_token")["details"] == {"source": "HF_TOKEN", "role": role}
    assert ("cannot publish" in _found(done, "hub_token")["hint"]) == (role == "read")
    assert hub.tokens == [f"Bearer {TOKEN}"]
    assert TOKEN not in done.out + done.err


def test_a_token_in_the_store_is_found(doctor: Command, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(TOKEN)
    _online(doctor, hub.url)
    found = _found(doctor("doctor", "--json"), "hub_token")
    assert found["details"] == {"source": str(tmp_path / "hf" / "token"), "role": "write"}


def test_without_a_token_nobody_is_asked(doctor: Command, hub: Hub) -> None:
    _online(doctor, hub.url)
    found = _found(doctor("doctor", "--json"), "hub_token")
    assert found["details"] == {"source": None, "role": None}
    assert found["state"] == "ok"
    assert hub.tokens == []


@pytest.mark.parametrize(("token", "state"), [("hf_WrongTokenOfThisTest01234567890", "error"), ("hf_BrökénTokenOfThisTest0123456", "unknown")])
def test_a_token_that_the_hub_does_not_take_is_told(doctor: Command, hub: Hub, token: str, state: str) -> None:
    _online(doctor, hub.url, HF_TOKEN=token)
    done = doctor("doctor", "--json")
    assert _found(done, "hub")["state"] == "ok"
    assert _found(done, "hub_token")["state"] == state
    assert done.code == (1 if state == "error" else 0)
    assert "OfThisTest" not in done.out + done.err


def test_without_a_network_it_warns_and_is_done_soon(doctor: Command) -> None:
    with socket.socket() as dead:  # bound and not listening: connections are refused
        dead.bind(("127.0.0.1", 0))
        _online(doctor, f"http://anna:hunter22@127.0.0.1:{dead.getsockname()[1]}", HF_TOKEN=TOKEN)
        began = time.monotonic()
        done = doctor("doctor", "--json")
    assert time.monotonic() - began < 15
    assert done.code == 0
    assert _found(done, "hub")["state"] == "warning"
    assert "HF_ENDPOINT" in _found(done, "hub")["hint"]
    assert _found(done, "hub_token")["state"] == "unknown"
    assert "hunter22" not in done.out
    assert TOKEN not in done.out


def test_a_hub_that_never_answers_is_not_waited_for(doctor: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        _online(doctor, f"http://127.0.0.1:{mute.getsockname()[1]}")
        began = time.monotonic()
        done = doctor("doctor", "--json")
    assert time.monotonic() - began < 15
    assert done.code == 0
    assert _found(done, "hub")["state"] == "warning"


@pytest.mark.parametrize(("endpoint", "state"), [("nonsense", "warning"), ("http://[", "error")])
def test_an_address_of_nothing_is_a_finding(doctor: Command, endpoint: str, state: str) -> None:
    _online(doctor, endpoint)
    done = doctor("doctor", "--bundle", "help.zip", "--json")
    assert done.code == (1 if state == "error" else 0)
    assert _found(done, "hub")["state"] == state
    assert "HF_ENDPOINT" in _found(done, "hub")["hint"]


def test_a_hub_in_trouble_is_a_warning(doctor: Command, hub: Hub) -> None:
    hub.status = 503
    _online(doctor, hub.url)
    found = _found(doctor("doctor", "--json"), "hub")
    assert found["state"] == "warning"
    assert "503" in found["message"]


def test_a_workspace_that_cannot_be_written_to_is_an_error(doctor: Command, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        folder = Path("/proc")  # where not even root makes files
        if not folder.is_dir():
            pytest.skip("root may write everywhere")
    else:
        folder = tmp_path / "read-only"
        folder.mkdir(mode=0o555)
    done = Command(folder=folder, environment=doctor.environment)("doctor", "--json")
    assert done.code == 1
    assert _found(done, "workspace")["state"] == "error"
    assert _found(done, "workspace")["details"]["writable"] is False
    assert str(folder) in _found(done, "workspace")["message"]


def test_a_cache_that_cannot_be_written_to_is_a_warning(doctor: Command, tmp_path: Path) -> None:
    (tmp_path / "hf").write_text("a file where a folder should be")
    doctor.environment["TRACKIO_DIR"] = str(tmp_path / "hf" / "trackio")
    done = doctor("doctor", "--json")
    assert done.code == 0, done.out
    for name in ("hub_cache", "trackio_folder"):
        assert _found(done, name)["state"] == "warning"
        assert _found(done, name)["details"]["writable"] is False


def test_a_tiny_model_that_was_cut_off_is_found(doctor: Command) -> None:
    copy = doctor.folder / "voxtune"
    shutil.copytree(Path(package.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    weights = copy / "model" / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4096])
    done = doctor("doctor", "--json")
    assert done.code == 1
    assert "cut off or damaged" in _found(done, "tiny_model")["message"]
    weights.unlink()
    assert _found(doctor("doctor", "--json"), "tiny_model")["details"]["missing"] == ["model.safetensors"]


def test_a_library_that_does_not_load_is_a_finding_and_no_crash(doctor: Command, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    (broken / "soundfile.py").write_text("raise OSError('sndfile library not found')")
    doctor.environment["PYTHONPATH"] = str(broken)
    done = doctor("doctor", "--json")
    assert done.code == 1
    assert "libcudart" in _found(done, "torch")["message"]
    assert "sndfile" in _found(done, "audio")["message"]


def test_a_driver_without_a_pytorch_that_can_use_it_is_told(doctor: Command, tmp_path: Path) -> None:
    import torch

    if torch.version.cuda is not None:
        pytest.skip("this PyTorch can use a driver")
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    doctor.environment["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    found = _found(doctor("doctor", "--json"), "torch")
    assert found["state"] == "warning"
    assert "CUDA build" in found["hint"]


def test_every_gpu_is_told_with_its_memory(doctor: Command) -> None:
    import torch

    found = _found(doctor("doctor", "--json"), "torch")
    assert found["details"]["version"] == torch.__version__
    assert [device["name"] for device in found["details"]["devices"]] == [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    assert all(0 < device["free_bytes"] <= device["total_bytes"] for device in found["details"]["devices"])


def _make_run(folder: Path, said: str) -> None:
    """A run as a person leaves it, with a token in its log, her voice beside it, and her words in its events."""
    folder.mkdir(parents=True)
    (folder / "settings.yaml").write_text(f"data: {folder}/data\nmodel: tiny\n")
    (folder / "status.json").write_text(json.dumps({"state": "failed", "message": f"HTTP 401 for {TOKEN}"}))
    events = [{"event": "samples", "samples": [{"text": said, "heard": said}]}, {"event": "metrics", "text": said, "loss": 1.5}]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + '{"half')
    (folder / "train.log").write_text(f"{said}\nAuthorization: Bearer {TOKEN}\nat {Path.home()}/x.py\nstored-secret environment-secret\n")
    (folder / "clips.jsonl").write_text(json.dumps({"audio_path": "voice.wav", "text": said}) + "\n")
    soundfile.write(folder / "voice.wav", speech_like(0.5), 16_000, subtype="PCM_16")


def test_a_bundle_holds_every_run_below_and_no_secret_word_or_sound(doctor: Command, tmp_path: Path) -> None:
    said = "the heron waits beside the narrow ford"
    _make_run(doctor.folder / "outputs" / "first", said)
    _make_run(doctor.folder / "second", said)
    voice = (doctor.folder / "second" / "voice.wav").read_bytes()[44:]
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text("stored-secret")
    doctor.environment.update({"HF_TOKEN": TOKEN, "OTHER_API_KEY": "environment-secret"})
    done = doctor("doctor", "--bundle", "help.zip", "--json")
    assert done.code == 0, done.err
    assert done.json["bundle"] == "help.zip"
    with zipfile.ZipFile(doctor.folder / "help.zip") as archive:
        zipped = {name: archive.read(name) for name in archive.namelist()}
    inner = ("settings.yaml", "status.json", "events.jsonl", "train.log")
    assert set(zipped) == {"doctor.json", *(f"runs/{run}/{name}" for run in ("first", "second") for name in inner)}
    for secret in (TOKEN, TOKEN[3:], "stored-secret", "environment-secret", "heron", str(Path.home()) + "/"):
        assert {name for name, data in zipped.items() if secret.encode() in data} == set()
    assert {name for name, data in zipped.items() if b"RIFF" in data or voice[:64] in data} == set()
    report = json.loads(zipped["doctor.json"])
    assert [check["name"] for check in report["checks"]] == CHECKS
    assert report["left_out"]["runs/first/events.jsonl"] == "broken lines: 1"
    assert [json.loads(line)["event"] for line in zipped["runs/first/events.jsonl"].splitlines()] == ["samples", "metrics"]


def test_a_bundle_holds_only_the_runs_that_were_named(doctor: Command) -> None:
    for name in ("first", "second"):
        _make_run(doctor.folder / name, "some words")
    done = doctor("doctor", "--bundle", "help.zip", "second")
    assert done.code == 0, done.err
    assert "help.zip: doctor.json, runs/second/settings.yaml" in done.err
    with zipfile.ZipFile(doctor.folder / "help.zip") as archive:
        assert {name.split("/")[1] for name in archive.namelist() if "/" in name} == {"second"}


def test_a_bundle_is_made_even_where_a_broken_library_keeps_runs_from_being_found(doctor: Command, tmp_path: Path) -> None:
    _make_run(doctor.folder / "run", "some words")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "soundfile.py").write_text("raise OSError('sndfile library not found')")
    doctor.environment["PYTHONPATH"] = str(tmp_path / "broken")
    for target, named, names in (("all.zip", [], {"doctor.json"}), ("one.zip", ["run"], {"doctor.json", "runs/run/settings.yaml"})):
        done = doctor("doctor", "--bundle", target, *named, "--json")
        assert done.code == 1
        assert ("cannot be looked for: sndfile library not found" in done.err) == (not named)
        with zipfile.ZipFile(doctor.folder / target) as archive:
            assert names <= set(archive.namelist())


def test_wrong_calls_are_refused_and_touch_nothing(doctor: Command) -> None:
    (doctor.folder / "precious.zip").write_text("mine")
    (doctor.folder / "empty").mkdir()
    _make_run(doctor.folder / "run", "some words")
    taken = doctor.refused("doctor", "--bundle", "precious.zip", code=2)
    assert "already there" in taken
    assert "another --bundle" in taken
    assert "not a training run" in doctor.refused("doctor", "--bundle", "new.zip", "empty", code=2)
    assert "no --bundle" in doctor.refused("doctor", "run", code=2)
    assert "cannot be written" in doctor.refused("doctor", "--bundle", "precious.zip/new.zip", code=2)
    assert (doctor.folder / "precious.zip").read_text() == "mine"
    assert {path.name for path in doctor.folder.iterdir()} == {"precious.zip", "empty", "run"}
