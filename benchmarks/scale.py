"""Time a clip and peak memory of import, check and training as a dataset grows, and as its clips do. `python benchmarks/scale.py [--all]`.

Clips are the demo voice's, each copy at another level with another faint noise, and, for long ones, one after the other. Each figure is of one command,
from the start of its process to its end; training is one epoch of the tiny model with a validation of one clip before and one after it, and nothing
kept of earlier runs. The first line of each table is what a command takes for next to nothing, the least of three; the lines below it say what a clip, a
second of audio or a chunk of 30 s takes beyond that, and should be the same all the way down, but where all of it is within the noise of a start (0.5 s).
Memory is that of the largest process. Others: the cores that other programs kept busy meanwhile; over 0.1, the times are not worth much.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import soundfile

from benchmarks.support.measured import Measured, voxtune
from voxtune.audio import CHUNK_S, SAMPLE_RATE_HZ, Wave

ROOT = Path(__file__).parent.parent
HELD_OUT = 2
"""The first clips of a dataset: one validates, one is the test."""
FEWEST = 4
COMMANDS = ("import", "check", "train")
Spoken = tuple[Wave, str]


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the three commands took for one dataset."""

    clips: int
    audio_s: float
    chunks: int
    took: dict[str, Measured]

    @property
    def others(self) -> str:
        """The cores that other programs kept busy meanwhile."""
        return f"{sum(each.others_cpu_s for each in self.took.values()) / sum(each.seconds for each in self.took.values()):.2f}"


def _demo_voice() -> list[Spoken]:
    folder = ROOT / "examples" / "demo_voice"
    rows = [line.split("|") for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    return [(soundfile.read(folder / "wavs" / f"{name}.flac", dtype="float32")[0], text) for name, text, *_ in rows]


def _counted(voice: list[Spoken], count: int) -> Iterator[Spoken]:
    """As many clips of one sentence each; those of the first two are in no other."""
    yield from voice[:HELD_OUT]
    rest = voice[HELD_OUT:]
    yield from (rest[place % len(rest)] for place in range(count - HELD_OUT))


def _lengthy(voice: list[Spoken], length_s: float, chunks: int) -> Iterator[Spoken]:
    """Clips of nearly `length_s` that together take about as many chunks."""
    yield from voice[:HELD_OUT]
    rest = voice[HELD_OUT:]
    if length_s < max(len(wave) for wave, _ in rest) / SAMPLE_RATE_HZ:
        rest = sorted(rest, key=lambda spoken: len(spoken[0]))[:10]
    for number in range(max(1, round(chunks / math.ceil(length_s / CHUNK_S)))):
        yield _joined(rest, 7 * number, length_s)  # 7: each has other sentences than the one before


def _joined(parts: list[Spoken], start: int, length_s: float) -> Spoken:
    """From `start` on one part after the other, at least one, no longer than `length_s` together."""
    taken, left = [parts[start % len(parts)]], length_s * SAMPLE_RATE_HZ
    left -= len(taken[0][0])
    while (left := left - len(parts[(start + len(taken)) % len(parts)][0])) >= 0:
        taken.append(parts[(start + len(taken)) % len(parts)])
    return np.concatenate([wave for wave, _ in taken]), " ".join(text for _, text in taken)


def _write(spoken: Iterator[Spoken], folder: Path) -> tuple[int, list[float]]:
    """Audio files and their transcripts; gives the seconds of each clip."""
    folder.mkdir()
    random = np.random.default_rng(0)
    seconds, lines = [], []
    for number, (wave, text) in enumerate(spoken):
        altered = wave * random.uniform(0.7, 1.0) + random.normal(0.0, 3e-4, len(wave))
        soundfile.write(folder / f"{number:05d}.wav", altered.clip(-1, 1).astype(np.float32), SAMPLE_RATE_HZ, subtype="PCM_16")
        seconds.append(len(wave) / SAMPLE_RATE_HZ)
        lines.append(f"{number:05d}|{text}|{text}\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return len(lines), seconds


def _measure(spoken: Iterator[Spoken], folder: Path, scope: str, batch: Sequence[object]) -> Line:
    """Import, check and train, and leave nothing behind."""
    folder.mkdir()
    count, seconds = _write(spoken, folder / "recordings")
    took = {}
    words = (folder / "recordings", "--transcripts", folder / "recordings" / "metadata.csv", "--language", "en", "--output", folder / "dataset")
    took["import"] = voxtune("dataset", "import", *words)
    took["check"] = voxtune("dataset", "check", folder / "dataset", "--json")
    found = json.loads(took["check"].out)
    assert found["num_clips"] == count
    rows = [json.loads(line) for line in (folder / "dataset" / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    sides = ["validation", "test", *["train"] * (count - HELD_OUT)]
    data = folder / "dataset" / "sides.jsonl"
    data.write_text("".join(json.dumps({**row, "split": side}) + "\n" for row, side in zip(rows, sides, strict=True)), encoding="utf-8")
    settings = ("--data", data, "--model", "tiny", "--language", "en", "--epochs", 1, "--lora-scope", scope, "--eval-steps", 1_000_000, *batch)
    environment = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "VOXTUNE_CACHE": str(folder / "cache")}
    took["train"] = voxtune("train", *settings, "--no-trackio", "--no-queue", "--output", folder / "run", environment=environment)
    shutil.rmtree(folder)
    return Line(clips=count, audio_s=sum(seconds), chunks=sum(math.ceil(each / CHUNK_S) for each in seconds), took=took)


def _base(voice: list[Spoken], folder: Path, scope: str, batch: Sequence[object]) -> Line:
    """What next to nothing takes: of each command the quickest of three."""
    lines = [_measure(_counted(voice, FEWEST), folder, scope, batch) for _ in range(3)]
    took = {command: min((line.took[command] for line in lines), key=lambda each: each.seconds) for command in COMMANDS}
    return replace(lines[0], took=took)


def _cells(line: Line, base: Line | None, units: dict[str, tuple[float, float]]) -> list[str]:
    """Of each command: seconds, milliseconds a unit beyond the base line, peak memory."""
    cells = []
    for command in COMMANDS:
        took, more = line.took[command], ""
        if base is not None:
            here, there = units[command]
            more = f"{1e3 * (took.seconds - base.took[command].seconds) / (here - there):.1f}"
        cells += [f"{took.seconds:.1f}", more, f"{took.peak_bytes / 1e6:,.0f}"]
    return cells


def _say(cells: Sequence[object]) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def _grow_dataset(folder: Path, voice: list[Spoken], counts: list[int], scope: str) -> None:
    each = [name for command in COMMANDS for name in (f"{command} s", "ms a clip", "peak MB")]
    _say(["clips", "audio s", *each, "others"])
    _say(["---"] * (3 + len(each)))
    base = _base(voice, folder / "fewest", scope, ())
    _say([base.clips, f"{base.audio_s:,.0f}", *_cells(base, None, {}), base.others])
    for count in counts:
        line = _measure(_counted(voice, count), folder / f"clips-{count}", scope, ())
        units = dict.fromkeys(COMMANDS, (float(line.clips), float(base.clips)))
        _say([line.clips, f"{line.audio_s:,.0f}", *_cells(line, base, units), line.others])


def _grow_clips(folder: Path, voice: list[Spoken], lengths_s: list[float], chunks: int, scope: str) -> None:
    each = [name for command in COMMANDS for name in (f"{command} s", "ms a chunk" if command == "train" else "ms a s of audio", "peak MB")]
    _say(["clips of s", "clips", "audio s", "chunks", *each, "others"])
    _say(["---"] * (5 + len(each)))
    one_by_one = ("--batch-size", 1, "--gradient-accumulation-steps", 1, "--eval-batch-size", 1)
    base = _base(voice, folder / "shortest", scope, one_by_one)
    _say(["", base.clips, f"{base.audio_s:,.0f}", base.chunks, *_cells(base, None, {}), base.others])
    for length_s in lengths_s:
        line = _measure(_lengthy(voice, length_s, chunks), folder / f"length-{length_s:g}", scope, one_by_one)
        units = dict.fromkeys(COMMANDS, (line.audio_s, base.audio_s)) | {"train": (float(line.chunks), float(base.chunks))}
        _say([f"{length_s:g}", line.clips, f"{line.audio_s:,.0f}", line.chunks, *_cells(line, base, units), line.others])


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="*", type=int, default=[10, 100, 1_000], help="sizes of the datasets, in clips")
    parser.add_argument("--all", action="store_true", help="10,000 clips too: about 3 GB of disk while it runs")
    parser.add_argument("--lengths", nargs="*", type=float, default=[1, 10, 60, 300, 600], help="seconds of one clip")
    parser.add_argument("--chunks", type=int, default=160, help="chunks of 30 s that the clips of one length take together")
    parser.add_argument("--lora-scope", default="language_model", help="what trains: with language_model the frozen tower's outputs are kept")
    options = parser.parse_args()
    counts = [*options.counts, *([10_000] if options.all else [])]
    if any(count <= FEWEST for count in counts):
        parser.error(f"--counts must be over {FEWEST}.")
    voice = _demo_voice()
    print(f"{os.cpu_count()} CPU cores; --lora-scope {options.lora_scope}\n")
    with tempfile.TemporaryDirectory() as name:
        if counts:
            _grow_dataset(Path(name), voice, counts, options.lora_scope)
            print()
        if options.lengths:
            _grow_clips(Path(name), voice, options.lengths, options.chunks, options.lora_scope)


if __name__ == "__main__":
    main()
