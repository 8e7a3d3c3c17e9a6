"""What is kept of clips on disk: found again, checked, within its budget, and never the reason why something fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from voxtune import files
from voxtune.model import kept_files
from voxtune.model.kept import Kept

KB = 256
"""Numbers of fp32 in a kilobyte."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOXTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _key(number: int) -> str:
    return f"{number:064x}"


def _filled(maker: str, numbers: range, *, budget_bytes: int = 1_000_000, used_at: float | None = None) -> Kept:
    store = Kept(maker, budget_bytes=budget_bytes)
    for number in numbers:
        store.put(_key(number), torch.full((10, KB), float(number)), duration_s=1.5)
        if used_at is not None:
            os.utime(store._file(_key(number)), (used_at + number, used_at + number))
    return store


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_another_process_finds_what_was_kept(kind: torch.dtype) -> None:
    value = torch.randn(3, 375, 16).to(kind)
    Kept("a" * 64, budget_bytes=1_000_000).put(_key(1), value, duration_s=61.25)
    found = Kept("a" * 64, budget_bytes=1_000_000).get(_key(1))
    assert found is not None
    assert torch.equal(found[0], value)
    assert found[0].dtype == kind
    assert found[1] == 61.25
    assert Kept("b" * 64, budget_bytes=1_000_000).get(_key(1)) is None, "of another model"
    assert Kept("a" * 64, budget_bytes=1_000_000).get(_key(2)) is None


def test_nobody_else_may_read_it(folder: Path) -> None:
    _filled("a", range(1))
    assert [file.stat().st_mode & 0o077 for file in folder.rglob("*.safetensors")] == [0]


@pytest.mark.parametrize("damage", ["cut off", "one bit", "nothing in it", "not ours"])
def test_a_damaged_entry_is_none_and_is_made_again(folder: Path, damage: str) -> None:
    _filled("a", range(1))
    (file,) = folder.rglob("*.safetensors")
    data = bytearray(file.read_bytes())
    match damage:
        case "cut off":
            data = data[: len(data) // 2]
        case "one bit":
            data[-5] ^= 1
        case "nothing in it":
            data = bytearray()
        case _:
            data = bytearray(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    file.write_bytes(data)
    store = Kept("a", budget_bytes=1_000_000)
    assert store.get(_key(0)) is None
    store.put(_key(0), torch.ones(4), duration_s=1.0)
    found = Kept("a", budget_bytes=1_000_000).get(_key(0))
    assert found is not None
    assert torch.equal(found[0], torch.ones(4))


def test_the_oldest_goes_first_whatever_model_it_is_of() -> None:
    _filled("a", range(5), used_at=1_000.0)
    _filled("b", range(5, 9), used_at=1_000.0)
    used = kept_files.size_bytes()
    store = Kept("c", budget_bytes=used)  # full to the last byte
    store.put(_key(100), torch.zeros(15 * KB), duration_s=1.0)
    assert not store.full
    assert [number for number in range(5) if Kept("a", budget_bytes=used).get(_key(number)) is None] == [0, 1]
    assert all(Kept("b", budget_bytes=used).get(_key(number)) for number in range(5, 9))
    assert kept_files.size_bytes() <= used + 1_000


def test_what_was_used_is_not_the_oldest() -> None:
    _filled("a", range(3), used_at=1_000.0)
    assert Kept("a", budget_bytes=1_000_000).get(_key(0))
    Kept("b", budget_bytes=kept_files.size_bytes()).put(_key(9), torch.zeros(5 * KB), duration_s=1.0)
    store = Kept("a", budget_bytes=1_000_000)
    assert [bool(store.get(_key(number))) for number in range(3)] == [True, False, True]


def test_a_run_does_not_throw_out_what_it_uses_itself() -> None:
    store = _filled("a", range(30), budget_bytes=105_000)
    assert store.full
    assert [number for number in range(30) if store.get(_key(number))] == list(range(10))


def test_a_full_disk_only_ends_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    store = _filled("a", range(2))
    monkeypatch.setattr(files, "keep", no_room)
    store.put(_key(7), torch.zeros(KB), duration_s=1.0)
    assert store.full == "No space left on device"
    assert store.get(_key(7)) is None
    assert store.get(_key(1))


def test_a_folder_that_cannot_be_made_only_ends_keeping(folder: Path) -> None:
    folder.write_text("a file where the folder would be")
    store = Kept("a", budget_bytes=1_000_000)
    store.put(_key(1), torch.zeros(KB), duration_s=1.0)
    assert store.full
    assert store.get(_key(1)) is None


def test_all_of_it_can_be_deleted(folder: Path) -> None:
    _filled("a", range(3))
    _filled("b", range(3))
    kept_files.clear()
    assert kept_files.size_bytes() == 0
    assert not list(folder.rglob("*.safetensors"))
    kept_files.clear()
