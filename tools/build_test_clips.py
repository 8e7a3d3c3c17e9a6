"""Make tests/data/espeak from nothing: commands that the tiny model was not trained on, in voices that it knows. Needs espeak-ng."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from tiny_voxtral import speech

FOLDER = Path(__file__).parent.parent / "tests" / "data" / "espeak"
NUM_CLIPS, SEED = 30, 4_321


def main() -> None:
    """Speak and write FLAC with metadata.csv (LJSpeech's layout)."""
    (FOLDER / "wavs").mkdir(parents=True, exist_ok=True)
    jobs = speech.plan_unseen(NUM_CLIPS, seed=SEED)
    for number, wave in enumerate(speech.speak(jobs), start=1):
        (FOLDER / "wavs" / f"espeak-{number:02d}.flac").write_bytes(speech.flac(wave))
    (FOLDER / "metadata.csv").write_text("".join(f"espeak-{number:02d}|{text}|{text}\n" for number, (text, _) in enumerate(jobs, start=1)))


if __name__ == "__main__":
    main()
