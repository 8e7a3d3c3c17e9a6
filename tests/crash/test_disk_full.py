"""A full disk, at fifty sizes: what was there stays whole, the error says what is needed, and with room again it works (reliability 10)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import disks
from tests.support.clips import write_dataset
from voxtune import files
from voxtune.dataset import store, transcripts
from voxtune.errors import DiskFullError
from voxtune.training import checkpoints, events

STEPS = 50


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Small disks of a given size in bytes, empty each time."""
    place = tmp_path / "disk"

    def make(size_bytes: int) -> Path:
        disks.mount(place, str(max(4096, size_bytes)))  # a size of 0 would be none at all
        return place

    yield make
    disks.unmount(place)


def _tree(folder: Path) -> dict[str, str]:
    shown = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in shown}


def _refused(work: Callable[[Path], None], place: Path) -> DiskFullError | None:
    try:
        work(place)
    except DiskFullError as error:
        return error
    return None


def _sweep(disk: Callable[[int], Path], before: Callable[[Path], None], need_bytes: int, work: Callable[[Path], None], whole: Callable[[Path], None]) -> None:
    full = 0
    for number in range(STEPS):
        place = disk(round(2 * need_bytes * number / STEPS) + 64 * 1024)
        before(place)
        ballast = place / "ballast"
        room = round(2 * need_bytes * number / STEPS)
        ballast.write_bytes(bytes(max(0, files.free_bytes(place) - room)))
        kept = _tree(place)
        error = _refused(work, place)
        if error is not None:
            full += 1
            assert error.have_bytes <= 2 * need_bytes
            now = _tree(place)
            assert {name: now.get(name) for name in kept} == kept, f"changed with {room} bytes of room"
            assert set(now) == set(kept), f"left half a file with {room} bytes of room"
            ballast.unlink()
            disks.grow(place, str(16 * need_bytes + (1 << 20)))
            work(place)
        whole(place)
    assert STEPS / 5 < full < STEPS, f"the disk was full {full} times"


def test_a_report(disk: Callable[[int], Path]) -> None:
    report = {"clips": ["a sentence that was heard"] * 4_000}

    def whole(place: Path) -> None:
        assert len((place / "report.json").read_bytes()) > 100_000

    _sweep(disk, lambda place: (place / "other.json").write_text("{}") and None, 140_000, lambda place: files.write_json(place / "report.json", report), whole)


def test_a_line_of_events(disk: Callable[[int], Path]) -> None:
    def before(place: Path) -> None:
        files.append_line(place / "events.jsonl", {"step": 0})

    def work(place: Path) -> None:
        files.append_line(place / "events.jsonl", {"step": 1, "samples": "x" * 60_000})

    def whole(place: Path) -> None:
        assert [event["step"] for event in events.read(place / "events.jsonl")[0]] == [0, 1]

    _sweep(disk, before, 60_000, work, whole)


def test_a_dataset(disk: Callable[[int], Path], tmp_path: Path) -> None:
    write_dataset(tmp_path / "source", ["one", "two", "three", "four"])
    clips = transcripts.pair(transcripts.find_audio([tmp_path / "source" / "wavs"]), tmp_path / "source" / "data.jsonl")

    def whole(place: Path) -> None:
        assert len(store.load(place / "made").clips) == 4

    _sweep(disk, lambda place: None, 100_000, lambda place: store.create(clips, place / "made", language="en") and None, whole)


def test_a_checkpoint(disk: Callable[[int], Path]) -> None:
    def fill(partial: Path) -> None:
        for number in range(5):
            (partial / f"part-{number}").write_bytes(os.urandom(40_000))

    def before(place: Path) -> None:
        checkpoints.write(place, 1, lambda partial: (partial / "weights").write_bytes(b"w") and None)

    def whole(place: Path) -> None:
        assert [checkpoints.flaw(path) for path in checkpoints.found(place).values()] == ["", ""]

    _sweep(disk, before, 230_000, lambda place: checkpoints.write(place, 2, fill) and None, whole)
