"""What loading and leaving cost a command that trains or transcribes, with and without what voxtune does about it. `python benchmarks/starting.py`.

Each variant is a process of its own that loads what a run needs (torch, transformers, peft) and ends; they take turns, and the medians are printed. Python
looks for garbage whenever 700 objects more than before are there, and once more, through everything, when it ends; voxtune.startup has it look
after 50,000, and not at the end.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

LOAD = "import voxtune.training.work"
TELL = "import time; print(time.time(), flush=True)"
VARIANTS = {
    "as Python does it": f"{LOAD}; {TELL}",
    "as voxtune does it": f"from voxtune import startup; startup.begin(); {LOAD}; startup.end(); {TELL}",
}


@dataclass(frozen=True)
class Took:
    """Seconds."""

    loading: float
    leaving: float


def _once(code: str) -> Took:
    began = time.time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended, loaded = time.time(), float(done.stdout)
    return Took(loading=loaded - began, leaving=ended - loaded)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    found: dict[str, list[Took]] = {name: [] for name in VARIANTS}
    for turn in range(options.turns + 1):
        for name, code in VARIANTS.items():
            took = _once(code)
            if turn:  # the first one reads the files from the disk
                found[name].append(took)
    print("| | loading, s | leaving, s |\n|---|---|---|")
    medians = {name: (statistics.median(each.loading for each in took), statistics.median(each.leaving for each in took)) for name, took in found.items()}
    for name, (loading, leaving) in medians.items():
        print(f"| {name} | {loading:.2f} | {leaving:.2f} |")
    plain, ours = (sum(each) for each in medians.values())
    print(f"\nTogether {plain / ours:.2f} times as fast.")


if __name__ == "__main__":
    main()
