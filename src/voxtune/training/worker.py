"""The process of a run: `python -m voxtune.training.worker RUN`, started by `runs` and by nobody else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from voxtune import files
from voxtune.errors import InUseError
from voxtune.training import device_queue
from voxtune.training import status as status_file
from voxtune.training.status import StatusFile
from voxtune.training.stopping import Stopped, StopRequest
from voxtune.workspace import RunFolder

_HANDOVER_S = 30.0


def main(folder: str, *options: str) -> int:
    """Work on the run in `folder`, when it is its turn. Gives the exit code: 0 if the run stopped or finished."""
    run = RunFolder(Path(folder))
    stop = StopRequest()
    stop.listen()
    try:
        with files.locked(run.lock, wait_s=_HANDOVER_S):
            status = StatusFile(run, status_file.read(run))
            if status.now.state != "queued" or status.now.pid != os.getpid():
                return 1  # taken by another meanwhile
            return _work(run, status, stop, queue="--no-queue" not in options)
    except InUseError:
        return 1


def _work(run: RunFolder, status: StatusFile, stop: StopRequest, *, queue: bool) -> int:
    device = device_queue.this_device()
    status.update(device=device)
    try:
        if queue:
            with device_queue.turn(device, str(run.path), waiting=lambda who: status.update(waits_for=who)):
                _do(run, status, stop)
        else:
            _do(run, status, stop)
    except Stopped:
        status.update(state="stopped", stage="", waits_for="", message="stopped before it began", hint=f"Go on with --resume --output {run.path}.")
    return 0 if status.now.state in ("stopped", "finished") else 1


def _do(run: RunFolder, status: StatusFile, stop: StopRequest) -> None:
    status.update(waits_for="")
    from voxtune.training.work import work  # only now: what waits in line takes no memory

    work(run, status, stop)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
