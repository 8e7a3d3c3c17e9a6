"""Which parts to adapt to a new voice: WER on held-out sentences, by what trains. `python benchmarks/adaptation.py [--voices awb slt] [--seeds 0 1]`.

Needs Debian's flite. Each line of the table is `voxtune train` and `voxtune evaluate` with the settings it names, everything else as by default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VARIANTS: dict[str, list[str]] = {
    "LoRA, language model": ["--lora-scope", "language_model"],
    "LoRA, language model + projector": ["--lora-scope", "language_model+projector"],
    "LoRA, audio tower": ["--lora-scope", "audio_tower"],
    "LoRA, all, top tower layer": ["--lora-scope", "all", "--train-tower-layers", "1"],
    "LoRA, all": ["--lora-scope", "all"],
    "full": ["--method", "full"],
}


def _run(*words: object) -> str:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def _measure(folder: Path, voice: str, seed: int, variant: str, epochs: float) -> dict[str, Any]:
    data = folder / f"{voice}-{seed}"
    if not data.exists():
        _run(ROOT / "tools" / "build_demo_voice.py", "--voice", voice, "--output", folder / voice)
        words = ("dataset", "import", folder / voice, "--transcripts", folder / voice / "metadata.csv", "--language", "en", "--seed", seed)
        _run("-m", "voxtune", *words, "--output", data)
    run = folder / f"{voice}-{seed}-{variant.replace(' ', '-')}"
    options = ("--data", data, "--model", "tiny", "--epochs", epochs, "--seed", seed, "--no-trackio", "--output", run, *VARIANTS[variant], "--json")
    status = json.loads(_run("-m", "voxtune", "train", *options))
    report = json.loads(_run("-m", "voxtune", "evaluate", run, "--json"))
    return {"status": status, "report": report}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", nargs="+", default=["awb", "slt"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=float, default=5.0)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    options = parser.parse_args()
    cases = [(voice, seed) for voice in options.voices for seed in options.seeds]
    print("| adapted | trainable | " + " | ".join(f"{voice}, seed {seed}" for voice, seed in cases) + " |")
    print("|---|---|" + "---|" * len(cases), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for variant in options.variants:
            found = [_measure(Path(name), voice, seed, variant, options.epochs) for voice, seed in cases]
            trainable = sum(found[0]["status"]["trainable_parameters"].values())
            print(f"| {variant} | {trainable / 1000:.0f} k | " + " | ".join(_cell(**each) for each in found) + " |", flush=True)


def _cell(status: dict[str, Any], report: dict[str, Any]) -> str:
    seconds = status["updated_at"] - status["started_at"]
    return f"{report['base']['wer']:.2f} -> {report['tuned']['wer']:.2f} ({seconds:.0f} s)"


if __name__ == "__main__":
    main()
