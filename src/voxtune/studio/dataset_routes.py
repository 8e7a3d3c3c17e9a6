"""Addresses of the dataset step: what was recorded, worst first, the dataset made of it, and downloads by one-time tickets."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from voxtune import files
from voxtune.dataset import archive, recorded
from voxtune.dataset.store import read_about
from voxtune.errors import CallError
from voxtune.recordings.quality import WORST_FIRST
from voxtune.recordings.takes import Take
from voxtune.studio.access import Gate, Room
from voxtune.studio.recording_routes import take_json
from voxtune.studio.routes import json_body, route
from voxtune.studio.tickets import VALID_S, Tickets
from voxtune.workspace import DATA_FILE, DATASET_FILE


def routes(gate: Gate) -> list[BaseRoute]:
    """All of them."""
    tickets = Tickets()

    async def look(request: Request, room: Room) -> Any:
        return await run_in_threadpool(dataset_json, room)

    async def ticket(request: Request, room: Room) -> Any:
        layout = str((await json_body(request)).get("format", ""))
        return {"url": f"vx/download/{tickets.issue(await run_in_threadpool(_packed, room, layout))}"}

    async def download(request: Request) -> Response:
        file = None if request.method == "HEAD" else tickets.redeem(request.path_params["ticket"])
        if file is None:
            return PlainTextResponse("This download was used already, or has waited too long. Start it again in the studio.", 410)
        left = BackgroundTask(shutil.rmtree, file.parent, ignore_errors=True)
        return FileResponse(file, media_type="application/zip", filename=file.name, headers={"Cache-Control": "no-store"}, background=left)

    return [
        route(gate, "dataset", look),
        route(gate, "dataset", _make, method="POST"),
        route(gate, "dataset/ticket", ticket, method="POST"),
        Route("/vx/download/{ticket}", download),
    ]


async def _make(request: Request, room: Room) -> Any:
    def done() -> dict[str, Any]:
        make(room)
        return dataset_json(room)

    return await run_in_threadpool(done)


def make(room: Room) -> dict[str, Any]:
    """Make the dataset of a room from what counts of its takes; gives what dataset.json holds."""
    sources: dict[str, Mapping[str, str]] = {}
    for language in sorted({take.language for take in room.takes.kept().values()}):
        if (reading := room.reading.of(language)) is not None:
            sources.update(reading.sources)
    return recorded.make(room.folder, sources=sources)


def is_current(room: Room) -> bool:
    """Whether there is a dataset of exactly the takes that count, as they are now."""
    takes = list(room.takes.all().values())
    return _is_made(room) and _texts(_kept(room, takes)) == _recorded_in(room, takes)


def dataset_json(room: Room) -> dict[str, Any]:
    """The dataset and what it is made of, as the page takes it."""
    takes = list(room.takes.all().values())
    kept, listed, sides = _kept(room, takes), _recorded_in(room, takes), recorded.sides(room.folder)
    made = _is_made(room)
    imported = len(recorded.in_dataset(room.folder)) - len(listed)
    about = read_about(room.folder.path / DATASET_FILE) if made else {}

    def row(take: Take) -> dict[str, Any]:
        more = {"phrase": take.phrase, "text": take.text, "source": take.source, "language": take.language, "trashed": take.trashed}
        return {**take_json(take, takes), **more, "split": sides.get(take.file) if take.file in listed else None}

    trash = [take for take in takes if take.trashed and room.takes.path(take).is_file()]
    return {
        "made": made,
        "stale": made and _texts(kept) != listed,
        "num_clips": len(kept) + imported,
        "duration_s": round(sum(take.judgement.duration_s for take in kept), 2) if not imported else about.get("duration_s", 0.0),
        "languages": sorted({take.language for take in kept} | set(about.get("languages", []) if imported else [])),
        "counts": about.get("split", {}).get("counts", {"train": 0, "validation": 0, "test": 0}),
        "rows": [row(take) for take in sorted(kept, key=_worst_first)],
        "trash": [row(take) for take in sorted(trash, key=lambda take: take.key, reverse=True)],
    }


def _is_made(room: Room) -> bool:
    return (room.folder.path / DATA_FILE).is_file()


def _kept(room: Room, takes: list[Take]) -> list[Take]:
    return [take for take in room.takes.kept(takes).values() if room.takes.path(take).is_file()]


def _recorded_in(room: Room, takes: list[Take]) -> dict[str, str]:
    """What data.jsonl has of takes; clips that were imported are what they are."""
    files_of = {take.file for take in takes}
    return {name: text for name, text in recorded.in_dataset(room.folder).items() if name in files_of}


def _texts(takes: list[Take]) -> dict[str, str]:
    return {take.file: take.text for take in takes}


def _worst_first(take: Take) -> tuple[int, float, str]:
    judgement = take.judgement
    rank = len(WORST_FIRST) if take.is_good else WORST_FIRST.index(judgement.problems[0])
    return rank, float("inf") if judgement.snr_db is None else judgement.snr_db, take.key


def _packed(room: Room, layout: str) -> Path:
    """A room's dataset as a ZIP in a folder of its own. Raises VoxtuneError for what cannot be packed."""
    if not _is_made(room):
        raise CallError("there is no dataset yet.", hint="Create it first.")
    downloads = room.workspace.downloads
    with files.locked(downloads.with_suffix(".lock"), wait_s=VALID_S):
        files.sweep(downloads)
        for folder in downloads.iterdir() if downloads.is_dir() else ():
            if time.time() - folder.stat().st_mtime > VALID_S:  # nobody fetched it in time
                shutil.rmtree(folder, ignore_errors=True)
        return archive.pack(room.folder.path, downloads / secrets.token_hex(8), layout=layout)
