"""Evaluating a run now against a plain rendering of it: time for the same clips and texts. `python benchmarks/generation.py [--clips 96] [--scopes ...]`.

The plain rendering loads one model after the other, and has each transcribe the clips in the order of the file: audio read anew, the stock processor's
mel, the whole model from the tower on, in batches that end with the longest of their limits. Both figures are of transcribing alone, without
loading: seconds of base and tuned model, with one thread of the CPU each, as two wait for each other at every token where the machine has other
work. A cold cache holds nothing of these clips, a warm one what an evaluation before left there.
Others: the cores that other programs kept busy during the two evaluations.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from benchmarks.support.measured import voxtune
from voxtune import audio
from voxtune.model import names, voxtral

ROOT = Path(__file__).parent.parent
NUM_TRAINED = 12
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
SCOPES: dict[str, list[str]] = {
    "LoRA, language model": ["--lora-scope", "language_model"],
    "LoRA, all, top tower layer": ["--train-tower-layers", "1"],
    "LoRA, all": [],
    "full, tower frozen": ["--method", "full", "--freeze-audio-tower"],
}


def _data(folder: Path, num_clips: int) -> tuple[Path, Path, list[Path]]:
    """A few clips of the demo voice to train on, and others to evaluate on."""
    voice = ROOT / "examples" / "demo_voice"
    lines = [line.split("|") for line in (voice / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    rows = [{"audio_path": str(voice / "wavs" / f"{name}.flac"), "text": text, "language": "en"} for name, text, *_ in lines]
    parts = {"train.jsonl": rows[:NUM_TRAINED], "held_out.jsonl": rows[NUM_TRAINED:][:num_clips]}
    for name, some in parts.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    return folder / "train.jsonl", folder / "held_out.jsonl", [Path(row["audio_path"]) for row in parts["held_out.jsonl"]]


@torch.inference_mode()
def _plainly(place: names.ModelPlace, files: list[Path], *, batch_size: int) -> tuple[float, list[str]]:
    precision = voxtral.choose_precision("auto")
    processor: Any = voxtral.load_processor(place)
    model: Any = voxtral.load(place, precision)
    texts: list[str] = []
    began = time.perf_counter()
    for start in range(0, len(files), batch_size):
        waves = [audio.read(file) for file in files[start : start + batch_size]]
        asked = processor.apply_transcription_request(waves, model_id="x", language="en", sampling_rate=audio.SAMPLE_RATE_HZ, format=["WAV"] * len(waves))
        inputs = {name: value.to(precision.device) for name, value in asked.items()}
        longest_s = max(map(len, waves)) / audio.SAMPLE_RATE_HZ
        with torch.autocast(precision.device, dtype=torch.bfloat16, enabled=precision.autocast):
            out = model.generate(**inputs, max_new_tokens=16 + round(20 * longest_s), do_sample=False)
        texts += [text.strip() for text in processor.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)]
    return time.perf_counter() - began, texts


def _now(run: Path, held_out: Path, cache: Path) -> tuple[float, float, dict[str, tuple[str, str]]]:
    took = voxtune("evaluate", run, "--data", held_out, "--json", environment={**ONE_THREAD, "VOXTUNE_CACHE": str(cache)})
    report = json.loads(took.out)
    texts = {clip["audio_path"]: (clip["base_text"], clip["tuned_text"]) for clip in report["clips"]}
    return report["seconds"]["base"] + report["seconds"]["tuned"], took.others, texts


def main() -> None:
    """Train each run, evaluate it in both ways, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--scopes", nargs="+", choices=list(SCOPES), default=list(SCOPES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| trained | clips | plain, s | cold, s | warm, s | plain / cold | plain / warm | other texts | others |\n|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    for scope in options.scopes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            data, held_out, files = _data(folder, options.clips)
            flags = ("--epochs", 1, "--eval-batch-size", options.batch_size, "--no-trackio", "--no-queue", "--output", folder / "run", *SCOPES[scope])
            voxtune("train", "--data", data, "--model", "tiny", *flags, environment={**ONE_THREAD, "VOXTUNE_CACHE": str(folder / "other")})
            (cold_s, busy, texts), (warm_s, still_busy, _) = (_now(folder / "run", held_out, folder / "cache") for _ in range(2))
            plain = [_plainly(place, files, batch_size=options.batch_size) for place in (names.find("tiny"), names.find(str(folder / "run")))]
        plain_s = sum(seconds for seconds, _ in plain)
        heard = zip(*(found for _, found in plain), strict=True)
        other = sum(pair != texts[str(file)] for file, pair in zip(files, heard, strict=True))
        row = (
            f"{plain_s:.1f}",
            f"{cold_s:.1f}",
            f"{warm_s:.1f}",
            f"{plain_s / cold_s:.2f}",
            f"{plain_s / warm_s:.2f}",
            f"{other} of {len(files)}",
            f"{max(busy, still_busy):.1f}",
        )
        print(f"| {scope} | {len(files)} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
