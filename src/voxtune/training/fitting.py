"""Settings that fit into the memory there is: chosen before the first step of a new run, and written where a resume and the card will read them."""

from __future__ import annotations

import ctypes
import logging
import os
from dataclasses import dataclass
from typing import Any

from voxtune import settings as settings_files
from voxtune.training import checkpoints, machine
from voxtune.training.budget import Need
from voxtune.training.events import Events
from voxtune.workspace import RunFolder

log = logging.getLogger("voxtune")

EVENT = "fitted"
_M_MMAP_THRESHOLD = -3  # malloc.h

_EFFECTS = {
    "batch_size": "the steps stay the same",
    "gradient_checkpointing": "slower, the same mathematics",
    "optimizer": "the optimizer's state is rounded to 8 bits, which changes the mathematics",
    "load_in_4bit": "QLoRA: the frozen weights are rounded to 4 bits, which changes the mathematics",
}


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What is done about the memory of a run."""

    need: Need
    """With the settings that are taken."""
    changes: dict[str, object]
    message: str
    """In words, for a person; empty where nothing is changed."""


def plan(need: Need) -> Fit:
    """The least change with which a run fits, unless --no-fit-memory asks for none; no change where it fits, and where nothing helps."""
    changes = need.fitted() if need.settings.fit_memory else {}
    if not changes:
        return Fit(need=need, changes={}, message="")
    after = need.of(settings_files.make({**need.settings.model_dump(), **changes}))
    named = "; ".join(f"{name}={_plain(value)}" + (f" ({_EFFECTS[name]})" if name in _EFFECTS else "") for name, value in changes.items())
    needed, free, then = (f"{size / 1e9:.1f} GB" for size in (need.estimate.total_bytes, need.available_bytes, after.estimate.total_bytes))
    told = f"memory is short (about {needed} needed, {free} free), so this is taken: {named}. About {then} are needed then"
    told += "; --no-fit-memory keeps what was asked for."
    return Fit(need=after, changes=changes, message=told)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def settle(run: RunFolder, need: Need, events: Events) -> Need:
    """What the run needs with settings that fit, which are in its settings.yaml from then on; a run that has a checkpoint goes on as it was."""
    if checkpoints.found(run.checkpoints):
        return need
    fit = plan(need)
    if fit.changes:
        asked = {name: getattr(need.settings, name) for name in fit.changes}
        events.say(EVENT, changes=fit.changes, asked=asked, message=fit.message)  # first: a resume must know what was asked for
        settings_files.save(fit.need.settings, run.settings)
        log.warning("%s", fit.message)
        if fit.changes.get("gradient_checkpointing") and need.device == "cpu":
            _give_back_at_once()
    return fit.need


def _give_back_at_once() -> None:
    """What training.runs asks of glibc for a run with checkpointing, asked of a process that is there already."""
    libc: Any = ctypes.CDLL(None)
    if machine.MMAP_VARIABLE not in os.environ and hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_MMAP_THRESHOLD, machine.MMAP_THRESHOLD_BYTES)
