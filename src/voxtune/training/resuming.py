"""From which checkpoint a run goes on: the newest one that is whole and can be read."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState
from transformers.trainer_pt_utils import safe_globals

from voxtune.training import checkpoints
from voxtune.training.losses import STATE_FILE

TRAINER_STATE = "trainer_state.json"


def newest_usable(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """The newest checkpoint that can be trusted, and the damaged ones before it by name, each with what is wrong.

    Those are taken out of the row under another name; nothing is deleted.
    """
    damaged: dict[str, str] = {}
    for checkpoint in reversed(checkpoints.found(folder).values()):
        reason = checkpoints.flaw(checkpoint) or unreadable(checkpoint)
        if not reason:
            return checkpoint, damaged
        damaged[checkpoint.name] = reason
        checkpoints.set_aside(checkpoint, reason)
    return None, damaged


def unreadable(checkpoint: Path) -> str:
    """Why the state in a checkpoint cannot be read, or nothing. Nothing in it can run code: torch's files are read as plain tensors."""
    try:
        with safe_globals():  # numpy's arrays, in which numpy keeps its random state
            for path in sorted([*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]):
                torch.load(path, map_location="cpu", weights_only=True)
        state_of(checkpoint)
        json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, KeyError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        return f"its state cannot be read: {lines[0]}"
    return ""


def state_of(checkpoint: Path) -> TrainerState:
    """Where the trainer was."""
    state: TrainerState = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE))
    return state


def patience_so_far(state: TrainerState) -> int:
    """Validations without a better WER before the checkpoint, as transformers' own callback counted them."""
    kept: Any = state.stateful_callbacks  # a dict once it was read from JSON
    return int(kept.get("EarlyStoppingCallback", {}).get("attributes", {}).get("early_stopping_patience_counter", 0))
