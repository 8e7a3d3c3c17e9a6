from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from voxtune.dataset import parallel
from voxtune.errors import CallError, VoxtuneError

ROOT = Path(__file__).parent.parent.parent
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SLOW_S = 0.03


def twice(number: int) -> int:
    return 2 * number


def process_of(_: int) -> int:
    time.sleep(SLOW_S)
    return os.getpid()


def heavy_modules(_: int) -> set[str]:
    return {"torch", "transformers", "gradio"} & set(sys.modules)


def refuse_three(number: int) -> int:
    if number == 3:
        raise CallError("three", hint="Take another.")
    return number


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_processes_give_what_is_given_here_in_the_same_order() -> None:
    numbers = list(range(101))
    assert list(parallel.each(twice, numbers, processes=2)) == list(parallel.each(twice, numbers, processes=1)) == [2 * number for number in numbers]


def test_nothing_to_do_is_done() -> None:
    assert list(parallel.each(twice, [], processes=2)) == []


def test_the_processes_are_others_and_load_nothing_heavy() -> None:
    found = set(parallel.each(process_of, range(32), processes=2))
    assert len(found) == 2
    assert os.getpid() not in found
    assert set().union(*parallel.each(heavy_modules, range(4), processes=2)) == set()


def test_an_error_of_a_task_is_its_own() -> None:
    with pytest.raises(CallError, match="three") as caught:
        list(parallel.each(refuse_three, range(64), processes=2))
    assert caught.value.hint == "Take another."


def test_a_process_that_is_killed_is_told() -> None:
    with pytest.raises(VoxtuneError, match="ended from outside") as caught:
        list(parallel.each(die_at_three, range(64), processes=2))
    assert caught.value.hint


def test_work_that_is_ended_early_leaves_no_process() -> None:
    before = set(psutil.Process().children(recursive=True))
    results = parallel.each(process_of, range(1_000), processes=2)
    worker = next(results)
    assert psutil.pid_exists(worker)
    results.close()
    left = {child for child in psutil.Process().children(recursive=True) if "resource_tracker" not in " ".join(child.cmdline())}
    assert left <= before


def _processes_used(program: list[str], *, count: int) -> tuple[int, set[int]]:
    """The process of a program that asks for the processes of `count` tasks, and those."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *program, str(count)], capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    own, *used = (int(word) for word in done.stdout.split())
    return own, set(used)


PROGRAM = """
import os, sys
from tests.unit.test_parallel import process_of
from voxtune.dataset import parallel
print(os.getpid(), *set(parallel.each(process_of, range(int(sys.argv[1])))))
"""
MANY = round((parallel.START_S + parallel.WORTH_S) / SLOW_S * 1.5)


@pytest.mark.skipif(CORES < 2, reason="one core: there is nothing to share")
def test_by_itself_it_begins_here_and_starts_processes_for_what_takes_long() -> None:
    own, used = _processes_used(["-c", PROGRAM], count=MANY)
    assert own in used
    assert len(used) == min(CORES, parallel.MAX_PROCESSES) + 1


def test_by_itself_it_starts_none_for_what_is_soon_done() -> None:
    own, used = _processes_used(["-c", PROGRAM], count=10)
    assert used == {own}


def test_a_script_that_does_not_guard_its_work_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PROGRAM)
    own, used = _processes_used([str(tmp_path / "script.py")], count=MANY)
    assert used == {own}


def _until(holds: Callable[[], bool], within_s: float = 20.0) -> bool:
    until = time.monotonic() + within_s
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)
    return holds()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_the_one_that_began(how: signal.Signals) -> None:
    program = PROGRAM.replace("int(sys.argv[1])))", "100_000), processes=2)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert _until(lambda: len(psutil.Process(begun.pid).children(recursive=True)) >= 3)  # two, and Python's own keeper of resources
        others = psutil.Process(begun.pid).children(recursive=True)
        time.sleep(0.5)
        if how is signal.SIGINT:
            os.killpg(begun.pid, how)  # as a terminal does it
        else:
            begun.send_signal(how)
        told = begun.communicate(timeout=20)[1]
        assert _until(lambda: not any(other.is_running() and other.status() != psutil.STATUS_ZOMBIE for other in others))
    finally:
        if begun.poll() is None:
            os.killpg(begun.pid, signal.SIGKILL)
    if how is signal.SIGINT:
        assert told.count("KeyboardInterrupt") == 1
