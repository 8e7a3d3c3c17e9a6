"""The run that is being set up: what the fields of the page come to, and what they begin with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voxtune import files
from voxtune.errors import DiskFullError, VoxtuneError
from voxtune.model.names import TINY
from voxtune.settings import TrainSettings
from voxtune.studio import estimating, machine, measuring, models, readiness, run_fields
from voxtune.studio.access import Room
from voxtune.studio.estimating import Data, Estimate
from voxtune.studio.readiness import Finding
from voxtune.studio.run_fields import NAMES
from voxtune.studio.words import Words
from voxtune.training import presets
from voxtune.training.presets import PRESETS

CUSTOM = "custom"
"""What stands for a preset once a person changed a field."""

FIRST = "balanced"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What the fields come to; None stands for what could not be made of them."""

    settings: TrainSettings | None = None
    data: Data | None = None
    estimate: Estimate | None = None
    findings: list[Finding]
    """The worst first."""

    @property
    def is_ready(self) -> bool:
        """Whether the run can begin."""
        return self.settings is not None and not any(each.hard for each in self.findings)

    def is_timed(self, room: Room) -> bool:
        """Whether its time was measured, or is being."""
        place = room.workspace.path
        return self.settings is not None and (measuring.is_measuring(place, self.settings) or measuring.look(place, self.settings) is not None)


def of_fields(room: Room, values: Sequence[Any], said: Words) -> Draft:
    """The run of the values that stand in the fields, with everything that is to say of it."""
    data, found = _data(room)
    try:
        settings = run_fields.read(values, data=str(room.folder.path), said=said)
        settings = settings.model_copy(update={"model": models.allowed(room.workspace.path, settings.model)})
    except VoxtuneError as error:
        return Draft(data=data, findings=[*found, readiness.of_settings(error)])
    if data is None:
        return Draft(settings=settings, findings=found)
    known, outputs = machine.look(room.workspace.path), room.workspace.outputs
    estimate = estimating.of(settings, data, known, outputs)
    found = [*found, *readiness.of_run(settings, data, estimate, known, outputs)]
    return Draft(settings=settings, data=data, estimate=estimate, findings=sorted(found, key=lambda each: not each.hard))


def _data(room: Room) -> tuple[Data | None, list[Finding]]:
    try:
        data = estimating.data_of(room.folder.path)
    except VoxtuneError as error:
        return None, [readiness.of_settings(error)]
    return data, readiness.of_data(data)


def by_preset(room: Room, preset: str, model: str | None) -> list[Any]:
    """The fields as a preset has them for a model, these recordings, and the memory of this machine."""
    assert preset in PRESETS, "else there is nothing to fill in"
    data, _ = _data(room)
    model = model or TINY
    settings = presets.settings(preset, data=str(room.folder.path), model=model, num_clips=data.num_training if data else 0)
    smaller = None
    with contextlib.suppress(VoxtuneError):  # what is wrong with the model is told beside the summary
        named = settings.model_copy(update={"model": models.allowed(room.workspace.path, model)})
        smaller = estimating.of(named, data, machine.look(room.workspace.path), room.workspace.outputs).smaller if data else None
    return run_fields.values_of(settings, smaller or {})


def begin(room: Room) -> tuple[str, list[Any]]:
    """The preset and the fields to show first: those that were on the page last, or a run that suits this machine.

    A preset is filled in anew, for there may be more recordings by now, or more may be known of the machine.
    """
    before = _kept(room)
    preset, values = before.get("preset"), before.get("values", {})
    if preset == CUSTOM and set(values) == set(NAMES):
        return CUSTOM, [values[name] for name in NAMES]
    if preset in PRESETS:
        return preset, by_preset(room, preset, str(values.get("model") or ""))
    known = machine.look(room.workspace.path)
    return FIRST, by_preset(room, FIRST, known.suggested_model if known else TINY)


def _kept(room: Room) -> dict[str, Any]:
    try:
        found = json.loads((room.workspace.private / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("values"), dict) else {}


def keep(room: Room, preset: str, values: Sequence[Any]) -> None:
    """Remember what a person chose, so that a reload of the page loses nothing."""
    chosen = {"preset": preset, "values": dict(zip(NAMES, values, strict=True))}
    if _kept(room) == chosen:
        return
    with contextlib.suppress(DiskFullError):  # told where a run would begin
        files.write_json(room.workspace.private / "training.json", chosen)
