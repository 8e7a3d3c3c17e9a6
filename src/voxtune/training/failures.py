"""Why a run failed, in words that a person can act on, under a code that a program can."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voxtune import files
from voxtune.errors import AudioError, DiskFullError, MissingDependencyError, TrainingError, VoxtuneError
from voxtune.workspace import RunFolder

CODES = {
    "out_of_memory_gpu": "The GPU has too little memory for these settings.",
    "out_of_memory": "The machine has too little memory for these settings.",
    "disk_full": "There is no room for checkpoints.",
    "diverged": "The loss is no number any more.",
    "exploded": "The loss stays far above what it was before training.",
    "clip": "One clip cannot be read any more.",
    "data": "The dataset cannot be used.",
    "model": "The model cannot be loaded, or is damaged.",
    "not_found": "There is no such model on the Hub.",
    "no_token": "The Hub wants to know who asks.",
    "gated": "The model's terms have to be accepted first.",
    "no_network": "The Hub cannot be reached.",
    "versions": "A package is missing or of a version that does not do.",
    "settings": "A setting does not fit this model or machine.",
    "call": "What was asked for cannot be done.",
    "died": "The process ended without a word.",
    "unexpected": "None of the above: please report it.",
}
"""Every code that a failed run may have in status.json."""

SmallerSettings = Callable[[], dict[str, object] | None]
"""Settings with which less memory is used, for one that failed for want of it; None where nothing helps."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What is told of a failed run."""

    code: str
    message: str
    hint: str
    suggestion: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.code in CODES, f"{self.code} is not in the closed set"

    def as_status(self) -> dict[str, Any]:
        """As status.json has it."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "suggestion": self.suggestion}


def tell(error: BaseException | None, smaller: SmallerSettings, *, place: RunFolder) -> Failure:
    """The failure that `error` means."""
    if is_full(error):
        error = error if isinstance(error, DiskFullError) else DiskFullError(place.path, need_bytes=None, have_bytes=files.free_bytes(place.path))
    if isinstance(error, TrainingError):
        return Failure(code=error.code, message=error.message, hint=error.hint, suggestion=error.suggestion)
    if isinstance(error, DiskFullError):
        return Failure(code="disk_full", message=error.message, hint=f"Free some space, then go on with --resume --output {place.shell}.")
    if isinstance(error, AudioError):
        hint = f"{error.hint} Then go on with --resume --output {place.shell}.".strip()
        return Failure(code="clip", message=error.message, hint=hint)
    if isinstance(error, VoxtuneError):
        return Failure(code=error.code if error.code in CODES else "call", message=error.message, hint=error.hint)
    if (device := out_of_memory(error)) is not None:
        return lack_of_memory(device, smaller())
    if isinstance(error, ImportError):
        told = f"{error.name} is not installed." if isinstance(error, ModuleNotFoundError) else f"{error.name or 'a package'} does not fit: {error}"
        return tell(MissingDependencyError(told, hint="pip install 'voxtune[train]'; `voxtune doctor` lists what is there."), smaller, place=place)
    if isinstance(error, OSError):
        return Failure(code="unexpected", message=str(error), hint=f"Check disk and permissions, then go on with --resume --output {place.shell}.")
    told = "the run ended unexpectedly" if error is None else f"{type(error).__name__}: {error}"
    return Failure(code="unexpected", message=told, hint=f"{place.log} says more; `voxtune doctor --bundle` packs what a report needs.")


def lack_of_memory(device: str, smaller: dict[str, object] | None) -> Failure:
    """The failure of a run for which there was too little memory on `device` (cpu or cuda)."""
    flags = " ".join(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in (smaller or {}).items())
    hint = f"Start again with {flags}." if flags else "Close other programs, or train a smaller model or on a machine with more memory."
    if device == "cuda":
        return Failure(code="out_of_memory_gpu", message="the GPU is out of memory.", hint=hint, suggestion=smaller or {})
    return Failure(code="out_of_memory", message="the machine is out of memory.", hint=hint, suggestion=smaller or {})


def out_of_memory(error: BaseException | None) -> str | None:
    """On which device (cpu or cuda) memory ran out, if that is what the error says. Loads no torch: the classes are told by name."""
    if isinstance(error, MemoryError):
        return "cpu"
    if any(kind.__name__ in ("OutOfMemoryError", "AcceleratorError") for kind in type(error).__mro__) and "out of memory" in str(error):
        return "cuda"
    # torch's CPU allocator raises a plain RuntimeError, and the system's own word for it comes through others.
    if isinstance(error, RuntimeError) and re.search(r"can't allocate memory|not enough memory|Cannot allocate memory|bad_alloc", str(error)):
        return "cpu"
    return "cpu" if isinstance(error, OSError) and error.errno == errno.ENOMEM else None


def is_full(error: BaseException | None) -> bool:
    """Whether the disk was full; safetensors and torch say so in a text alone."""
    if isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in files.FULL):
        return True
    said = str(error)
    # torch's writer of zip archives reports a short write by this name.
    return "No space left on device" in said or "os error 28" in said or (isinstance(error, RuntimeError) and "unexpected pos" in said)
