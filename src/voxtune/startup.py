"""What a process of ours sets for itself before it loads any library, and before it leaves."""

from __future__ import annotations

import gc
import os

_NEW_OBJECTS = 50_000
"""Between two looks for garbage: while 3,700 modules are loaded, Python's usual 700 cost a seventh of the time (docs/performance.md)."""


def begin() -> None:
    """Make loading quick, libraries quiet, and threads not spin; settings that are there already stay."""
    gc.set_threshold(_NEW_OBJECTS)
    # Their chatter belongs in train.log, and a fork's warning helps nobody here.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if "OMP_WAIT_POLICY" not in os.environ:
        # torch's threads spin while they wait for each other, 300,000 times: where anything else is at work, that makes it many times slower.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def end() -> None:
    """Make leaving quick: the system takes all memory back, and looking through it for garbage first costs a second where torch was loaded."""
    gc.freeze()
