"""Does augmentation pay? WER on held-out sentences by `--augment`. `python benchmarks/augmentation.py [--voices awb slt pl] [--seeds 0 1 2] [--clips 10 96]`.

Every strength gets the same clips, the same number of optimizer steps and everything else as by default, so that a line differs from `off` in nothing but
`--augment`. A seed draws the training clips and seeds the run; validation and test sentences are the same for all. Voices are flite's (awb, slt, rms) or
espeak-ng's for other languages, reading English with their own sounds (pl, de): the tiny model knows espeak-ng's English voices already. Needs Debian's flite
and espeak-ng. With `--folder` the runs stay, and a later call goes on where this one ended. Hours on two cores: `--seeds 0 --voices awb` is a first look.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from tiny_voxtral import speech  # noqa: E402 - the tools are no package that could be installed
from voxtune.phrases import practice  # noqa: E402

STRENGTHS = ("off", "light", "strong")
FLITE_VOICES = ("awb", "slt", "rms", "kal", "kal16")
NUM_TEST, NUM_VALIDATION, NUM_POOL, SEED = 100, 10, 192, 2026
CLIPS_A_STEP = 8
VALIDATIONS = 8


@dataclass(frozen=True)
class Case:
    """What one training run is about; strengths are compared within the same voice, seed and number of clips."""

    voice: str
    seed: int
    clips: int


@dataclass(frozen=True)
class Found:
    """What came of one run."""

    base_wer: float
    wer: float
    best_step: int
    seconds: float


def _run(*words: object) -> Any:
    done = subprocess.run([sys.executable, "-m", "voxtune", *map(str, words), "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def _speak(folder: Path, voice: str) -> list[str]:
    """Every sentence in one voice, at a pace, a level and with a noise of room that differ from clip to clip as with a person."""
    texts = practice.sentences(NUM_TEST + NUM_VALIDATION + NUM_POOL, seed=SEED)
    rng, noise = random.Random(SEED), np.random.default_rng(SEED)
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        slower = rng.uniform(0.92, 1.12)
        english = speech.Voice(name=voice, speed_wpm=round(150 / slower), pitch=50, gap_10ms=0)
        wave = speech.flite(text, voice, stretch=slower) if voice in FLITE_VOICES else speech.espeak(text, english)
        wave = np.pad(wave, (rng.randint(1_500, 6_000), rng.randint(1_500, 6_000)))
        wave = wave / np.abs(wave).max() * rng.uniform(0.25, 0.8)
        wave = wave + noise.standard_normal(len(wave)) * 10 ** rng.uniform(-3.4, -2.8)
        (folder / "wavs" / f"{number:03d}.flac").write_bytes(speech.flac(wave.astype(np.float32)))
    return texts


def _dataset(folder: Path, case: Case, texts: list[str]) -> Path:
    numbers = list(range(len(texts)))
    random.Random(SEED).shuffle(numbers)
    test, validation, pool = numbers[:NUM_TEST], numbers[NUM_TEST : NUM_TEST + NUM_VALIDATION], numbers[NUM_TEST + NUM_VALIDATION :]
    random.Random(case.seed).shuffle(pool)
    sides = {"train": pool[: case.clips], "validation": validation, "test": test}
    rows = [
        {"audio_path": f"wavs/{number:03d}.flac", "text": texts[number], "language": "en", "split": side} for side, found in sides.items() for number in found
    ]
    file = folder / f"{case.seed}-{case.clips}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _train(data: Path, run: Path, case: Case, strength: str, steps: int) -> Found:
    if not (run / "report.json").exists():
        shutil.rmtree(run, ignore_errors=True)  # of an earlier call that was ended
        steps_an_epoch = -(-case.clips // CLIPS_A_STEP)
        epochs = math.floor(steps / steps_an_epoch * 1e6) / 1e6  # steps are rounded up from it: a hair more would be one more step
        rhythm = ("--epochs", epochs, "--batch-size", CLIPS_A_STEP // 2, "--gradient-accumulation-steps", 2, "--eval-steps", max(1, steps // VALIDATIONS))
        same = ("--data", data, "--model", "tiny", "--seed", case.seed, "--no-trackio", *rhythm)
        _run("train", *same, "--augment", strength, "--no-queue", "--output", run)
        _run("evaluate", run)
    status, report = (json.loads((run / name).read_text()) for name in ("status.json", "report.json"))
    if status["total_steps"] != steps:
        sys.exit(f"{run} is of {status['total_steps']} steps, not {steps}: give another --folder.")
    seconds = status["updated_at"] - status["started_at"]
    return Found(base_wer=report["base"]["wer"], wer=report["tuned"]["wer"], best_step=status["best_step"], seconds=seconds)


def _summary(found: dict[tuple[Case, str], Found], strengths: list[str], clips: int) -> list[str]:
    """Lines of the table for one number of training clips; a difference is that to `off` of the same voice, clips and seed."""
    cases = [case for case, strength in found if strength == "off" and case.clips == clips]
    lines = []
    for strength in strengths:
        here = [found[case, strength] for case in cases]
        differences = [100 * (found[case, strength].wer - found[case, "off"].wer) for case in cases]
        error = f" ± {statistics.stdev(differences) / len(cases) ** 0.5:.1f}" if len(cases) > 1 else ""
        change = "" if strength == "off" else f"{statistics.mean(differences):+.1f}{error}"
        better = "" if strength == "off" else f"{sum(each < 0 for each in differences)} of {len(cases)}"
        wer, step, seconds = (statistics.mean(values) for values in zip(*((each.wer, each.best_step, each.seconds) for each in here), strict=True))
        lines.append(f"| {clips} | {strength} | {100 * wer:.1f} | {change} | {better} | {step:.0f} | {seconds:.0f} |")
    return lines


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", nargs="+", default=["awb", "slt", "pl"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--clips", nargs="+", type=int, default=[10, 96], help=f"training clips, at most {NUM_POOL}")
    parser.add_argument("--steps", type=int, default=240, help="optimizer steps of every run")
    parser.add_argument("--strengths", nargs="+", choices=STRENGTHS, default=list(STRENGTHS), help="`off` is always among them")
    parser.add_argument("--folder", type=Path, help="where to keep the runs; else they are deleted")
    options = parser.parse_args()
    strengths = ["off", *(each for each in options.strengths if each != "off")]
    with tempfile.TemporaryDirectory() as name:
        found = _measure_all(options.folder or Path(name), options, strengths)
    print("\n| training clips | augment | WER, % | difference to `off`, points (± standard error) | better than `off` | best at step | training, s |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(line for clips in options.clips for line in _summary(found, strengths, clips)))


def _measure_all(folder: Path, options: argparse.Namespace, strengths: list[str]) -> dict[tuple[Case, str], Found]:
    print(f"WER in % on {NUM_TEST} held-out sentences after {options.steps} steps of {CLIPS_A_STEP} clips\n")
    print("| voice | seed | training clips | base | " + " | ".join(strengths) + " |")
    print("|---|---|---|---|" + "---|" * len(strengths), flush=True)
    found: dict[tuple[Case, str], Found] = {}
    texts = {voice: _speak(folder / voice, voice) for voice in options.voices}
    for case in (Case(voice, seed, clips) for seed in options.seeds for clips in options.clips for voice in options.voices):
        data = _dataset(folder / case.voice, case, texts[case.voice])
        for strength in strengths:
            run = folder / case.voice / f"run-{case.seed}-{case.clips}-{strength}"
            found[case, strength] = _train(data, run, case, strength, options.steps)
        cells = " | ".join(f"{100 * found[case, strength].wer:.1f}" for strength in strengths)
        base = 100 * found[case, "off"].base_wer
        print(f"| {case.voice} | {case.seed} | {case.clips} | {base:.1f} | {cells} |", flush=True)
    return found


if __name__ == "__main__":
    main()
