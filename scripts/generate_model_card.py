"""The model card of a run: `python scripts/generate_model_card.py RUN`, with the flags of `voxtune card`."""

import sys

from voxtune.cli import run

if __name__ == "__main__":
    sys.exit(run(["card", *sys.argv[1:]]))
