"""The usual recipe of public Voxtral trainers against `voxtune train`: time, memory, loss and WER. `python benchmarks/usual_recipe.py [--seeds 0]`.

Both train LoRA (r 8, alpha 32, no dropout) of the tiny model on the same clips of the demo voice, fp32 on the CPU, batch 2 x 4, linear schedule without
warm-up, for as many epochs, each as one command. The usual recipe (benchmarks/usual/recipe.py) is run in two ways: as it runs, where its adapters
leak into the audio tower, and as it is meant, in the language model only. `voxtune train --lora-scope language_model` trains the same as the latter.
Time is that of the whole command, from the start of its process to its end with weights saved. voxtune's holds two validations by
generation (before the first step and after the last), a checkpoint, and its records; the usual recipe's holds training and saving alone. A cold
run finds nothing kept of earlier runs, a warm one what the cold one kept. WER is measured afterwards, of both by `voxtune transcribe`, on clips that
neither saw. Loss is the mean over the steps of the last epoch. Memory is that of the largest process. Others: the cores that other programs
kept busy meanwhile; where that is over 0.1, the times are not worth much.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.support.measured import Measured, run, voxtune
from voxtune.evaluation import wer
from voxtune.model.names import tiny_folder
from voxtune.settings import TrainSettings
from voxtune.training.pace import steps_an_epoch

ROOT = Path(__file__).parent.parent
LEAKING, MEANT = "usual recipe, as it runs", "usual recipe, as it is meant"
COLD, WARM, ALL = "voxtune, language model", "voxtune, language model, warm", "voxtune, all parts"
VARIANTS = [LEAKING, MEANT, COLD, WARM, ALL]
SCOPES = {COLD: "language_model", WARM: "language_model", ALL: "all"}

BATCH, ACCUMULATION, LORA_R, LORA_ALPHA = 2, 4, 8, 32
LEARNING_RATE = 2e-3
"""voxtune's own for the tiny model's width; the 5e-5 that the usual recipes have for the 3B would teach it nothing in 39 steps."""
VALIDATION_CLIPS = 4
CPU = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run of one of them."""

    took: Measured
    loss: float
    wer: float


@dataclass(frozen=True, kw_only=True)
class Data:
    """The clips, and how many steps an epoch of them takes."""

    file: Path
    held_out: dict[str, str]
    """Text by path of the audio."""
    num_clips: int

    @property
    def steps_an_epoch(self) -> int:
        """Optimizer steps."""
        return steps_an_epoch(TrainSettings(data="-", batch_size=BATCH, gradient_accumulation_steps=ACCUMULATION), self.num_clips)


def _make_data(folder: Path, num_clips: int) -> Data:
    """The demo voice as 16 kHz WAVs, its clips shared out: to train, 4 to validate, the rest held out."""
    voice = ROOT / "examples" / "demo_voice"
    voxtune("dataset", "import", voice, "--transcripts", voice / "metadata.csv", "--language", "en", "--output", folder / "voice")
    rows = [json.loads(line) for line in (folder / "voice" / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    if not 0 < num_clips < len(rows) - VALIDATION_CLIPS:
        sys.exit(f"--clips must leave some of the {len(rows)} for validation ({VALIDATION_CLIPS}) and test.")
    sides = [*["train"] * num_clips, *["validation"] * VALIDATION_CLIPS, *["test"] * (len(rows) - num_clips - VALIDATION_CLIPS)]
    rows = [{**row, "audio_path": f"voice/{row['audio_path']}", "language": "en", "split": side} for row, side in zip(rows, sides, strict=True)]
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    held_out = {str(folder / row["audio_path"]): row["text"] for row in rows if row["split"] == "test"}
    return Data(file=file, held_out=held_out, num_clips=num_clips)


def _usual(data: Data, output: Path, epochs: int, seed: int, *, leak: bool, loader_workers: int) -> tuple[Measured, float]:
    words: dict[str, object] = {"data": data.file, "model": tiny_folder(), "output": output, "epochs": epochs, "batch-size": BATCH}
    words |= {"accumulation": ACCUMULATION, "learning-rate": LEARNING_RATE, "lora-r": LORA_R, "lora-alpha": LORA_ALPHA, "seed": seed}
    words |= {"loader-workers": loader_workers}
    command = [sys.executable, ROOT / "benchmarks" / "usual" / "recipe.py", *_flags(words), *(["--leak"] if leak else [])]
    took = run(command, environment=CPU)
    return took, fmean(json.loads((output / "losses.json").read_text(encoding="utf-8"))[-data.steps_an_epoch :])


def _ours(data: Data, output: Path, epochs: int, seed: int, *, scope: str, cache: Path) -> tuple[Measured, float]:
    words: dict[str, object] = {"data": data.file, "model": "tiny", "output": output, "epochs": epochs, "batch-size": BATCH, "seed": seed}
    words |= {"gradient-accumulation-steps": ACCUMULATION, "learning-rate": LEARNING_RATE, "scheduler": "linear", "warmup-ratio": 0}
    words |= {"lora-r": LORA_R, "lora-alpha": LORA_ALPHA, "lora-dropout": 0, "lora-scope": scope, "logging-steps": 1}
    words |= {"eval-steps": 1_000_000}  # only before the first step and after the last
    took = voxtune("train", *_flags(words), "--no-trackio", "--no-queue", environment={**CPU, "VOXTUNE_CACHE": str(cache)})
    events = [json.loads(line) for line in (output / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return took, fmean([event["loss"] for event in events if "loss" in event][-data.steps_an_epoch :])


def _flags(words: dict[str, object]) -> list[object]:
    return [word for name, value in words.items() for word in (f"--{name}", value)]


def _wer(data: Data, model: object) -> float:
    done = voxtune("transcribe", *data.held_out, "--model", model, "--language", "en", "--json", environment=CPU)
    return wer.total_rate([wer.count_words(data.held_out[row["audio_path"]], row["text"], "en") for row in json.loads(done.out)])


def _measure(folder: Path, data: Data, variant: str, epochs: int, seed: int, loader_workers: int) -> Outcome:
    output = folder / f"{variant}-{epochs}-{seed}".replace(" ", "-").replace(",", "")
    if variant in SCOPES:
        cache = folder / f"cache-{epochs}-{seed}" if variant in (COLD, WARM) else folder / f"{output.name}-cache"
        took, loss = _ours(data, output, epochs, seed, scope=SCOPES[variant], cache=cache)
    else:
        took, loss = _usual(data, output, epochs, seed, leak=variant == LEAKING, loader_workers=loader_workers)
    return Outcome(took=took, loss=loss, wer=_wer(data, output / "model" if variant in SCOPES else output))


def _row(variant: str, epochs: int, found: list[Outcome], num_clips: int) -> str:
    seconds = [each.took.seconds for each in found]
    rate = fmean(epochs * num_clips / each for each in seconds)
    cells = [variant, epochs, _spread(seconds, 1), f"{rate:.1f}", f"{fmean(each.took.cpu_s for each in found):.1f}"]
    cells += [f"{fmean(each.took.others for each in found):.2f}", f"{fmean(each.took.peak_bytes for each in found) / 1e6:,.0f}"]
    cells += [_spread([each.loss for each in found], 3), _spread([100 * each.wer for each in found], 1)]
    return "| " + " | ".join(map(str, cells)) + " |"


def _spread(values: list[float], digits: int) -> str:
    return f"{fmean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def _ratio(ours: str, usual: str, epochs: int, found: dict[tuple[str, int], list[Outcome]]) -> str:
    """Seed by seed, then the mean."""
    pairs = list(zip(found[ours, epochs], found[usual, epochs], strict=True))
    faster = [theirs.took.seconds / mine.took.seconds for mine, theirs in pairs]
    memory = fmean(mine.took.peak_bytes / theirs.took.peak_bytes for mine, theirs in pairs)
    loss, errors = [mine.loss - theirs.loss for mine, theirs in pairs], [100 * (mine.wer - theirs.wer) for mine, theirs in pairs]
    cells = [f"{ours} / {usual}", epochs, f"{_spread(faster, 1)} x", f"{memory:.2f}", _spread(loss, 3), _spread(errors, 1)]
    return "| " + " | ".join(map(str, cells)) + " |"


def _chosen() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", nargs="+", type=int, default=[3, 10])
    parser.add_argument("--clips", type=int, default=100, help="training clips, of the demo voice's 120")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS, metavar="NAME", help=f"of: {'; '.join(VARIANTS)}")
    parser.add_argument("--loader-workers", type=int, default=1, help="processes that prepare batches for the usual recipe; theirs have 1")
    chosen = parser.parse_args()
    if WARM in chosen.variants and COLD not in chosen.variants:
        parser.error(f"{WARM!r} needs {COLD!r} before it.")
    return chosen


def main() -> None:
    """Measure and print both tables."""
    options = _chosen()
    variants = [variant for variant in VARIANTS if variant in options.variants]
    found: dict[tuple[str, int], list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as name:
        data = _make_data(Path(name), options.clips)
        told = f"{data.num_clips} clips, {VALIDATION_CLIPS} to validate, {len(data.held_out)} held out; seeds {options.seeds}; {os.cpu_count()} CPU cores"
        print(f"{told}; WER of the base model: {100 * _wer(data, 'tiny'):.1f} %; mean ± standard deviation over seeds\n")
        print("| recipe | epochs | s | clips/s | CPU s | others | peak MB | loss, last epoch | WER % |\n|---|---|---|---|---|---|---|---|---|", flush=True)
        for epochs in options.epochs:
            for seed in options.seeds:  # all of one seed after the other: a machine that slows down slows all of them
                for variant in variants:
                    outcome = _measure(Path(name), data, variant, epochs, seed, options.loader_workers)
                    found.setdefault((variant, epochs), []).append(outcome)
            for variant in variants:
                print(_row(variant, epochs, found[variant, epochs], data.num_clips), flush=True)
    print("\n| | epochs | times as fast | peak memory | loss less theirs | WER less theirs, points |\n|---|---|---|---|---|---|")
    for usual in (each for each in (LEAKING, MEANT) if each in variants):
        for ours in (each for each in variants if each in SCOPES):
            for epochs in options.epochs:
                print(_ratio(ours, usual, epochs, found))


if __name__ == "__main__":
    main()
