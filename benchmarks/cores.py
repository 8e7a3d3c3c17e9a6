"""Passes side by side, a core each, against one after the other with all cores on every operation: ms a clip. `python benchmarks/cores.py [--batches 2 4 8]`.

Forward and backward passes of optimizer steps of the tiny model on clips of the demo voice, LoRA r 8, fp32: as voxtune cuts and runs them on a CPU, and as
they would run one by one. With dropout both also draw their numbers as they do: voxtune four from 64 bits, torch one by one. Then the frozen tower by
chunks. All variants take turns, so that a machine that slows down slows all; median of several turns. `--busy N` has N other processes at work meanwhile.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from voxtune import startup

startup.begin()  # as the command line does, before torch is loaded

import torch  # noqa: E402 - after what must come before it

from voxtune import audio  # noqa: E402 - the same
from voxtune.evaluation.transcribe import begun  # noqa: E402 - the same
from voxtune.model import cores, names, voxtral  # noqa: E402 - the same
from voxtune.model.batches import Encoder  # noqa: E402 - the same
from voxtune.model.loss import summed_loss  # noqa: E402 - the same
from voxtune.model.prepared import hearing  # noqa: E402 - the same
from voxtune.settings import TrainSettings  # noqa: E402 - the same
from voxtune.training import passes, steps  # noqa: E402 - the same

ROOT = Path(__file__).parent.parent
NUM_CLIPS = 16


def _median_ms(turns: int, **variants: Callable[[], object]) -> dict[str, float]:
    """Milliseconds a clip of each."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(turns + 1):
        for name, work in variants.items():
            began = time.perf_counter()
            work()
            if turn:  # the first one warms up
                taken[name].append(1e3 * (time.perf_counter() - began) / NUM_CLIPS)
    return {name: statistics.median(each) for name, each in taken.items()}


class _Training:
    """A model with adapters, and some clips for it."""

    def __init__(self, scope: str, dropout: float) -> None:
        self._settings = TrainSettings(data="-", model="tiny", lora_r=8, lora_dropout=dropout, lora_scope=scope)  # type: ignore[arg-type]  # as argparse gave it
        precision = voxtral.choose_precision("fp32")
        self._encoder = Encoder(voxtral.load_processor(names.find("tiny")))
        self._model: Any = voxtral.prepare_training(voxtral.load_base(names.find("tiny"), precision), self._settings).train()
        self.heard = hearing(self._model, self._settings, precision)
        lines = [line.split("|") for line in (ROOT / "examples" / "demo_voice" / "metadata.csv").read_text(encoding="utf-8").splitlines()][:NUM_CLIPS]
        files = [(ROOT / "examples" / "demo_voice" / "wavs" / f"{name}.flac", text) for name, text, *_ in lines]
        self.examples = [self._encoder.example(audio.read(file), language="en", text=text) for file, text in files]
        self._given = self.examples if self.heard is None else begun(self.examples, self.heard.path)

    def rounds(self, batch_size: int, at_once: int) -> list[list[passes.Batch]]:
        """The clips cut as for training, what is frozen done."""
        found: list[list[passes.Batch]] = steps.collated(self._given, encoder=self._encoder, batch_size=batch_size, at_once=at_once)[steps.ROUNDS]
        return found

    def loss(self, batch: passes.Batch) -> torch.Tensor:
        """Of one pass."""
        return summed_loss(self._model, batch) / 100

    def one_by_one(self, rounds: list[list[passes.Batch]]) -> None:
        """As torch does it."""
        for batches in rounds:
            for batch in batches:
                self.loss(batch).backward()  # type: ignore[no-untyped-call, unused-ignore]

    def side_by_side(self, rounds: list[list[passes.Batch]]) -> None:
        """As voxtune does it."""
        for batches in rounds:
            passes.backward(self._model, batches, self.loss)


def _steps(options: Any) -> None:
    print("| scope | dropout | batch | one by one, ms | side by side, ms | ratio |\n|---|---|---|---|---|---|", flush=True)
    for scope in options.scopes:
        for dropout in (0.0, 0.05):
            training = _Training(scope, dropout)
            for batch_size in options.batches:
                whole, shared = training.rounds(batch_size, 1), training.rounds(batch_size, cores.count())
                found = _median_ms(options.turns, one=lambda: training.one_by_one(whole), side=lambda: training.side_by_side(shared))  # noqa: B023 - called here
                ratio = found["one"] / found["side"]
                print(f"| {scope} | {dropout:g} | {batch_size} | {found['one']:.1f} | {found['side']:.1f} | {ratio:.2f} |", flush=True)


def _tower(options: Any) -> None:
    training = _Training("language_model", 0.0)
    assert training.heard is not None, "the tower is frozen"
    path, chunks = training.heard.path, torch.cat([example.features for example in training.examples])
    found = _median_ms(options.turns, four=lambda: [path.begin(some) for some in chunks.split(4)], side=lambda: path.outputs(chunks))
    print(f"\nThe frozen tower, a chunk: four at a time {found['four']:.1f} ms, side by side {found['side']:.1f} ms, ratio {found['four'] / found['side']:.2f}")


def _spin() -> None:
    while True:
        pass


@contextmanager
def _busy(count: int) -> Iterator[None]:
    others = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(count)]
    for each in others:
        each.start()
    try:
        yield
    finally:
        for each in others:
            each.kill()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", nargs="+", type=int, default=[2, 4, 8])
    parser.add_argument("--scopes", nargs="+", default=["language_model", "all"])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--busy", type=int, default=0, help="other processes at work meanwhile")
    options = parser.parse_args()
    print(f"{cores.count()} cores, {options.busy} other processes at work; torch {torch.__version__}\n")
    with tempfile.TemporaryDirectory() as cache, _busy(options.busy):
        os.environ["VOXTUNE_CACHE"] = cache
        _steps(options)
        _tower(options)


if __name__ == "__main__":
    main()
