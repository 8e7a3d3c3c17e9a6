"""What a process sets before it loads libraries: what a person set stays; and leaving is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def _after(code: str, **environment: str) -> dict[str, object]:
    script = f"import gc, json, os\nfrom voxtune import startup\n{code}\n"
    script += "print(json.dumps({'looks': gc.get_threshold()[0], 'frozen': gc.get_freeze_count(), 'spins': os.environ.get('GOMP_SPINCOUNT')}))"
    bare = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=bare | environment)
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, None)])
def test_threads_spin_as_a_person_said_or_shortly(given: dict[str, str], spins: str | None) -> None:
    assert _after("startup.begin()", **given)["spins"] == spins


def test_garbage_is_looked_for_seldom_and_not_when_leaving() -> None:
    begun = _after("startup.begin()")
    assert begun["looks"] == 50_000
    assert begun["frozen"] == 0
    assert _after("startup.begin()\nstartup.end()")["frozen"] != 0
