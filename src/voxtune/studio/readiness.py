"""What is missing before a run can begin, and what a person had better know: each with what to do about it."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path

from voxtune import versions
from voxtune.errors import VoxtuneError
from voxtune.model.names import TINY
from voxtune.phrases import practice
from voxtune.settings import TrainSettings
from voxtune.studio import models
from voxtune.studio.estimating import Data, Estimate
from voxtune.studio.machine import Machine

LEAST, ADVISED = 3, 20
"""Sentences without which there is no split, and from which on a difference can be seen."""

OF_MACHINE = frozenset(
    {"torch", "packages", "torch_broken", "unknown_machine", "gpu", "four_bit", "bf16", "offline", "silent", "token", "memory", "memory_smaller"}
)
"""Findings that another look at the machine may be rid of."""

_WORD = re.compile(r"[^\W\d_]+")
_PRACTICE = frozenset(practice.words())


@dataclass(frozen=True)
class Finding:
    """Something about a run; the words are setup.need.CODE and setup.do.CODE."""

    code: str
    hard: bool
    """Whether the run cannot begin."""
    values: dict[str, object] = field(default_factory=dict)
    command: str = ""
    """What to type in a terminal."""
    link: str = ""
    step: str = ""
    """The step of the page where it is put right."""


def of_data(data: Data | None) -> list[Finding]:
    """What the recordings lack."""
    if data is None:
        return [Finding("no_dataset", True, step="dataset")]
    if data.num_bad_lines:
        return [Finding("bad_lines", True, {"n": data.num_bad_lines}, step="dataset")]
    if data.num_sentences < LEAST or not data.num_training:
        return [Finding("few", True, {"n": data.num_sentences, "least": LEAST}, step="recordings")]
    return [Finding("some", False, {"n": data.num_sentences, "advised": ADVISED}, step="recordings")] if data.num_sentences < ADVISED else []


def of_settings(error: VoxtuneError) -> Finding:
    """What is wrong with a setting or the model that was named."""
    return Finding("settings", True, {"message": error.message, "hint": "" if error.hint.startswith("`voxtune") else error.hint})


def of_run(settings: TrainSettings, data: Data, estimate: Estimate, machine: Machine | None, outputs: Path) -> list[Finding]:
    """What this machine lacks for a run of these settings, the worst first."""
    found = _of_machine(settings, machine)
    if not any(each.code == "gpu" and each.hard for each in found):  # else the rest is of no use to anyone
        found += [*_of_model(settings, machine), *_of_room(estimate, outputs)]
    if settings.model == TINY:
        found += _of_practice(data)
    return sorted(found, key=lambda each: not each.hard)


def _of_machine(settings: TrainSettings, machine: Machine | None) -> list[Finding]:
    if importlib.util.find_spec("torch") is None:
        return [Finding("torch", True, command="pip install 'voxtune[train]'")]
    if wrong := versions.problems():
        return [Finding("packages", True, {"message": "; ".join(map(str, wrong))}, command=versions.pip_command(wrong))]
    shape = models.shape(settings.model)
    wide = shape is None or shape.numbers()[0] >= models.NEEDS_GPU
    if machine is None:
        return [Finding("looking", True)] if wide else []
    if machine.problem:
        return [Finding("unknown_machine", False, command="voxtune doctor")]
    if not machine.torch:
        return [Finding("torch_broken", True, command="voxtune doctor")]
    found = []
    if wide and machine.gpu is None:
        # A model of unknown size may be small: the run says more once its config.json is here.
        found.append(Finding("gpu", shape is not None, {"model": settings.model, "advice": machine.gpu_advice}))
    if settings.load_in_4bit and machine.gpu is None:
        found.append(Finding("four_bit", True))
    elif settings.load_in_4bit and importlib.util.find_spec("bitsandbytes") is None:
        found.append(Finding("bitsandbytes", True, command="pip install bitsandbytes"))
    if settings.precision == "bf16" and machine.gpu is not None and not machine.gpu.bf16:
        found.append(Finding("bf16", True, {"gpu": machine.gpu.name}))
    return found


def _of_model(settings: TrainSettings, machine: Machine | None) -> list[Finding]:
    """Whether weights that are not here can be had."""
    if machine is None or models.is_here(settings.model):
        return []
    if machine.hub == "offline":
        return [Finding("offline", True, {"model": settings.model})]
    found = [Finding("silent", False, {"model": settings.model})] if machine.hub == "silent" else []
    link = f"https://huggingface.co/{settings.model}"
    code = "terms" if machine.has_token else "token"
    return [*found, Finding(code, False, {"model": settings.model}, command="" if machine.has_token else "hf auth login", link=link)]


def _of_room(estimate: Estimate, outputs: Path) -> list[Finding]:
    found = []
    if not estimate.has_room:
        assert estimate.checkpoint_bytes is not None, "else there would be room"
        found.append(Finding("disk", True, {"need": 2 * estimate.checkpoint_bytes, "free": estimate.free_bytes, "folder": outputs}))
    if not estimate.fits:
        code = "memory_smaller" if estimate.smaller else "memory"
        found.append(Finding(code, False, {"need": estimate.memory_bytes or 0, "free": estimate.available_bytes or 0}))
    return found


def _of_practice(data: Data) -> list[Finding]:
    """The tiny model knows about a hundred words; others it can only learn by heart."""
    new = [[word for word in _WORD.findall(text.lower()) if word not in _PRACTICE] for text in data.texts]
    strange = sum(map(bool, new))
    if not strange:
        return []
    some = list(dict.fromkeys(word for words in new for word in words))[:4]
    return [Finding("practice", False, {"n": strange, "all": len(data.texts), "words": ", ".join(some), "known": len(_PRACTICE)}, step="phrases")]
