"""Status, events, losses, pace and the line before a device: what a run writes down while it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from voxtune import files
from voxtune.errors import AudioError, CallError, DiskFullError, ModelError, TrainingError
from voxtune.training import device_queue, events, failures, opening, pace, process, runs, status
from voxtune.training.losses import PATIENCE, Losses
from voxtune.training.status import NEXT, Status, StatusFile
from voxtune.workspace import RunFolder


def test_a_state_follows_only_where_it_may(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for before, allowed in NEXT.items():
        for after in NEXT:
            file = StatusFile(run, Status(state=before))
            if after in allowed or after == before:
                file.update(state=after)
                assert status.read(run).state == after
            else:
                with pytest.raises(AssertionError):
                    file.update(state=after)


def test_a_status_with_fields_of_a_later_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps(asdict(Status(step=3)) | {"mood": "good"}))
    assert status.read(RunFolder(tmp_path)).step == 3


def test_events_are_read_on_from_where_one_was(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    assert events.read(file) == ([], 0)
    files.append_line(file, {"step": 1})
    first, offset = events.read(file)
    with file.open("a") as stream:
        stream.write('{"step": 2')
    assert (first, events.read(file, offset)) == ([{"step": 1}], ([], offset))
    files.append_line(file, {"step": 3})  # the half line of a killed writer is ended, and read by nobody
    assert events.read(file, offset)[0] == [{"step": 3}]


def test_steps_done_again_count_once(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    for row in (
        {"event": "stage", "stage": "training", "step": 0},
        {"event": "metrics", "step": 1, "loss": 3.0},
        {"event": "metrics", "step": 2, "loss": 2.0},
        {"event": "metrics", "step": 2, "eval_wer": 0.5},
        {"event": "metrics", "step": 3, "loss": 9.0},
        {"event": "stage", "stage": "training", "step": 2},
        {"event": "metrics", "step": 3, "loss": 1.0},
    ):
        files.append_line(file, row)
    rows = events.surviving_metrics(file)
    assert [(row["step"], row.get("loss"), row.get("eval_wer")) for row in rows] == [(1, 3.0, None), (2, 2.0, None), (2, None, 0.5), (3, 1.0, None)]


def _losses() -> Losses:
    return Losses(1e-3, ["a.wav", "b.wav", "c.wav"])


def test_the_mean_loss_goes_on_over_a_checkpoint(tmp_path: Path) -> None:
    one = _losses()
    for step, loss in enumerate((1.0, 0.5), start=1):
        one.add(loss / 2, [0], step=step)
        one.add(loss / 2, [1], step=step)
        one.end_step(step)
    one.save(tmp_path)
    other = _losses()
    other.load(tmp_path)
    for losses in (one, other):
        losses.add(0.25, [0], step=3)
        losses.end_step(3)
    assert one.take() == other.take() == pytest.approx(1.75 / 3)


def test_a_loss_that_stays_exploded_is_given_up_and_one_that_comes_back_is_not(tmp_path: Path) -> None:
    losses = _losses()
    for step, loss in enumerate([1.0, *[9.0] * (PATIENCE - 1), 2.0, 9.0], start=1):
        losses.add(loss, [step % 3], step=step)
        losses.end_step(step)
    losses.save(tmp_path)
    resumed = _losses()
    resumed.load(tmp_path)
    for step in range(PATIENCE + 2, 2 * PATIENCE):  # one exploded step is in the checkpoint already
        resumed.add(9.0, [1], step=step)
        resumed.end_step(step)
    resumed.add(9.0, [1], step=2 * PATIENCE)
    with pytest.raises(TrainingError) as error:
        resumed.end_step(2 * PATIENCE)
    assert error.value.code == "exploded"
    assert f"at step {PATIENCE + 2}:" in error.value.message
    assert error.value.suggestion == {"learning_rate": 2e-4}


def test_time_left_comes_from_what_was_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    timed = pace.Pace()
    assert timed.seconds_left(10, 2) is None
    for seconds in (9.0, 2.0, 4.0):  # the first step is slower, and forgotten once there are others
        timed.begin()
        clock[0] += seconds
        timed.step_done()
    timed.begin()
    clock[0] += 5.0
    timed.validation_done()
    assert timed.seconds_left(10, 2) == pytest.approx(10 * 3.0 + 2 * 5.0)
    assert pace.validations_left(step=25, total_steps=95, eval_steps=10, epoch=2.5, epochs=10) == 8
    assert pace.validations_left(step=25, total_steps=95, eval_steps=0, epoch=2.5, epochs=10) == 8


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DiskFullError("x", need_bytes=5, have_bytes=1), "disk_full"),
        (OSError(28, "No space left on device"), "disk_full"),
        (RuntimeError("SafetensorError: Error while serializing: I/O error: No space left on device (os error 28)"), "disk_full"),
        (RuntimeError("[enforce fail at inline_container.cc:778] . unexpected pos 640 vs 534"), "disk_full"),
        (MemoryError(), "out_of_memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "out_of_memory",
        ),
        (OSError(12, "Cannot allocate memory"), "out_of_memory"),
        (AudioError("unreadable", "a.wav", "not audio"), "clip"),
        (ModelError("gated", hint="ask", code="gated"), "gated"),
        (CallError("no", hint="say yes"), "call"),
        (ModuleNotFoundError("No module named 'peft'", name="peft"), "versions"),
        (ImportError("cannot import name 'VoxtralProcessor' from 'transformers'", name="transformers"), "versions"),
        (PermissionError(13, "Permission denied"), "unexpected"),
        (ZeroDivisionError("division by zero"), "unexpected"),
        (None, "unexpected"),
    ],
)
def test_every_error_is_told_under_a_code(tmp_path: Path, error: BaseException | None, code: str) -> None:
    told = failures.tell(error, lambda: {"batch_size": 2}, place=RunFolder(tmp_path))
    assert told.code == code
    assert told.message
    assert told.hint
    if code == "out_of_memory":
        assert (told.suggestion, "--batch-size 2" in told.hint) == ({"batch_size": 2}, True)


def test_a_gpu_without_memory_is_told_apart(tmp_path: Path) -> None:
    import torch

    told = failures.tell(torch.OutOfMemoryError("CUDA out of memory. Tried"), lambda: None, place=RunFolder(tmp_path))
    assert told.code == "out_of_memory_gpu"
    assert "more memory" in told.hint


def test_a_device_is_held_by_one_at_a_time_in_the_order_of_coming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device_queue.STATE_VARIABLE, str(tmp_path))
    order: list[str] = []
    waits: dict[str, list[str]] = {"b": [], "c": []}

    def work(name: str) -> None:
        with device_queue.turn(["cuda-0", "cuda-1"], name, waiting=waits[name].append):
            order.append(name)
            time.sleep(0.05)

    with device_queue.turn(["cuda-1"], "a", waiting=pytest.fail), device_queue.turn(["cpu"], "other", waiting=pytest.fail):
        threads = []
        for name in ("b", "c"):
            threads.append(threading.Thread(target=work, args=(name,)))
            threads[-1].start()
            while not waits[name]:
                time.sleep(0.01)
        order.append("a")
    for thread in threads:
        thread.join(10)
    assert order == ["a", "b", "c"]
    assert (waits["b"], waits["c"][0]) == (["a"], "a")
    assert {path.suffix for path in device_queue.folder().iterdir()} == {".lock"}


@pytest.mark.parametrize(
    ("visible", "held"), [("", ["cpu"]), ("-1", ["cpu"]), ("1,0", ["cuda-0", "cuda-1"]), ("GPU-8a/0", ["cuda-GPU-8a-0"]), ("NoDevFiles", ["cpu"])]
)
def test_a_run_holds_the_devices_that_it_may_see(monkeypatch: pytest.MonkeyPatch, visible: str, held: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_queue.devices() == held


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    mine = process.this_process()
    assert mine.is_alive
    assert not process.Process(pid=mine.pid, started_at=mine.started_at - 60, host=mine.host).is_alive
    elsewhere = process.Process(pid=mine.pid, started_at=0.0, host="another")
    assert elsewhere.is_alive  # nobody here can tell
    assert not elsewhere.is_here
    elsewhere.kill_tree()  # nor end it
    assert os.getpid() == mine.pid


def test_only_what_is_marked_as_of_the_run_is_ended(tmp_path: Path) -> None:
    """An orphan of a run goes with it; a stranger in a group of the same number stays."""
    run = str(tmp_path)
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); sys.exit()"
    orphan_of = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, process.RUN_VARIABLE: run}, start_new_session=True)
    stranger_of = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    for each in (orphan_of, stranger_of):
        each.wait()
    groups = {each.pid: [p for p in psutil.process_iter() if _group(p.pid) == each.pid] for each in (orphan_of, stranger_of)}
    assert [len(group) for group in groups.values()] == [1, 1]
    for each in (orphan_of, stranger_of):
        process.Process(pid=each.pid, started_at=0.0, host=process.this_process().host, run=run).kill_tree()
    assert not groups[orphan_of.pid][0].is_running() or groups[orphan_of.pid][0].status() == psutil.STATUS_ZOMBIE
    assert groups[stranger_of.pid][0].status() == psutil.STATUS_SLEEPING
    groups[stranger_of.pid][0].kill()


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def test_a_machine_that_changed_its_name_still_knows_its_runs(tmp_path: Path) -> None:
    mark = str(tmp_path)
    child = subprocess.Popen(["sleep", "60"], env={**os.environ, process.RUN_VARIABLE: mark}, start_new_session=True)
    found = process.Process(pid=child.pid, started_at=0.0, host="its name of yesterday", run=mark)
    assert found.is_here
    assert found.is_alive
    found.kill_tree()
    child.wait(10)
    assert not found.is_here


def test_a_run_of_another_machine_is_dead_when_it_said_nothing_for_long(tmp_path: Path) -> None:
    _make_run(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    elsewhere = asdict(Status(state="running", pid=1, host="another"))
    files.write_json(run.status, elsewhere)
    assert runs.look(run).state == "running"
    with pytest.raises(CallError, match="runs on another"):
        runs.stop(run)
    files.write_json(run.status, elsewhere | {"updated_at": time.time() - 2 * runs.STALE_S})
    with files.locked(run.lock):
        assert runs.look(run).state == "running"
    assert runs.look(run).code == "died"


def test_a_failed_write_of_the_status_spoils_no_later_one(tmp_path: Path) -> None:
    file = StatusFile(RunFolder(tmp_path), Status(state="running"))
    with pytest.raises(ValueError, match="JSON"):
        file.update(best_wer=float("nan"))
    file.update(state="failed")
    assert status.read(RunFolder(tmp_path)).state == "failed"


def test_the_last_lines_of_a_log_are_whole(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert opening.last_lines(run, 3) == []
    lines = [f"{number} {'ä' * 50_000}" for number in range(4)]
    run.log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert opening.last_lines(run, 1) == lines[-1:]
    assert opening.last_lines(run, 3) == lines[-3:]
    assert opening.last_lines(run, 9) == lines


def _make_run(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "settings.yaml").write_text("data: d\n")
    files.write_json(folder / "status.json", asdict(Status()))


def test_runs_are_found_by_path_and_by_name(tmp_path: Path) -> None:
    for name in ("outputs/one", "deep/er/two", "three", "a/same", "b/same", ".hidden/no", "outputs/one/checkpoints/inner"):
        _make_run(tmp_path / name)
    assert {str(run.path.relative_to(tmp_path)) for run in opening.below(tmp_path)} == {"outputs/one", "deep/er/two", "three", "a/same", "b/same"}
    assert opening.find("one", tmp_path).path == tmp_path / "outputs" / "one"
    assert opening.find("two", tmp_path).path == tmp_path / "deep" / "er" / "two"
    assert opening.find(str(tmp_path / "three")).path == tmp_path / "three"
    os.utime(tmp_path / "three" / "settings.yaml", (2e9, 2e9))
    assert opening.find(None, tmp_path).path == tmp_path / "three"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CallError, match="there is no run here"):
        opening.find(None, tmp_path / "empty")
    with pytest.raises(CallError, match="2 runs are called same"):
        opening.find("same", tmp_path)
    with pytest.raises(CallError, match="not a training run"):
        opening.find("four", tmp_path)
