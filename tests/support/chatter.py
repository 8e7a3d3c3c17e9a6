"""A process that says much: `python -m tests.support.chatter LINES`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        print(f"line {number} {'x' * 60}", flush=True)  # noqa: T201 - it is what it is for
