"""How quick audio becomes input: log-mel beside the stock extractor's, and dataset check and import against real time.

Run: python benchmarks/input.py [--clips 1000]    (clips of the demo voice at other levels, as 16 kHz WAV and as what people have; all figures are of
this machine; the stock extractor and ours take turns, the median counts)
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from voxtune import audio
from voxtune.dataset import checks, store
from voxtune.dataset.clips import Clip

ROOT = Path(__file__).parent.parent
LENGTHS_S = (2, 4, 10, 30)
TURNS = 60
KINDS = {"WAV 16 kHz": ("wav", 16_000), "FLAC 48 kHz": ("flac", 48_000), "MP3 44.1 kHz": ("mp3", 44_100)}
CHUNK_SAMPLES = round(audio.CHUNK_S * audio.SAMPLE_RATE_HZ)
PAD: dict[str, Any] = {
    "padding": True,
    "truncation": False,
    "pad_to_multiple_of": CHUNK_SAMPLES,
    "return_tensors": "pt",
    "sampling_rate": audio.SAMPLE_RATE_HZ,
}


def _median_ms(*tasks: Callable[[], object]) -> list[float]:
    """Of each task, taking turns."""
    for task in tasks:
        task()
    taken_s: list[list[float]] = [[] for _ in tasks]
    for _ in range(TURNS):
        for task, times in zip(tasks, taken_s, strict=True):
            began = time.perf_counter()
            task()
            times.append(time.perf_counter() - began)
    return [1e3 * statistics.median(times) for times in taken_s]


def mel() -> None:
    """Print the time of one clip's log-mel, ready for the model, by its length; torch and numpy on one core."""
    import torch  # here and not above: the processes that are measured below load this file again
    from transformers import WhisperFeatureExtractor

    from voxtune.model.mel import MelExtractor

    torch.set_num_threads(1)
    stock = WhisperFeatureExtractor(feature_size=128)
    ours = MelExtractor(stock)
    print("| clip | stock ms | ours ms | stock / ours | largest difference |\n|---|---|---|---|---|", flush=True)
    for length_s in LENGTHS_S:
        wave = _speech(length_s)
        stock_ms, ours_ms = _median_ms(functools.partial(stock, wave, **PAD), functools.partial(_chunks, ours, wave))
        expected = stock(wave, **PAD)["input_features"][0]
        difference = float((ours(wave).chunks().transpose(0, 1).reshape(expected.shape) - expected).abs().max())
        print(f"| {length_s} s | {stock_ms:.2f} | {ours_ms:.2f} | {stock_ms / ours_ms:.1f} | {difference:.0e} |", flush=True)
    waves, rates = [_speech(4)] * 400, []
    for threads in (1, _cores()):
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            for _ in pool.map(lambda wave: ours(wave).nbytes, waves):
                pass
            rates.append(len(waves) / (time.perf_counter() - began))
    print(f"\nIn worker threads, clips of 4 s a second: 1 thread {rates[0]:,.0f}; {_cores()} threads {rates[1]:,.0f}.\n", flush=True)


def datasets(folder: Path, num_clips: int) -> None:
    """Print how many times faster than real time datasets are checked and imported."""
    nothing = [Clip(audio_path="-", path=folder, text="-")] * 2 * _cores()
    began = time.perf_counter()
    checks.check(nothing, processes=_cores())
    print(f"Starting and ending {_cores()} processes: {time.perf_counter() - began:.2f} s.\n")
    print(f"| {num_clips} clips | | one core | x real time | {_cores()} processes | one core / processes |\n|---|---|---|---|---|---|", flush=True)
    for kind, (suffix, rate_hz) in KINDS.items():
        clips, duration_s = _clips(folder / suffix, num_clips, suffix, rate_hz)
        tasks: dict[str, Callable[[int], float]] = {
            "check": functools.partial(_check, clips),
            "import": functools.partial(_import, clips, folder / "made"),
        }
        for name, task in tasks.items():
            taken_s = [task(1), task(_cores())]
            times = duration_s / taken_s[0]
            print(f"| {kind} | {name} | {taken_s[0]:.2f} s | {times:,.0f} | {taken_s[1]:.2f} s | {taken_s[0] / taken_s[1]:.2f} |", flush=True)
        whole_s = _command_s(folder / suffix)
        print(f"| {kind} | `voxtune dataset check` | {whole_s:.2f} s | {duration_s / whole_s:,.0f} | | |", flush=True)


def _chunks(ours: Any, wave: audio.Wave) -> Any:
    return ours(wave).chunks()


def _check(clips: list[Clip], processes: int) -> float:
    began = time.perf_counter()
    checks.check(clips, processes=processes)
    return time.perf_counter() - began


def _import(clips: list[Clip], folder: Path, processes: int) -> float:
    began = time.perf_counter()
    store.create(clips, folder, language="en", processes=processes)
    taken_s = time.perf_counter() - began
    shutil.rmtree(folder)
    return taken_s


def _speech(length_s: float) -> audio.Wave:
    demo = [audio.read(path) for path in sorted((ROOT / "examples" / "demo_voice" / "wavs").glob("*.flac"))[:15]]
    return np.resize(np.concatenate(demo), round(length_s * audio.SAMPLE_RATE_HZ) - 7)


def _clips(folder: Path, count: int, suffix: str, rate_hz: int) -> tuple[list[Clip], float]:
    """The demo voice again and again, each time at another level, so that no two clips are the same; and their seconds."""
    folder.mkdir()
    lines = [line.split("|") for line in (ROOT / "examples" / "demo_voice" / "metadata.csv").read_text(encoding="utf-8").splitlines()]
    waves = [audio.read(ROOT / "examples" / "demo_voice" / "wavs" / f"{line[0]}.flac") for line in lines]
    clips, samples = [], 0
    for number in range(count):
        place = number % len(lines)
        path = folder / f"{number}.{suffix}"
        wave = waves[place] * (1 - 0.5 * number / count)
        samples += len(wave)
        soundfile.write(path, wave if rate_hz == audio.SAMPLE_RATE_HZ else soxr.resample(wave, audio.SAMPLE_RATE_HZ, rate_hz), rate_hz)
        clips.append(Clip(audio_path=path.name, path=path, text=lines[place][1], line=number + 1))
    (folder / "data.jsonl").write_text("".join(json.dumps(clip.row(clip.audio_path)) + "\n" for clip in clips), encoding="utf-8")
    return clips, samples / audio.SAMPLE_RATE_HZ


def _command_s(data: Path) -> float:
    """Seconds of the whole command on one core, from the start of its process to its end."""
    command = [sys.executable, "-m", "voxtune", "dataset", "check", str(data)]
    began = time.perf_counter()
    done = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(done.pid, {min(os.sched_getaffinity(0))})
    if done.wait():
        raise SystemExit("the check found errors in clips that have none")
    return time.perf_counter() - began


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1_000, help="how many clips are checked and imported")
    options = parser.parse_args()
    mel()
    with tempfile.TemporaryDirectory() as name:
        datasets(Path(name), options.clips)


if __name__ == "__main__":
    main()
