"""A run is a process of its own: whoever started it may leave or be killed, and when it ends nothing of it is left (reliability 6, 7, 11)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.command import Command
from tests.support.waiting import until
from voxtune.training import checkpoints
from voxtune.workspace import RunFolder

ROOT = Path(__file__).parent.parent.parent
QUICK = ("--model", "tiny", "--epochs", 30, "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1, "--no-trackio")
SHORT = ("--model", "tiny", "--epochs", 1, "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1, "--no-trackio")


@pytest.fixture
def data(voxtune: Command, demo_part: Callable[[int], Path]) -> Path:
    """A few clips, and runs that end with the test."""
    return demo_part(10)


@pytest.fixture(autouse=True)
def _no_stray_runs(tmp_path: Path) -> Any:
    yield
    for status in tmp_path.rglob("status.json"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            pid = json.loads(status.read_text())["pid"]
            if pid != os.getpid():
                os.killpg(pid, signal.SIGKILL)


def _status(run: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((run / "status.json").read_text())
    return value


def _steps(run: Path) -> int:
    return (run / "events.jsonl").read_text().count('"loss"') if (run / "events.jsonl").is_file() else 0


def _gone(pid: int) -> bool:
    """Whether a run's process and all of its group have ended."""
    alive = [each for each in psutil.process_iter(["pid"]) if each.info["pid"] == pid and each.status() != psutil.STATUS_ZOMBIE]
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return not alive
    return all(each.status() == psutil.STATUS_ZOMBIE for each in psutil.process_iter() if _group(each.pid) == pid)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_leaves_nothing_running(voxtune: Command, tmp_path: Path, data: Path, how: signal.Signals) -> None:
    process = voxtune.start("train", "--data", data, *QUICK, "--output", "run")
    until(lambda: _steps(tmp_path / "run") >= 2)
    pid = _status(tmp_path / "run")["pid"]
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Saving and stopping" in err
    assert "Go on with" in err
    now = _status(tmp_path / "run")
    assert now["state"] == "stopped"
    newest = max(checkpoints.found(tmp_path / "run" / "checkpoints").items())
    assert newest[0] == now["step"]
    assert checkpoints.flaw(newest[1]) == ""
    until(lambda: _gone(pid), timeout_s=10)


def test_a_second_interrupt_ends_it_at_once(voxtune: Command, tmp_path: Path, data: Path) -> None:
    process = voxtune.start("train", "--data", data, *QUICK, "--output", "run")
    until(lambda: _steps(tmp_path / "run") >= 1)
    pid = _status(tmp_path / "run")["pid"]
    os.kill(pid, signal.SIGSTOP)  # it cannot answer the first
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "again to end it at once" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1, err
    assert "without a word" in err
    until(lambda: _gone(pid), timeout_s=10)
    assert _status(tmp_path / "run")["state"] == "failed"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP])
def test_the_run_goes_on_when_the_one_who_watches_is_gone(voxtune: Command, tmp_path: Path, data: Path, how: signal.Signals) -> None:
    process = voxtune.start("train", "--data", data, *SHORT, "--output", "run")
    until(lambda: (tmp_path / "run" / "events.jsonl").is_file())
    process.send_signal(how)
    process.communicate(timeout=30)
    assert voxtune("runs", "show", "run", "--json").json["state"] in ("queued", "running", "finished")
    until(lambda: _status(tmp_path / "run")["state"] not in ("queued", "running"))
    assert _status(tmp_path / "run")["state"] == "finished"
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").is_file()
    until(lambda: _gone(_status(tmp_path / "run")["pid"]), timeout_s=10)


def test_a_talkative_process_outlives_its_starter(tmp_path: Path) -> None:
    """20,000 lines of a process whose starter was killed after ten: nothing blocks, nothing is lost."""
    log = tmp_path / "log"
    code = (
        "import os, time; from pathlib import Path; from voxtune.training import process\n"
        f"process.start_apart('tests.support.chatter', ['20000'], log=Path({str(log)!r}), environment=os.environ); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    until(lambda: log.is_file() and log.read_text().count("\n") >= 10)
    starter.kill()
    starter.wait()
    until(lambda: log.read_text().endswith(f"line 19999 {'x' * 60}\n"))
    assert log.read_text().count("\n") == 20_000


def test_a_killed_process_is_told_with_its_last_lines_and_resumed(voxtune: Command, tmp_path: Path, data: Path) -> None:
    process = voxtune.start("train", "--data", data, *QUICK, "--output", "run")
    until(lambda: bool(checkpoints.found(tmp_path / "run" / "checkpoints")))
    os.killpg(_status(tmp_path / "run")["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "ended without a word" in err
    assert f"--resume --output {tmp_path / 'run'}" in err
    now = _status(tmp_path / "run")
    assert (now["state"], now["code"]) == ("failed", "died")
    assert any("trainable parameters" in line for line in now["last_lines"])
    listed = voxtune("runs", "list", "--json").json
    assert [(row["run"], row["state"]) for row in listed] == [("run", "failed")]
    done = voxtune("train", "--resume", "--output", "run", "--epochs", 2, "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "finished"


def test_a_process_of_the_same_number_is_not_taken_for_the_run(voxtune: Command, tmp_path: Path, data: Path) -> None:
    done = voxtune("train", "--data", data, *SHORT, "--output", "run")
    assert done.code == 0, done.err
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "run" / "status.json").write_text(json.dumps(_status(tmp_path / "run") | {"state": "running", "pid": stranger.pid}))
        assert voxtune("runs", "show", "run", "--json").json["code"] == "died"
        assert stranger.poll() is None, "a stranger was killed"
    finally:
        stranger.kill()
        stranger.wait()


def test_runs_of_one_device_take_turns(voxtune: Command, tmp_path: Path, data: Path) -> None:
    first = voxtune("train", "--data", data, *QUICK, "--output", "first", "--detach", "--json")
    assert first.json["state"] in ("queued", "running")
    until(lambda: _steps(tmp_path / "first") >= 1)
    second = voxtune.start("train", "--data", data, *SHORT, "--output", "second")
    until(lambda: (tmp_path / "second").is_dir() and _status(tmp_path / "second")["waits_for"] != "")
    assert _status(tmp_path / "second")["state"] == "queued"
    assert Path(_status(tmp_path / "second")["waits_for"]) == tmp_path / "first"
    third = voxtune("train", "--data", data, *SHORT, "--output", "third", "--detach")
    assert third.code == 0
    until(lambda: _status(tmp_path / "third")["waits_for"] != "")
    assert voxtune("runs", "stop", "third", "--json").json["state"] == "stopped"  # in line, it has nothing to save
    assert "first" in voxtune("runs", "list").err
    done = voxtune("runs", "stop", "first", "--json")
    assert done.json["state"] == "stopped"
    _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert "waiting for" in err
    assert _status(tmp_path / "second")["state"] == "finished"
    followed = voxtune("runs", "resume", "third", "--json")
    assert followed.json["state"] == "finished"


def test_two_runs_side_by_side_where_that_is_wanted(voxtune: Command, tmp_path: Path, data: Path) -> None:
    voxtune("train", "--data", data, *QUICK, "--output", "first", "--detach")
    done = voxtune("train", "--data", data, *SHORT, "--output", "second", "--no-queue", "--json")
    assert done.json["state"] == "finished"
    assert _status(tmp_path / "first")["state"] in ("queued", "running")


def test_of_many_starts_at_once_one_wins(voxtune: Command, tmp_path: Path, data: Path) -> None:
    starts = [voxtune.start("train", "--data", data, *QUICK, "--output", "run", "--detach", "--json") for _ in range(4)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in starts]
    assert sorted(code for _, code in ended) == [0, 2, 2, 2], ended
    assert all("already there" in err for (_, err), code in ended if code)
    assert not list(tmp_path.glob(".partial-*"))
    assert voxtune("runs", "stop", "run", "--json").json["state"] == "stopped"


def test_one_request_is_one_run_however_often_it_is_made(voxtune: Command, tmp_path: Path, data: Path) -> None:
    words = ("train", "--data", data, *QUICK, "--request-id", "click-1", "--detach", "--json")
    starts = [voxtune.start(*words, "--output", "run") for _ in range(3)]
    made = [json.loads(process.communicate(timeout=60)[0]) for process in starts]
    assert {row["output"] for row in made} == {"run"}
    again = voxtune(*words, "--output", "run").json
    assert again["pid"] == _status(tmp_path / "run")["pid"]
    other = voxtune.refused("train", "--data", data, *QUICK, "--request-id", "click-2", "--detach", "--output", "run", code=2)
    assert "already there" in other
    resumed = voxtune.refused("train", "--resume", "--output", "run", code=2)
    assert "already" in resumed
    assert len([each for each in psutil.process_iter(["cmdline"]) if str(tmp_path / "run") in " ".join(each.info["cmdline"] or [])]) == 1
    voxtune("runs", "stop", "run")


def test_one_request_without_a_folder_is_one_run_too(voxtune: Command, tmp_path: Path, data: Path) -> None:
    words = ("train", "--data", data, *QUICK, "--request-id", "click-1", "--detach", "--json")
    starts = [voxtune.start(*words) for _ in range(3)]
    made = {json.loads(process.communicate(timeout=60)[0])["output"] for process in starts}
    assert len(made) == 1
    assert len(list((tmp_path / "outputs").iterdir())) == 1
    assert voxtune("runs", "stop", made.pop(), "--json").json["state"] == "stopped"


def test_killed_and_resumed_by_the_command_line_it_ends_with_the_same_bits(tmp_path: Path, voxtune: Command, data: Path) -> None:
    words = ("train", "--data", data, "--model", "tiny", "--batch-size", 2, "--train-tower-layers", 1, "--epochs", 4, "--no-trackio", "--output")
    one_thread = Command(folder=voxtune.folder, environment={**voxtune.environment, "OMP_NUM_THREADS": "1"})
    assert one_thread(*words, "undisturbed").code == 0
    process = one_thread.start(*words, "killed")
    until(lambda: bool(checkpoints.found(tmp_path / "killed" / "checkpoints")))
    os.killpg(_status(tmp_path / "killed")["pid"], signal.SIGKILL)
    process.communicate(timeout=30)
    done = one_thread("runs", "resume", "killed", "--json")
    assert done.json["state"] == "finished", done.err
    weights = [(tmp_path / name / "model" / "adapter_model.safetensors").read_bytes() for name in ("undisturbed", "killed")]
    assert weights[0] == weights[1]


def test_a_line_that_cannot_be_kept_stops_no_run(voxtune: Command, tmp_path: Path, data: Path) -> None:
    (tmp_path / "no-folder").write_text("a file where the line should be")
    voxtune.environment["VOXTUNE_STATE"] = str(tmp_path / "no-folder")
    done = voxtune("train", "--data", data, *SHORT, "--output", "run", "--json")
    assert done.json["state"] == "finished", done.err
    assert "no line is kept" in (tmp_path / "run" / "train.log").read_text()


def test_one_damaged_run_hides_no_other(voxtune: Command, tmp_path: Path, data: Path) -> None:
    assert voxtune("train", "--data", data, *SHORT, "--output", "run").code == 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "settings.yaml").write_text("data: d")
    (tmp_path / "broken" / "status.json").write_text('{"state": "run')
    listed = voxtune("runs", "list", "--json")
    assert [row["run"] for row in listed.json] == ["run"]
    assert "broken" in listed.err


def test_a_tuned_adapter_is_no_base(voxtune: Command, tmp_path: Path, data: Path) -> None:
    assert voxtune("train", "--data", data, *SHORT, "--output", "run").code == 0
    words = [word if word != "tiny" else "run" for word in SHORT]
    assert "--model tiny" in voxtune.refused("train", "--data", data, *words, "--output", "second", code=2)


def test_a_stop_before_the_first_step_is_answered_at_once(voxtune: Command, tmp_path: Path, data: Path) -> None:
    voxtune("train", "--data", data, *QUICK, "--output", "run", "--detach")
    done = voxtune("runs", "stop", "run", "--json")
    assert done.code == 0
    assert done.json["state"] == "stopped"
    assert done.json["step"] == 0
    resumed = voxtune("train", "--resume", "--output", "run", "--epochs", 1, "--json")
    assert resumed.json["state"] == "finished"


def test_a_run_that_does_not_stop_is_ended(voxtune: Command, tmp_path: Path, data: Path) -> None:
    voxtune("train", "--data", data, *QUICK, "--output", "run", "--detach")
    until(lambda: _steps(tmp_path / "run") >= 1)
    pid = _status(tmp_path / "run")["pid"]
    os.kill(pid, signal.SIGSTOP)
    done = voxtune("runs", "stop", "run", "--grace", 1, "--json")
    assert done.json["state"] == "failed"
    until(lambda: _gone(pid), timeout_s=10)


def test_the_token_stays_where_it_is(voxtune: Command, tmp_path: Path, data: Path) -> None:
    """A run on a local model neither gets the token nor writes it; its command line holds none in any case."""
    secret = Command(folder=voxtune.folder, environment={**voxtune.environment, "HF_TOKEN": "hf_thisIsASentinelOfATokenXYZ"})
    secret("train", "--data", data, *QUICK, "--output", "run", "--detach")
    until(lambda: _steps(tmp_path / "run") >= 1)
    worker = psutil.Process(_status(tmp_path / "run")["pid"])
    assert "sentinel" not in json.dumps([worker.environ(), worker.cmdline()]).lower()
    voxtune("runs", "stop", "run")
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and b"SentinelOfAToken" in path.read_bytes()]
    assert written == []


def test_the_log_is_followed_to_its_end(voxtune: Command, tmp_path: Path, data: Path) -> None:
    voxtune("train", "--data", data, *SHORT, "--output", "run", "--detach")
    done = voxtune("runs", "logs", "-f", "run")
    assert done.code == 0
    assert "trainable parameters" in done.out
    assert _status(tmp_path / "run")["state"] == "finished"
    assert len(voxtune("runs", "logs", "run", "--lines", 1).out.splitlines()) == 1
    assert RunFolder(tmp_path / "run").log.read_text().splitlines()[-1] in done.out
