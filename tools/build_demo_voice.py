"""Make examples/demo_voice from nothing: `python tools/build_demo_voice.py [--output DIR]`. Needs Debian's flite.

The voice is flite's `awb`, a Scottish speaker whom the tiny model (espeak-ng voices only) has never heard. Pace, level and a little
room noise differ from clip to clip, as they would with a person.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from tiny_voxtral import speech
from voxtune.phrases import practice

PACKAGED = Path(__file__).parent.parent / "examples" / "demo_voice"
VOICE, NUM_CLIPS, SEED = "awb", 120, 2026


def main() -> None:
    """Speak, disturb a little, write FLAC and metadata.csv (LJSpeech's layout)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=PACKAGED)
    parser.add_argument("--voice", default=VOICE)
    options = parser.parse_args()
    rng = random.Random(SEED)
    noise = np.random.default_rng(SEED)
    (options.output / "wavs").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, text in enumerate(practice.sentences(NUM_CLIPS, seed=SEED), start=1):
        wave = speech.flite(text, options.voice, stretch=rng.uniform(0.92, 1.12))
        wave = np.pad(wave, (rng.randint(1_500, 6_000), rng.randint(1_500, 6_000)))
        wave = wave / np.abs(wave).max() * rng.uniform(0.25, 0.8)
        wave = wave + noise.standard_normal(len(wave)) * 10 ** rng.uniform(-3.4, -2.8)
        name = f"demo-{number:03d}"
        (options.output / "wavs" / f"{name}.flac").write_bytes(speech.flac(wave.astype(np.float32)))
        lines.append(f"{name}|{text}|{text}\n")
    (options.output / "metadata.csv").write_text("".join(lines))


if __name__ == "__main__":
    main()
