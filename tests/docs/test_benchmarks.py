"""Each benchmark says what it measures and how it is called, and the docs name it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BENCHMARKS = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_tells_what_it_measures_and_starts_nothing_when_asked_for_help(name: str, tmp_path: Path) -> None:
    file = ROOT / "benchmarks" / name
    done = subprocess.run([sys.executable, file, "--help"], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {name}")
    first_words = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split()[:8])
    assert first_words
    assert first_words in " ".join(done.stdout.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_docs_say_how_a_benchmark_is_called(name: str) -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"benchmarks/{name}\b", pages), f"no page of docs/ names benchmarks/{name}"
    listed = re.search(r"\bbenchmarks/ [^`]*", (ROOT / "README.md").read_text())
    assert listed is not None
    assert name in listed.group().split(), f"the README's list of folders lacks {name}"
