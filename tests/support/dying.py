"""Work that is killed at a chosen moment: in a process of its own, made by a server that has torch loaded already."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["voxtune.training.work", "voxtune.dataset.store", __name__])

SYSTEM_CALLS = ("open", "write", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "ftruncate")
"""Where a write can be cut off: after each of them the disk is another."""


class Moment:
    """Counts moments and ends this process without warning at the chosen one."""

    def __init__(self, die_at: int | None, report: Path, by: signal.Signals = signal.SIGKILL) -> None:
        self._die_at = die_at
        self._by = by
        self._report = report
        self.count = 0

    def passes(self) -> None:
        """One more moment has come."""
        self.count += 1
        if self.count == self._die_at:
            os.kill(os.getpid(), self._by)

    def end(self) -> None:
        """Nothing killed the work: leave how many moments there were."""
        self._report.write_text(str(self.count))


def around(moment: Moment, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call with a moment before and one after it."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        moment.passes()
        result = call(*args, **kwargs)
        moment.passes()
        return result

    return wrapped


@contextlib.contextmanager
def at_system_calls(moment: Moment) -> Iterator[None]:
    """A moment before and after each call that changes the disk, and half-way through what is written through a stream."""
    before = {name: getattr(os, name) for name in SYSTEM_CALLS}
    before_stream = os.fdopen

    def half_written(*args: Any, **kwargs: Any) -> Any:
        stream = before_stream(*args, **kwargs)
        write = stream.write

        class Halves:
            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *error: object) -> None:
                stream.close()

            def write(self, data: bytes) -> int:
                write(data[: len(data) // 2])
                stream.flush()
                moment.passes()
                write(data[len(data) // 2 :])
                return len(data)

        return Halves()

    try:
        for name, call in before.items():
            setattr(os, name, around(moment, call))
        os.fdopen = half_written  # type: ignore[assignment]
        yield
    finally:
        for name, call in before.items():
            setattr(os, name, call)
        os.fdopen = before_stream


def _die_in_call(work: Callable[..., None], arguments: tuple[Any, ...], die_at: int | None, report: Path) -> None:
    moment = Moment(die_at, report)
    with at_system_calls(moment):
        work(*arguments)
    moment.end()


def killed_at_every_call(work: Callable[..., None], prepare: Callable[[Path], tuple[Any, ...]], folder: Path) -> Iterator[Path]:
    """Do `work` in fresh folders, killed at its first system call, its second, and so on until it comes through; gives each folder as it was left."""
    number = 0
    while True:
        number += 1
        place = folder / f"{number}"
        place.mkdir(parents=True)
        report = folder / f"{number}.done"
        process = _context.Process(target=_die_in_call, args=(work, prepare(place), number, report))
        process.start()
        process.join(60)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"it hangs at call {number}")
        assert process.exitcode in (0, -signal.SIGKILL), f"exit code {process.exitcode} at call {number}"
        yield place
        shutil.rmtree(place)
        if process.exitcode == 0:
            assert report.exists()
            return


def _train(run: Path, where: str, die_at: int | None, report: Path, environment: dict[str, str]) -> None:
    """Work on a run as its process does, killed at a moment of one kind: in a step, a validation, a save or a pruning; or asked to stop in a step."""
    os.environ.update(environment)
    log = os.open(run / "train.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)

    import torch

    from voxtune.training import checkpoints, process, status, worker
    from voxtune.training.trainer import VoxtralTrainer
    from voxtune.workspace import RunFolder

    torch.set_num_threads(1)
    moment = Moment(die_at, report, signal.SIGTERM if where == "stop" else signal.SIGKILL)

    def inside(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with at_system_calls(moment):
                return call(*args, **kwargs)

        return wrapped

    match where:
        case "step" | "stop":
            VoxtralTrainer.training_step = around(moment, VoxtralTrainer.training_step)  # type: ignore[method-assign]
        case "validation":
            from transformers import VoxtralForConditionalGeneration

            VoxtralForConditionalGeneration.generate = around(moment, VoxtralForConditionalGeneration.generate)
        case "save":
            checkpoints.write = inside(checkpoints.write)
        case "prune":
            checkpoints.prune = inside(checkpoints.prune)
    folder = RunFolder(run)
    status.StatusFile(folder, status.read(folder)).taken_by(process.this_process())
    code = worker.main(str(run), "--no-queue")
    moment.end()
    os._exit(code)


def train(run: Path, *, where: str = "", die_at: int | None = None, environment: dict[str, str]) -> int:
    """Train a queued run in a process that dies at the chosen moment; gives its exit code (-9 if it was killed)."""
    process = _context.Process(target=_train, args=(run, where, die_at, run / "moments", environment))
    process.start()
    process.join(300)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("it hangs")
    return process.exitcode
