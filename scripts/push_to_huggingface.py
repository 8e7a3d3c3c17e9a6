"""Publish the model of a run: `python scripts/push_to_huggingface.py RUN REPO`, with the flags of `voxtune push model`."""

import sys

from voxtune.cli import run

if __name__ == "__main__":
    sys.exit(run(["push", "model", *sys.argv[1:]]))
