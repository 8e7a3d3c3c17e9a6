"""A run begun from the page, once however often it is asked for."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import threading
import time
from pathlib import Path

from voxtune import versions
from voxtune.errors import TrainingError, VoxtuneError
from voxtune.settings import TrainSettings
from voxtune.studio import elsewhere, evaluations
from voxtune.studio.access import Room
from voxtune.studio.children import command
from voxtune.studio.listening import LISTENER
from voxtune.training import opening, runs
from voxtune.training.status import ACTIVE
from voxtune.workspace import DATA_FILE, RunFolder

_STARTING_S = 300.0
_starting = threading.Lock()


def start(room: Room, settings: TrainSettings) -> RunFolder:
    """The run of these settings on the dataset as it is: a new one, or the one that is at work on exactly that already.

    So a double click, a second page and a request that a browser sends again all give one run; when it has ended, asking again
    begins another. Raises what `runs.start` raises, MissingDependencyError where training is not installed.
    """
    versions.check()
    evaluations.refuse_if_evaluating(room)
    LISTENER.make_room()
    # One server answers one workspace's pages, so a lock of this process is enough.
    with _starting:
        mark = _mark(room, settings)
        number = 0
        for run in opening.below(room.workspace.outputs):
            request, active = _request_of(run)
            if not request.startswith(mark):
                continue
            if active:
                return run
            number = max(number, int(request.removeprefix(f"{mark}-") or 0))
        name = f"{name_of(settings)}-{time.strftime('%Y%m%d-%H%M%S')}"
        named = settings.model_copy(update={"output": opening.free(room.workspace.outputs / name)})
        return _begin(named, f"{mark}-{number + 1}", room)


def _begin(settings: TrainSettings, request_id: str, room: Room) -> RunFolder:
    if not settings.load_in_4bit:
        return runs.start(settings, request_id=request_id)
    # Whether 4 bits can be had is asked of torch, and torch is not loaded here: a process of its own makes this run.
    words = [word for each in elsewhere.flags(settings) for word in each]
    started = [*command("voxtune"), "train", "--detach", "--json", "--request-id", request_id, *words]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        started, cwd=room.workspace.path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_STARTING_S, check=False
    )
    if done.returncode:
        lines = [line.removeprefix("Error: ") for line in done.stderr.splitlines() if line.strip()]
        raise TrainingError(" ".join(lines[-2:]) or "the run did not begin.", hint="`voxtune doctor` says what this machine lacks.")
    return RunFolder(Path(json.loads(done.stdout)["output"]))


def _mark(room: Room, settings: TrainSettings) -> str:
    """Of the settings and the dataset together."""
    digest = hashlib.sha256(settings.model_copy(update={"output": None}).model_dump_json().encode())
    digest.update((room.folder.path / DATA_FILE).read_bytes() if (room.folder.path / DATA_FILE).is_file() else b"")
    return f"studio-{digest.hexdigest()[:24]}"


def _request_of(run: RunFolder) -> tuple[str, bool]:
    """(the request that made a run, whether it is at work)."""
    try:
        now = runs.look(run)
    except (VoxtuneError, OSError):
        return "", False  # damaged, or gone meanwhile
    return now.request_id, now.state in ACTIVE


def name_of(settings: TrainSettings) -> str:
    """How a run folder's name begins: model and method."""
    model = re.sub(r"[^\w.-]", "-", settings.model.rstrip("/").rsplit("/", 1)[-1])[:60]
    return f"{model}-{settings.method}"


def is_busy(room: Room) -> bool:
    """Whether a run of this workspace is at work, or waits to be."""
    return any(_request_of(run)[1] for run in opening.below(room.workspace.outputs))
