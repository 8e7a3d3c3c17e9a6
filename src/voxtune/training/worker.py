"""The process of a run: `python -m voxtune.training.worker RUN`, started by `runs` and by nobody else."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from voxtune import files, startup
from voxtune.errors import InUseError
from voxtune.training import device_queue, failures, opening
from voxtune.training import status as status_file
from voxtune.training.status import ACTIVE, StatusFile
from voxtune.training.stopping import Stopped, StopRequest
from voxtune.workspace import RunFolder

_HANDOVER_S = 30.0


def main(folder: str, *options: str) -> int:
    """Work on the run in `folder`, when it is its turn. Gives the exit code: 0 if the run stopped or finished."""
    startup.begin()
    run = RunFolder(Path(folder))
    try:
        with files.locked(run.lock, wait_s=_HANDOVER_S):
            status = StatusFile(run, status_file.read(run))
            if status.now.state != "queued" or status.now.pid != os.getpid():
                return 1  # taken by another meanwhile
            _work(run, status, queue="--no-queue" not in options)
            return 0 if status.now.state in ("stopped", "finished") else 1
    except InUseError:
        return 1


def _work(run: RunFolder, status: StatusFile, *, queue: bool) -> None:
    stop = StopRequest()
    try:
        stop.listen()
        devices = device_queue.devices()
        status.update(device=", ".join(devices))
        with _turn(run, status, devices) if queue else contextlib.nullcontext():
            status.update(waits_for="")
            from voxtune.training.work import work  # only now: what waits in line takes no memory

            work(run, status, stop)
    except Stopped:
        hint = f"Go on with --resume --output {run.shell}."
        status.update(state="stopped", stage="", waits_for="", message="stopped before it began", hint=hint)
    finally:
        if status.now.state in ACTIVE:  # an error on its way up from outside the work itself
            told = failures.tell(sys.exception(), lambda: None, place=run)
            status.update(state="failed", stage="", **told.as_status(), last_lines=opening.last_lines(run))


@contextlib.contextmanager
def _turn(run: RunFolder, status: StatusFile, devices: Sequence[str]) -> Iterator[None]:
    """Wait for the devices; where no line can be kept (a home that cannot be written to), go on without one."""
    with contextlib.ExitStack() as line:
        try:
            line.enter_context(device_queue.turn(devices, str(run.path), waiting=lambda who: status.update(waits_for=who)))
        except OSError as error:
            print(f"no line is kept for the device, and this run does not wait: {error}", file=sys.stderr)  # noqa: T201 - to the run's log
        yield


if __name__ == "__main__":
    ended = main(*sys.argv[1:])
    startup.end()
    sys.exit(ended)
