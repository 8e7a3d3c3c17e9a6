"""The loss of each step: its mean between log lines, and when it says that training has come to nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

from voxtune import files
from voxtune.errors import TrainingError

STATE_FILE = "losses.json"
PATIENCE = 5
"""Steps in a row with an exploded loss after which a run is given up."""


class Losses:
    """Losses of a run in nats a token. What it knows is part of each checkpoint, so that a resumed run logs and judges as if it had never stopped."""

    def __init__(self, learning_rate: float, clip_names: list[str]) -> None:
        self._learning_rate = learning_rate
        self._names = clip_names
        self._step = 0.0
        self._step_clips: list[int] = []
        self._first: float | None = None
        self._unlogged: list[float] = []
        self._exploded: list[int] = []
        self._exploded_clips: list[int] = []

    def add(self, loss: float, clips: list[int], *, step: int) -> None:
        """The share of one batch in the loss of a step. Raises TrainingError if it is no number."""
        if not math.isfinite(loss):
            raise self._given_up("diverged", f"the loss is {loss} at step {step}: training has diverged", clips)
        self._step += loss
        self._step_clips += clips

    def end_step(self, step: int) -> None:
        """The optimizer step is done. Raises TrainingError if the loss has been exploded for PATIENCE steps.

        Exploded is three times the loss before training and 3 nats above it: no warm-up goes that far and comes back.
        """
        loss, clips = self._step, self._step_clips
        self._step, self._step_clips = 0.0, []
        self._unlogged.append(loss)
        if self._first is None:
            self._first = loss
        if loss <= max(3 * self._first, self._first + 3):
            self._exploded, self._exploded_clips = [], []
            return
        if not self._exploded:
            self._exploded_clips = clips
        self._exploded.append(step)
        if len(self._exploded) >= PATIENCE:
            told = f"the loss exploded at step {self._exploded[0]}: it was {self._first:.2f} at the start and is {loss:.2f} at step {step}"
            raise self._given_up("exploded", told, self._exploded_clips)

    def take(self) -> float:
        """Mean loss of the steps since this was last asked."""
        mean = fmean(self._unlogged)
        self._unlogged = []
        return mean

    def _given_up(self, code: str, told: str, clips: list[int]) -> TrainingError:
        lower = float(f"{self._learning_rate / 5:.2g}")
        names = ", ".join(self._names[clip] for clip in clips[:8])
        hint = f"Start again with a lower --learning-rate (it was {self._learning_rate:g}; try {lower:g}), and listen to these clips."
        return TrainingError(f"{told}. The clips of that step: {names}.", hint=hint, code=code, suggestion={"learning_rate": lower})

    def save(self, checkpoint: Path) -> None:
        """Write what it knows into a checkpoint."""
        state = {"first": self._first, "unlogged": self._unlogged, "exploded": self._exploded, "exploded_clips": self._exploded_clips}
        files.write_json(checkpoint / STATE_FILE, state)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint."""
        state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
        self._first, self._unlogged = state["first"], list(state["unlogged"])
        self._exploded, self._exploded_clips = list(state["exploded"]), list(state["exploded_clips"])
