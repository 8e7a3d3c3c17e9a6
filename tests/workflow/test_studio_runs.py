"""Training runs and their evaluation as the studio's page asks for them: a real server, real runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.command import Command
from tests.support.studio import Studio, serving
from tests.support.waiting import until
from tests.workflow.conftest import Trained

QUICK = ("--model", "tiny", "--batch-size", 2, "--train-tower-layers", 1, "--logging-steps", 1)


@pytest.fixture
def studio(tmp_path: Path, trained: Trained) -> Iterator[Studio]:
    """With one finished run, which is not evaluated by itself because it was already."""
    shutil.copytree(trained.run, tmp_path / "voice" / "outputs" / "first")
    _report(tmp_path / "voice" / "outputs" / "first")
    with serving(tmp_path / "voice") as served:
        yield served


def _report(run: Path) -> None:
    """A report on two of the run's own clips, as `voxtune evaluate` writes it, and made in no time."""
    clips = [json.loads(line) for line in (run / "clips.jsonl").read_text().splitlines()]
    rows = [
        {"audio_path": clip["audio_path"], "text": clip["text"], "base_text": "turn", "tuned_text": clip["text"], "base_wer": 0.8, "tuned_wer": 0.0}
        for clip in clips[:2]
    ]
    rates = {"wer": 0.5, "cer": 0.4, "raw_wer": 0.5, "raw_cer": 0.4}
    report = {"num_clips": 2, "base": rates, "tuned": rates, "wer_reduction": 0.0, "wer_reduction_ci95": [-1.0, 1.0], "verdict": "no clear change"}
    (run / "report.json").write_text(json.dumps({**report, "clips": rows, "seconds": {}, "normalisation": {"en": []}}))


def _run(studio: Studio, id_: str = "first", **more: int) -> dict[str, Any]:
    answer = studio.call("GET", f"runs/{id_}", params=more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _start(studio: Studio, data: Path, name: str, epochs: float) -> Path:
    environment = {"TRACKIO_DIR": str(studio.workspace / "trackio"), "VOXTUNE_STATE": str(studio.workspace / "state")}
    done = Command(studio.workspace, environment)("train", "--data", data, *QUICK, "--epochs", epochs, "--output", f"outputs/{name}", "--detach")
    assert done.code == 0, done.err
    return studio.workspace / "outputs" / name


def test_runs_are_listed_with_what_came_out(studio: Studio, trained: Trained) -> None:
    (row,) = studio.call("GET", "runs").json()["runs"]
    assert (row["id"], row["state"], row["model"], row["method"]) == ("first", "finished", "tiny", "lora")
    assert (row["best_wer"], row["verdict"]) == (trained.status["best_wer"], "no clear change")
    found = _run(studio)
    assert found["status"]["step"] == trained.status["step"]
    assert {"pid", "host"} & set(found["status"]) == set()
    assert [event["event"] for event in found["events"]].count("metrics") > 3
    assert _run(studio, events=found["events_offset"])["events"] == []


@pytest.mark.parametrize(
    "id_", ["../../etc", "..%2F..%2Fetc", "%2e%2e", "%2Fetc", "..~..~..~etc", "first~..", "first%00", "first%2Fmodel", ".voxtune", "First"]
)
def test_only_runs_that_are_listed_can_be_asked_for(studio: Studio, id_: str) -> None:
    for method, more in (
        ("GET", ""),
        ("GET", "/report"),
        ("GET", "/clips/0/audio"),
        ("POST", "/stop"),
        ("POST", "/resume"),
        ("POST", "/evaluate"),
        ("POST", "/ticket"),
    ):
        assert studio.call(method, f"runs/{id_}{more}").status_code in (400, 404)


def test_nothing_of_a_run_is_told_without_the_pages_key(studio: Studio) -> None:
    for method, path in (
        ("GET", "runs"),
        ("GET", "runs/first"),
        ("POST", "runs/first/stop"),
        ("POST", "runs/first/ticket"),
        ("GET", "runs/first/clips/0/audio"),
    ):
        assert studio.call(method, path, headers={"X-Vx-Key": "x" * 43}).status_code == 401


def test_the_log_by_offsets_is_the_log(studio: Studio) -> None:
    log = studio.workspace / "outputs" / "first" / "train.log"
    text = "".join(f"рядок {number} — 音声 🎤\n" for number in range(6_000))
    log.write_text(text)
    heard, offset = "", 0
    while offset < log.stat().st_size:
        piece = _run(studio, log=offset)
        assert 0 < piece["log_offset"] - piece["log_from"] <= 65_536
        assert piece["log_from"] == offset
        heard, offset = heard + piece["log"], piece["log_offset"]
    assert heard == text
    end = _run(studio, log=-1)
    assert text.endswith(end["log"])
    assert end["log"].startswith("рядок")
    assert 15_000 < len(end["log"].encode()) <= 16_384


def test_half_a_character_waits_for_its_other_half(studio: Studio) -> None:
    log = studio.workspace / "outputs" / "first" / "train.log"
    whole = "so 🎤".encode()
    log.write_bytes(whole[:-2])
    piece = _run(studio, log=0)
    assert (piece["log"], piece["log_offset"]) == ("so ", 3)
    log.write_bytes(whole)
    assert _run(studio, log=3)["log"] == "🎤"
    log.write_bytes(b"\xff\xfe cut \xf0")
    assert "cut" in _run(studio, log=0)["log"]
    log.write_text("anew")
    assert _run(studio, log=9_999)["log"] == "anew"  # another file: all of it again


def test_a_ticket_gives_the_whole_log_once(studio: Studio) -> None:
    url = studio.call("POST", "runs/first/ticket").json()["url"].removeprefix("vx/")
    given = studio.call("GET", url, headers={"X-Vx-Key": ""})
    assert given.content == (studio.workspace / "outputs" / "first" / "train.log").read_bytes()
    assert 'filename="first-train.log"' in given.headers["content-disposition"]
    assert studio.call("GET", url).status_code == 404
    assert studio.call("GET", "download-log/" + "A" * 32).status_code == 404


def test_a_report_shows_each_word_and_plays_its_clips(studio: Studio) -> None:
    report = studio.call("GET", "runs/first/report").json()
    clip = report["clips"][0]
    assert [said for _, _, said in clip["tuned"]] == clip["text"].split()
    assert {operation for operation, _, _ in clip["tuned"]} == {"equal"}
    assert {operation for operation, _, _ in clip["base"]} > {"delete"}
    assert "audio_path" not in clip
    sound = studio.call("GET", f"runs/first/clips/{clip['audio']}/audio")
    assert sound.content[:4] == b"RIFF"
    for index in ("2", "-1", "x", "1e3", "99999999999999999999999"):
        assert studio.call("GET", f"runs/first/clips/{index}/audio").status_code == 400


def test_only_clips_of_the_run_itself_are_played(studio: Studio) -> None:
    file = studio.workspace / "outputs" / "first" / "report.json"
    report = json.loads(file.read_text())
    report["clips"][0]["audio_path"] = "/etc/passwd"
    file.write_text(json.dumps(report))
    answer = studio.call("GET", "runs/first/clips/0/audio")
    assert answer.status_code == 400
    assert "not one of the run's own" in answer.json()["error"]


def test_a_damaged_run_is_listed_as_such_and_hides_no_other(studio: Studio) -> None:
    broken = studio.workspace / "outputs" / "broken"
    shutil.copytree(studio.workspace / "outputs" / "first", broken)
    (broken / "status.json").write_text("{")
    (broken / "report.json").write_text("[]")
    states = {row["id"]: row["state"] for row in studio.call("GET", "runs").json()["runs"]}
    assert states == {"first": "finished", "broken": "unreadable"}


def _evaluations(run: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[3:7] == ["voxtune", "evaluate", str(run), "--json"]:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_two_requests_make_one_evaluation_which_outlives_the_studio(studio: Studio) -> None:
    run = studio.workspace / "outputs" / "first"
    answers: list[int] = []
    ask = lambda: answers.append(studio.call("POST", "runs/first/evaluate", json={}).status_code)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    (evaluation,) = _evaluations(run)
    assert _run(studio)["evaluating"]["state"] == "working"
    evaluation.suspend()  # a studio takes longer to start than so few clips to be evaluated
    studio.kill()
    studio.start()
    assert _run(studio)["evaluating"]["state"] == "working"
    assert studio.call("POST", "runs/first/evaluate", json={}).status_code == 200
    assert _evaluations(run) == [evaluation]
    evaluation.resume()
    until(lambda: _run(studio)["evaluating"]["state"] != "working")
    assert _run(studio)["evaluating"]["state"] == "done"
    report = studio.call("GET", "runs/first/report").json()
    assert report["num_clips"] == len(report["clips"]) > 2
    assert _loads_no_torch(studio)


def test_an_evaluation_that_was_killed_says_so_and_starts_again_when_asked(studio: Studio) -> None:
    run = studio.workspace / "outputs" / "first"
    assert studio.call("POST", "runs/first/evaluate", json={}).status_code == 200
    (process,) = _evaluations(run)
    process.kill()
    until(lambda: _run(studio)["evaluating"]["state"] == "failed")
    assert "without a word" in _run(studio)["evaluating"]["message"]
    (run / "model").rename(run / "gone")
    assert "no model" in studio.call("POST", "runs/first/evaluate", json={}).json()["error"]
    (run / "gone" / "adapter_model.safetensors").unlink()
    (run / "gone").rename(run / "model")
    assert studio.call("POST", "runs/first/evaluate", json={}).status_code == 200
    until(lambda: _run(studio)["evaluating"]["state"] == "failed")
    assert "no adapter weights" in _run(studio)["evaluating"]["message"]


def test_a_run_is_watched_to_its_end_and_evaluated_by_itself(studio: Studio, demo_part: Callable[[int], Path]) -> None:
    _start(studio, demo_part(10), "second", 1)
    assert [row["id"] for row in studio.call("GET", "runs").json()["runs"]] == ["second", "first"]
    heard, offset, states = "", 0, set()

    def ended() -> bool:
        nonlocal heard, offset
        found = _run(studio, "second", log=offset)
        heard, offset = heard + found["log"], found["log_offset"]
        states.add(found["status"]["state"])
        return found["evaluating"]["state"] in ("done", "failed")

    until(ended, timeout_s=180)
    assert heard == (studio.workspace / "outputs" / "second" / "train.log").read_bytes().decode()
    assert "finished" in states
    assert _run(studio, "second")["evaluating"]["message"] == ""
    assert studio.call("GET", "runs/second/report").json()["num_clips"] > 0
    assert _loads_no_torch(studio)


def test_a_run_is_stopped_goes_on_and_a_killed_one_says_why(studio: Studio, demo_part: Callable[[int], Path]) -> None:
    run = _start(studio, demo_part(10), "long", 40)
    until(lambda: any("loss" in event for event in _run(studio, "long")["events"]))
    refused = studio.call("POST", "runs/first/evaluate", json={})
    assert refused.status_code == 409, "the evaluation of another run would take the memory of this one"
    stopping = studio.call("POST", "runs/long/stop")
    assert stopping.json()["state"] in ("stopping", "stopped", "running")
    until(lambda: _run(studio, "long")["status"]["state"] == "stopped")
    stopped = _run(studio, "long")["status"]
    assert stopped["resumable"]
    assert stopped["checkpoint"] == stopped["step"]
    assert studio.call("POST", "runs/long/resume", json={}).json()["state"] in ("queued", "running")
    until(lambda: _run(studio, "long")["status"]["step"] > stopped["step"])
    os.kill(json.loads((run / "status.json").read_text())["pid"], signal.SIGKILL)
    began = time.monotonic()
    until(lambda: _run(studio, "long")["status"]["state"] == "failed")
    assert time.monotonic() - began < 5
    failed = _run(studio, "long")["status"]
    assert (failed["code"], failed["resumable"]) == ("died", True)
    assert failed["last_lines"]
    assert studio.call("POST", "runs/long/stop").json()["state"] == "failed"  # nothing to stop any more


def _loads_no_torch(studio: Studio) -> bool:
    assert studio.process is not None
    return "torch" not in Path(f"/proc/{studio.process.pid}/maps").read_text()
