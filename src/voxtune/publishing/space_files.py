"""The files of a demo Space: our app, what it is to serve, the versions it is to run with, and the Hub's settings of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

from voxtune import files
from voxtune.errors import CallError
from voxtune.languages import LANGUAGES
from voxtune.model import names
from voxtune.publishing.card_text import front_matter, plain
from voxtune.publishing.run_record import RunRecord

TEMPLATE = Path(__file__).parent / "templates" / "space"
_APP = ("app.py", "app.css", "serving.py", "sound.py")
_MADE = ("README.md", "requirements.txt", "demo.json")

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "mistral-common", "numpy", "soundfile", "soxr", "av")
_ZERO_GPU_TORCH = Version("2.11.0")
"""The newest that ZeroGPU takes."""
PYTHON = "3.12"
_GRADIO = "6.31.0"
_LARGE_BYTES = 2e9
_HARDWARE = ((2e9, "cpu-basic"), (14e9, "l4x1"), (40e9, "l40sx1"), (float("inf"), "a100-large"))
"""What the weights of a model, in bytes, fit on with what they work with."""


_NO_BASE = {
    True: "The practice model that it was tuned from comes with voxtune, and is not on the Hub.",
    False: "The base model is not on the Hub.",
}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One model at the Hub, by the files that must be there."""

    repo: str
    revision: str
    sha256: Mapping[str, str]
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a Space is to serve."""

    repo: str
    record: RunRecord
    model: Weights
    base: Weights | None
    """Needed by an adapter; of whole weights only compared with, where it is on the Hub."""
    on_zero_gpu: bool = False

    @property
    def is_adapter(self) -> bool:
        """Whether the model is its base with an adapter on it."""
        return self.record.what == "adapter"

    @property
    def title(self) -> str:
        """The name of the model's repository, in words."""
        words = self.model.repo.split("/")[-1].replace("-", " ").replace("_", " ").strip()
        return words[:1].upper() + words[1:]

    @property
    def num_bytes(self) -> int:
        """Of the largest model that it loads."""
        return max(self.model.num_bytes, self.base.num_bytes if self.base else 0)

    @property
    def hardware(self) -> str:
        """On what it should run, by the Hub's name."""
        return next(name for limit, name in _HARDWARE if self.num_bytes <= limit)


def stage(demo: Demo, folder: Path) -> None:
    """Put all files of a demo's Space into `folder`; the same ones for the same demo."""
    for name in _APP:
        files.put(folder / name, (TEMPLATE / name).read_bytes())
    files.put(folder / "demo.json", (json.dumps(_told(demo), ensure_ascii=False, indent=2) + "\n").encode())
    files.put(folder / "requirements.txt", requirements(on_zero_gpu=demo.on_zero_gpu).encode())
    files.put(folder / "README.md", _readme(demo).encode())


def is_ours(path: str) -> bool:
    """Whether a file of a Space is one that `stage` writes."""
    return path in (*_APP, *_MADE)


def _told(demo: Demo) -> dict[str, Any]:
    """demo.json."""
    record, base = demo.record, demo.base
    found = record.evaluation
    return {
        "title": demo.title,
        "kind": "adapter" if demo.is_adapter else "full",
        "model": demo.model.repo,
        "revision": demo.model.revision,
        "sha256": dict(demo.model.sha256),
        "base": base.repo if base else None,
        "base_revision": base.revision if base else None,
        "base_sha256": dict(base.sha256) if base else {},
        "base_missing": "" if base else _NO_BASE[record.base == names.TINY],
        "base_name": "Voxtral's practice model" if record.base == names.TINY else record.base.split("/")[-1] if record.base else "Voxtral",
        "languages": _languages(record),
        "language": record.settings.language or next(iter(record.languages), None),
        "evaluation": found and {"num_clips": found.num_clips, "base": found.base.wer, "tuned": found.tuned.wer, "verdict": found.verdict},
    }


def _languages(record: RunRecord) -> list[dict[str, Any]]:
    """Those of the recordings first; then Voxtral's others, of which the practice model knows none."""
    own = list(dict.fromkeys(code for code in (record.settings.language, *record.languages) if code))
    others = [] if record.base == names.TINY else sorted(set(LANGUAGES) - set(own), key=lambda code: LANGUAGES[code].name.casefold())
    return [{"code": code, "name": LANGUAGES[code].name if code in LANGUAGES else code, "own": code in own} for code in [*own, *others]]


def requirements(*, on_zero_gpu: bool) -> str:
    """requirements.txt: the versions of this machine, with which the model was made. Gradio's is the Space's own setting.

    ZeroGPU takes no newer PyTorch than 2.11, and brings its own package `spaces`.
    """
    pins = {name: pin(name) for name in _PACKAGES}
    if on_zero_gpu:
        pins["torch"] = f"=={min(_ZERO_GPU_TORCH, Version(pins['torch'].removeprefix('==')) if pins['torch'].startswith('==') else _ZERO_GPU_TORCH)}"
    return "".join(f"{name}{pin}\n" for name, pin in pins.items())


def pin(package: str) -> str:
    """The version that is here; where it is not here, what voxtune asks for."""
    try:
        return f"=={Version(metadata.version(package)).public}"
    except metadata.PackageNotFoundError:
        asked = [Requirement(line) for line in metadata.requires("voxtune") or []]
        return next((str(each.specifier) for each in asked if each.name.replace("_", "-") == package), "")


def gradio_version() -> str:
    """The version of Gradio that a Space is built with: this machine's, else the one that the app was written with."""
    try:
        return Version(metadata.version("gradio")).public
    except metadata.PackageNotFoundError:
        return _GRADIO


def _readme(demo: Demo) -> str:
    record, base = demo.record, demo.base
    metadata_ = {
        "title": demo.title,
        "emoji": "🎙️",
        "colorFrom": "green",
        "colorTo": "blue",
        "sdk": "gradio",
        "sdk_version": gradio_version(),
        "python_version": PYTHON,
        "app_file": "app.py",
        "models": [demo.model.repo, *([base.repo] if base else [])],
        "datasets": [record.data.repo] if record.data.repo and not record.data.private else None,
        "tags": ["voxtune", "voxtral", "automatic-speech-recognition"],
        "short_description": "Speech to text, tuned on one voice",
        "suggested_hardware": "zero-a10g" if demo.on_zero_gpu else demo.hardware,
        "startup_duration_timeout": "1h" if demo.num_bytes > _LARGE_BYTES else None,
        "license": "apache-2.0",
        "pinned": False,
    }
    body = Template((TEMPLATE / "README.md").read_text(encoding="utf-8"))
    served = f"`{demo.model.repo}` at `{demo.model.revision}`" + (f", an adapter over `{base.repo}` at `{base.revision}`" if base and demo.is_adapter else "")
    language = record.settings.language or next(iter(record.languages), "")
    return front_matter(metadata_) + body.substitute(title=plain(demo.title), served=served, repo=demo.repo, language=language)


def weights(repo: str, revision: str, sizes: Mapping[str, int], sha256: Mapping[str, str]) -> Weights:
    """The weights of a model as transformers and peft load them, among all its files. Raises CallError where there are none."""
    kept = {
        name: said
        for name, said in sorted(sha256.items())
        if name == "adapter_model.safetensors" or (name.startswith("model") and name.endswith(".safetensors"))
    }
    if not kept:
        raise CallError(f"there are no weights in {repo} at {revision[:12]}.", hint="Publish the model again: voxtune push model")
    return Weights(repo=repo, revision=revision, sha256=kept, num_bytes=sum(sizes[name] for name in kept))
