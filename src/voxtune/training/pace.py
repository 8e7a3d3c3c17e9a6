"""How fast a run goes, how long it will still take, and the most memory it took: measured while it runs."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections import deque
from statistics import fmean

from voxtune.settings import TrainSettings

_RECENT = 20


class Pace:
    """Times steps and validations. The first of each is slower than the rest (caches, allocators) and counts only until there are others."""

    def __init__(self) -> None:
        self._steps_s: deque[float] = deque(maxlen=_RECENT)
        self._validations_s: deque[float] = deque(maxlen=_RECENT)
        self._began = 0.0
        self._first = {"step": True, "validation": True}

    def begin(self) -> None:
        """A step or a validation begins."""
        self._began = time.monotonic()

    def step_done(self) -> None:
        """The optimizer step that began is done."""
        self._note("step", self._steps_s)

    def validation_done(self) -> None:
        """The validation that began is done."""
        self._note("validation", self._validations_s)

    def _note(self, what: str, times_s: deque[float]) -> None:
        if len(times_s) == 1 and self._first[what]:
            times_s.clear()
            self._first[what] = False
        times_s.append(time.monotonic() - self._began)

    @property
    def step_s(self) -> float | None:
        """Seconds of one optimizer step, the mean of the last ones."""
        return fmean(self._steps_s) if self._steps_s else None

    @property
    def validation_s(self) -> float | None:
        """Seconds of one validation, the mean of the last ones."""
        return fmean(self._validations_s) if self._validations_s else None

    def seconds_left(self, steps: int, validations: int) -> float | None:
        """Estimate for as many steps and validations; None before the first step."""
        if self.step_s is None:
            return None
        return round(steps * self.step_s + validations * (self.validation_s or 0.0), 1)


def steps_an_epoch(settings: TrainSettings, num_clips: int) -> int:
    """Optimizer steps in which all training clips pass once, as transformers' Trainer takes them."""
    batches = math.ceil(num_clips / settings.batch_size)
    return max(1, math.ceil(batches / settings.gradient_accumulation_steps))


def total_steps(settings: TrainSettings, num_clips: int) -> int:
    """Optimizer steps of a whole run."""
    return math.ceil(settings.epochs * steps_an_epoch(settings, num_clips))


def validations_left(*, step: int, total_steps: int, eval_steps: int, epoch: float, epochs: float) -> int:
    """How many validations are still to come; `eval_steps` 0 is once an epoch."""
    if eval_steps:
        return math.ceil(total_steps / eval_steps) - step // eval_steps
    return max(0, math.ceil(epochs) - math.floor(epoch))


def peak_memory_bytes() -> int:
    """The most memory that this process took so far: on the GPU where there is one, else resident in RAM."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
