"""Full fine-tuning: `python scripts/train.py --data DATA ...`, with the flags of `voxtune train`."""

import sys

from voxtune.cli import run

if __name__ == "__main__":
    sys.exit(run(["train", "--method", "full", *sys.argv[1:]]))
