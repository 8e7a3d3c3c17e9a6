"""What gpu_shapes.py measures, part by part; one that fails is told and the others go on."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from typing import Any

import torch

from benchmarks.shapes import ceiling, generating, kernels, models, preparing
from benchmarks.shapes.stepping import Figures, Ours, Training, Usual, release
from voxtune.errors import VoxtuneError
from voxtune.model import voxtral
from voxtune.model.names import ModelPlace
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings, make

SCOPES = ("language model", "top tower layers", "all")
"""What of LoRA trains, by what is printed; the first is what the usual recipe means to train."""
USUAL = "usual recipe"
SAME = "language model, as the usual recipe"
QLORA = ("QLoRA, language model", "QLoRA, all")
FULL = ("full, adamw_8bit", "full")
PARTS = ("ceiling", "usual", "same", *SCOPES, "qlora", "full", "processor", "generation")
USUAL_BATCH, USUAL_STEP = 2, 8
MEMORY_BATCH = 8
PROCESSOR_CLIP_S = 4.0
_TOP_LAYERS = {"3b": 4, "tiny": 1}
_VERSIONS = ("torch", "transformers", "peft", "bitsandbytes", "liger_kernel")


def settings_of(shape: str, name: str, lora_dropout: float = 0.0) -> TrainSettings:
    """The settings behind a name."""
    ways: dict[str, dict[str, object]] = {
        "language model": {"lora_scope": "language_model"},
        "top tower layers": {"train_tower_layers": _TOP_LAYERS[shape]},
        "all": {},
        SAME: {"lora_scope": "language_model"},
        USUAL: {},
        QLORA[0]: {"lora_scope": "language_model", "load_in_4bit": True},
        QLORA[1]: {"load_in_4bit": True},
        FULL[0]: {"method": "full", "optimizer": "adamw_8bit"},
        FULL[1]: {"method": "full"},
    }
    return make({"data": "-", "lora_dropout": lora_dropout, **ways[name]})


class Parts:
    """All of them, and what they found so far, as it is written to JSON; `done` is called after each."""

    def __init__(self, options: Any, precision: Precision, done: Callable[[], None]) -> None:
        self._options = options
        self._done = done
        self._precision = precision
        self._began = time.monotonic()
        self._config = models.sizes(options.model_shape)
        self._encoder = models.encoder()
        count = max(*options.batches, *options.generate_batches, USUAL_STEP)
        self._clips = models.clips(self._encoder, self._config, count)
        self.found: dict[str, Any] = {"about": self._about(), "ceiling": None, "steps": [], "hearing_s": {}, "loading_bytes": {}}
        self.found |= {"profiles": {}, "generation": [], "processor": {}, "skipped": []}

    def run(self, wanted: Collection[str]) -> None:
        """Measure one part after the other, those first that the targets are about."""
        parts: dict[str, Callable[[], None]] = {
            "ceiling": self._ceiling,
            "usual": self._usual,
            "same": self._same,
            **{name: partial(self._scope, name) for name in SCOPES},
            "qlora": self._four_bit,
            "full": self._full,
            "processor": self._processor,
            "generation": self._generation,
        }
        for name, part in parts.items():
            if name in wanted:
                self._try(name, part)

    def _try(self, name: str, part: Callable[[], object]) -> bool:
        """Whether it was done."""
        reason = self._went_wrong(part)
        # Not before: an error holds the frames, and they hold the tensors.
        release()
        if reason:
            self.found["skipped"].append({"part": name, "reason": reason})
        print(f"{time.monotonic() - self._began:6.1f} s  {name}{': ' + reason if reason else ''}", file=sys.stderr, flush=True)
        self._done()
        return not reason

    def _went_wrong(self, part: Callable[[], object]) -> str:
        """Why it was not done, or nothing."""
        if time.monotonic() - self._began >= self._options.budget_s:
            return f"--budget-s {self._options.budget_s:g} was spent"
        try:
            part()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are wanted on a machine that is lent for minutes
            if not isinstance(error, (torch.OutOfMemoryError, VoxtuneError)):
                traceback.print_exc(file=sys.stderr)
            return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]
        return ""

    def _about(self) -> dict[str, str]:
        cuda = self._precision.device == "cuda"
        chip = torch.cuda.get_device_name() if cuda else f"{os.cpu_count()} CPU cores, {platform.machine()}"
        versions = {}
        for name in _VERSIONS:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                versions[name] = "none"
        driver = {"CUDA": str(torch.version.cuda)} if cuda else {}
        return {"date": datetime.now(UTC).date().isoformat(), "chip": chip, "shape": self._options.model_shape, **versions, **driver}

    def _ceiling(self) -> None:
        self.found["ceiling"] = ceiling.flops_a_second(self._precision)

    def _usual(self) -> None:
        base, settings = models.base(self._config, self._precision), settings_of(self._options.model_shape, USUAL)
        self._measure(USUAL, Usual(base, settings, self._precision, self._encoder, self._clips), USUAL_STEP, USUAL_BATCH)

    def _same(self) -> None:
        """Ours with the adapters that the usual recipe means to have, its dropout and its steps."""
        trained = self._ours(SAME, 0.0)
        self._measure(SAME, trained, USUAL_STEP, USUAL_BATCH)
        self._measure(SAME, trained, USUAL_STEP, USUAL_STEP)

    def _scope(self, name: str) -> None:
        trained = self._ours(name, self._options.lora_dropout)
        self.found["hearing_s"][name] = trained.hearing_s
        done: list[Figures] = []
        for clips in self._options.batches:
            # A larger batch will not fit where a smaller one did not.
            if not self._try(f"{name}, batch {clips}", lambda clips=clips: done.append(self._measure(name, trained, clips, clips))):  # type: ignore[misc]
                break
        if done:
            self._try(f"{name}, profile", partial(self._profile, name, trained, done))

    def _profile(self, name: str, trained: Ours, done: list[Figures]) -> None:
        best = max(done, key=lambda each: each.clips / each.seconds)
        seen = kernels.profile_step(partial(trained.step, best.clips, best.together), best.seconds, self._precision)
        self.found["profiles"][name] = {"clips": best.clips, **dataclasses.asdict(seen)}

    def _four_bit(self) -> None:
        """Through from_pretrained, as a run loads it: that is what quantises."""
        voxtral.four_bit()  # refuses where it cannot be
        with tempfile.TemporaryDirectory() as folder:
            models.base(self._config, self._precision).save_pretrained(folder)
            for name in QLORA:
                self._try(name, partial(self._quantised, name, folder))

    def _quantised(self, name: str, folder: str) -> None:
        release()
        torch.cuda.reset_peak_memory_stats()
        base = voxtral.load_base(ModelPlace(name=name, source=folder), self._precision, in_4bit=True)
        self.found["loading_bytes"][name] = torch.cuda.max_memory_allocated()
        trained = Ours(base, settings_of(self._options.model_shape, name, self._options.lora_dropout), self._precision, self._encoder, self._clips)
        self._measure(name, trained, MEMORY_BATCH, MEMORY_BATCH)

    def _full(self) -> None:
        for name in FULL:
            self._try(name, lambda name=name: self._measure(name, self._ours(name, 0.0), MEMORY_BATCH, MEMORY_BATCH))  # type: ignore[misc]

    def _generation(self) -> None:
        """The growing cache first: compiling for the fixed one may take minutes."""
        trained = self._ours(SCOPES[0], self._options.lora_dropout)
        for cache in ("dynamic", "static"):
            for clips in self._options.generate_batches:
                self._try(f"generation, batch {clips}, {cache} cache", partial(self._generate, trained, clips, cache))

    def _generate(self, trained: Ours, clips: int, cache: str) -> None:
        speed = generating.speed(trained, self._encoder, clips, cache, self._options.tokens, max(1, self._options.repeats // 2))
        self.found["generation"].append(dataclasses.asdict(speed))

    def _processor(self) -> None:
        self.found["processor"] = preparing.seconds_a_clip(self._encoder, PROCESSOR_CLIP_S, self._options.repeats)

    def _ours(self, name: str, lora_dropout: float) -> Ours:
        settings = settings_of(self._options.model_shape, name, lora_dropout)
        if settings.optimizer == "adamw_8bit":
            voxtral.assure_bitsandbytes("optimizer adamw_8bit")
        release()
        return Ours(models.base(self._config, self._precision), settings, self._precision, self._encoder, self._clips)

    def _measure(self, name: str, trained: Training, clips: int, together: int) -> Figures:
        figures = trained.measure(clips, together, self._options.repeats)
        a_second = figures.flops / figures.seconds
        utilisation = a_second / self.found["ceiling"] if self.found["ceiling"] else None
        row = {"part": name, **dataclasses.asdict(figures), "clips_per_s": clips / figures.seconds, "utilisation": utilisation}
        self.found["steps"].append(row)
        return figures
