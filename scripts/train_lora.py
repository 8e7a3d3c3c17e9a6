"""LoRA fine-tuning: `python scripts/train_lora.py --data DATA ...`, with the flags of `voxtune train`."""

import sys

from voxtune.cli import run

if __name__ == "__main__":
    sys.exit(run(["train", "--method", "lora", *sys.argv[1:]]))
