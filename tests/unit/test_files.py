from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from voxtune import files
from voxtune.errors import DiskFullError, InUseError


def test_a_failed_write_leaves_the_previous_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"one": 1})
    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*args: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(files.os if call == "fsync" else files.Path, call, fail)
            with pytest.raises(DiskFullError, match="the disk is full"):
                files.write_json(target, {"two": 2})
        assert json.loads(target.read_text()) == {"one": 1}
        assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.new_folder(tmp_path / "out") as partial:
        files.put(partial / "x" / "y", (tmp_path / "not there").read_bytes())
    assert list(tmp_path.iterdir()) == []
    with files.new_folder(tmp_path / "out") as partial:
        files.put(partial / "x" / "y", b"1")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "x" / "y").read_bytes() == b"1"
    with pytest.raises(InUseError), files.new_folder(tmp_path / "out"):
        pass


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model"
    with files.replaced_folder(target) as partial:
        files.put(partial / "x", b"old")
    with pytest.raises(FileNotFoundError), files.replaced_folder(target) as partial:
        files.put(partial / "x", (tmp_path / "not there").read_bytes())
    with monkeypatch.context() as patch:
        rename = Path.rename

        def fail(self: Path, other: Path) -> Path:
            if other == target and self.name.startswith(files.PARTIAL):
                raise OSError(5, "Input/output error")
            return rename(self, other)

        patch.setattr(files.Path, "rename", fail)
        with pytest.raises(OSError, match="Input/output"), files.replaced_folder(target) as partial:
            files.put(partial / "x", b"new")
    assert (target / "x").read_bytes() == b"old"
    target.rename(tmp_path / f"{files.FORMER}model")  # killed between the two renames
    files.sweep(tmp_path)
    assert (target / "x").read_bytes() == b"old"
    with files.replaced_folder(target) as partial:
        files.put(partial / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "x").read_bytes() == b"new"


def test_not_a_number_is_never_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def _append(path: Path, writer: int) -> None:
    for number in range(200):
        files.append_line(path, {"writer": writer, "number": number, "fill": "x" * 500})


def test_lines_of_several_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append, args=(path, writer)) for writer in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((row["writer"], row["number"]) for row in rows) == [(writer, number) for writer in range(3) for number in range(200)]
