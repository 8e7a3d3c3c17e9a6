"""The page's own modules, without a page: tests/js by Node's test runner."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from voxtune.studio.routes import STATIC

ROOT = Path(__file__).parent.parent.parent


def test_the_modules_own_tests_pass() -> None:
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI must have Node"
        pytest.skip("no Node on this machine")
    done = subprocess.run([node, "--test", *map(str, sorted((ROOT / "tests" / "js").glob("*.test.mjs")))], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda each: each.name)
def test_people_s_words_enter_the_page_as_text(script: Path) -> None:
    for number, line in enumerate(script.read_text().splitlines(), start=1):
        if "innerHTML" in line and "= ''" not in line:
            assert not re.search(r"\$\{|\+", line.split("innerHTML", 1)[1]), f"{script.name}:{number} makes markup of values"
        assert "eval(" not in line
        assert "document.write" not in line


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda each: each.name)
def test_modules_are_small(script: Path) -> None:
    assert script.read_text().count("\n") <= 300
