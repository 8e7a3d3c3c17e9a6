"""A demo Space for a trained and published model: `python scripts/deploy_demo_space.py RUN REPO ...`, with the flags of `voxtune deploy`."""

import sys

from voxtune.cli import run

if __name__ == "__main__":
    sys.exit(run(["deploy", *sys.argv[1:]]))
