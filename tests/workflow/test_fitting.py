"""What is done where memory is estimated to be short. The clips are few: only the estimate is of batches for which this machine has no room."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.command import Command
from voxtune import settings as settings_files
from voxtune.settings import TrainSettings

SIZE = 1 << math.ceil(math.log2(psutil.virtual_memory().available / 12e6))
"""A clip takes 35 MB in a forward pass, and 3 MB while it waits for one."""


@pytest.fixture
def words(demo_part: Callable[[int], Path]) -> tuple[object, ...]:
    small = ("--lora-scope", "language_model", "--epochs", 1, "--no-trackio")
    return ("--data", demo_part(8), "--model", "tiny", "--batch-size", SIZE, "--gradient-accumulation-steps", 1, *small)


def _settings(folder: Path) -> TrainSettings:
    return settings_files.load(folder / "settings.yaml", {})


def _fitted(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "fitted"]


def test_a_new_run_takes_smaller_batches_for_the_same_steps_and_says_so(voxtune: Command, tmp_path: Path, words: tuple[object, ...]) -> None:
    rehearsed = voxtune("train", *words, "--dry-run", "--json").json
    done = voxtune("train", *words, "--output", "run", "--json")
    assert done.code == 0, done.err
    taken = _settings(tmp_path / "run")
    assert taken.batch_size < SIZE
    assert taken.batch_size * taken.gradient_accumulation_steps == SIZE
    (event,) = _fitted(tmp_path / "run")
    assert event["changes"] == {name: getattr(taken, name) for name in event["changes"]}
    assert event["asked"]["batch_size"] == SIZE
    assert event["message"] in " ".join(done.err.split())
    assert event["message"] in (tmp_path / "run" / "train.log").read_text()
    assert done.json["memory"]["total_bytes"] <= 0.9 * done.json["memory"]["available_bytes"]
    assert set(rehearsed["fitted"]) == set(event["changes"])
    assert rehearsed["fits"]
    again = voxtune("train", *words[:-3], "--epochs", 2, "--no-trackio", "--resume", "--output", "run", "--json")
    assert again.code == 0, again.err
    assert _settings(tmp_path / "run") == taken.model_copy(update={"epochs": 2.0})
    assert len(_fitted(tmp_path / "run")) == 1


def test_it_is_left_as_it_was_asked_for_where_that_is_wanted(voxtune: Command, tmp_path: Path, words: tuple[object, ...]) -> None:
    done = voxtune("train", *words, "--no-fit-memory", "--output", "run", "--json")
    assert done.code == 0, done.err
    assert _settings(tmp_path / "run").batch_size == SIZE
    assert _fitted(tmp_path / "run") == []
    assert "it should fit" in done.err
