"""What may stand for a model: `tiny`, a Hub id, a folder, a run. Loads no torch, so that wrong calls are refused at once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voxtune.errors import CallError, ModelError
from voxtune.workspace import RunFolder

TINY = "tiny"
DEFAULT_ON_GPU = "mistralai/Voxtral-Mini-3B-2507"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True, kw_only=True)
class ModelPlace:
    """Where weights are: a folder or Hub id for the base, and the adapter's folder if there is one."""

    name: str
    """As a person named it."""
    source: str
    """What from_pretrained is given for the weights and processor."""
    revision: str | None = None
    """Commit of a Hub model; None takes the newest."""
    adapter: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether the weights are in a folder of this machine, and not the Hub's to give."""
        return Path(self.source).is_dir()

    @property
    def pin(self) -> dict[str, Any]:
        """What from_pretrained is given so that it loads this commit and no other."""
        return {"revision": self.revision} if self.revision else {}


def tiny_folder() -> Path:
    """The shipped tiny Voxtral."""
    return Path(__file__).parent / "tiny"


def find(name: str) -> ModelPlace:
    """Where the model `name` is. Raises CallError for a name of nothing, ModelError for a folder without a model."""
    if name == TINY:
        return ModelPlace(name=name, source=str(tiny_folder()))
    path = Path(name)
    if path.is_dir():
        folder = RunFolder(path).model if RunFolder(path).settings.is_file() else path
        if not folder.is_dir():
            raise ModelError(f"the run {path} has no model yet.", hint="Let it finish, or go on with `voxtune train --resume`.")
        return _in_folder(name, folder)
    if path.exists():
        raise CallError(f"model {name} is a file; a folder with config.json and weights is needed.", hint="Give its folder.")
    if name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name):
        hint = f"Use `{TINY}`, a folder, or a Hub id such as {DEFAULT_ON_GPU}."
        raise CallError(f"there is no model {name!r}.", hint=hint)
    return ModelPlace(name=name, source=name)


def base_of(run: RunFolder, name: str) -> ModelPlace:
    """The model `name` that a run is trained on: one from the Hub at the commit that the run loaded when it began, if that was noted."""
    place = find(name)
    if place.is_local or not run.events.is_file():
        return place
    with run.events.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"machine"' in line and (revision := _noted(line, name)):
                return replace(place, revision=revision)
    return place


def _noted(line: str, name: str) -> str | None:
    """The commit of the model `name` in an event of a run."""
    try:
        base = json.loads(line)["base"]
        return str(base["revision"] or "") or None if base["name"] == name else None
    except (ValueError, KeyError, TypeError):
        return None  # another event, or half a line


def _in_folder(name: str, folder: Path) -> ModelPlace:
    if (folder / "adapter_config.json").is_file():
        adapter = _json(folder / "adapter_config.json")
        base, revision = adapter.get("base_model_name_or_path"), adapter.get("revision")
        if not isinstance(base, str) or not base:
            raise ModelError(f"{folder / 'adapter_config.json'} names no base model.", hint="Train again, or restore the file.")
        if not any(folder.glob("adapter_model.*")):
            raise ModelError(f"{folder} holds no adapter weights (adapter_model.safetensors).", hint="Copy it again, whole.")
        # The tiny model is part of voxtune: wherever it was installed when the adapter was trained, it is the one installed now.
        base = TINY if not Path(base).is_dir() and Path(base).parts[-3:] == tiny_folder().parts[-3:] else base
        place = find(base)
        pinned = revision if isinstance(revision, str) and revision and not place.is_local else None
        return ModelPlace(name=name, source=place.source, revision=pinned, adapter=folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no model: there is no config.json in it.", hint="Give a folder with config.json, weights and processor files.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} holds no weights (*.safetensors).", hint="Copy or download it again, whole.")
    kind = _json(folder / "config.json").get("model_type")
    if kind != "voxtral":
        raise ModelError(f"{folder} is a {kind!r} model, not a Voxtral.", hint=f"Use `{TINY}` or a Voxtral such as {DEFAULT_ON_GPU}.")
    return ModelPlace(name=name, source=str(folder))


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}.", hint="Copy the model again, whole.") from None
    if not isinstance(value, dict):
        raise ModelError(f"{file} is not a JSON object.", hint="Copy the model again, whole.")
    return value
