"""benchmarks/gpu_shapes.py, whose figures are for a GPU: that it counts right and gets to its end, with the tiny model on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.shapes import checking, telling
from benchmarks.shapes.parts import FULL, SCOPES, USUAL, settings_of

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "gpu_shapes.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def _run(*words: object) -> str:
    command = [sys.executable, SCRIPT, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_operations_are_counted_as_torch_counts_them() -> None:
    ways = {name: settings_of("tiny", name) for name in (*SCOPES, FULL[1])}
    ratios = checking.ratios(ways, settings_of("tiny", USUAL))
    assert len(ratios) == 5
    assert ratios == {name: pytest.approx(1, abs=0.05) for name in ratios}


def test_it_measures_the_tiny_model_and_tells_what_it_could_not(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    few = ("--batches", 1, 2, "--generate-batches", 2, "--tokens", 4, "--repeats", 1)
    parts = ("ceiling", "usual", "same", "language model", "qlora", "processor", "generation")
    printed = _run("--model-shape", "tiny", "--device", "cpu", *few, "--json", file, "--parts", *parts)
    found = json.loads(file.read_text())

    steps = {(row["part"], row["clips"], row["together"]): row for row in found["steps"]}
    alike = [(f"language model, as the {USUAL}", 8, 2), (f"language model, as the {USUAL}", 8, 8)]
    assert list(steps) == [(USUAL, 8, 2), *alike, *(("language model", clips, clips) for clips in (1, 2))]
    for row in steps.values():
        assert row["clips_per_s"] == pytest.approx(row["clips"] / row["seconds"])
        assert row["utilisation"] == pytest.approx(row["flops"] / row["seconds"] / found["ceiling"])
        assert row["reserved_bytes"] is None
    # Without the tower's; and 8 clips in one pass have padding that passes of 2 have not.
    assert steps[USUAL, 8, 2]["flops"] > 2 * steps[alike[0]]["flops"]
    assert steps[alike[0]]["flops"] <= steps[alike[1]]["flops"]
    assert found["hearing_s"]["language model"] > 0

    for seen in found["profiles"].values():
        assert sum(seen["kinds"].values()) == pytest.approx(1)
        assert min(seen["kinds"].values()) >= -1e-9
        assert len(seen["kernels"]) == 12
    assert [(row["clips"], row["cache"]) for row in found["generation"]] == [(2, "dynamic"), (2, "static")]
    assert found["processor"]["request"] > found["processor"]["ours"] > 0

    if not torch.cuda.is_available():
        assert {each["part"] for each in found["skipped"]} == {"qlora"}
        assert "qlora: SettingsError: load_in_4bit needs an NVIDIA GPU" in printed
    assert "target: at least 4 times" in printed
    assert telling.report(found) in printed


def test_what_there_is_no_time_for_is_told(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    printed = _run("--model-shape", "tiny", "--device", "cpu", "--budget-s", 0, "--json", file)
    assert "- ceiling: --budget-s 0 was spent" in printed
    assert json.loads(file.read_text())["steps"] == []
