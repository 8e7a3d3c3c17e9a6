"""Whether the packages that voxtune needs are there and fit, told from their metadata alone: none of them is loaded."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import InvalidVersion

from voxtune.errors import MissingDependencyError

TOLD = (
    *("torch", "transformers", "peft", "accelerate", "safetensors", "mistral-common", "huggingface_hub", "hf_xet", "trackio", "gradio"),
    *("datasets", "bitsandbytes", "jiwer", "whisper-normalizer", "soundfile", "soxr", "numpy", "pydantic", "click", "rich"),
)
"""Packages whose versions a bug report must name."""


@dataclass(frozen=True)
class VersionProblem:
    """A package that is missing, or of a version that voxtune does not work with."""

    package: str
    required: str
    """As pip takes it, such as `<6,>=5.10`; empty where any version does."""
    found: str | None
    """None where it is not installed."""

    def __str__(self) -> str:
        needed = f" (voxtune needs {self.required})" if self.required else ""
        return f"{self.package} {self.found or 'is not installed'}{needed}"


def problems(extra: str = "train") -> list[VersionProblem]:
    """Every package that keeps voxtune with `extra` from working, in the order of its own requirements."""
    try:
        lines = metadata.requires("voxtune") or []
    except metadata.PackageNotFoundError:
        return [VersionProblem("voxtune", "", None)]
    found = []
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            version = _version(requirement.name)
            if version is None or not _fits(requirement, version):
                found.append(VersionProblem(requirement.name, str(requirement.specifier), version))
    return found


def check(extra: str = "train") -> None:
    """Raise MissingDependencyError, naming each package that is missing or does not fit, with the pip command that mends it."""
    if wrong := problems(extra):
        raise MissingDependencyError(f"{'; '.join(map(str, wrong))}.", hint=pip_command(wrong))


def pip_command(wrong: Sequence[VersionProblem]) -> str:
    """What to type so that these packages fit."""
    return shlex.join(["pip", "install", *(f"{problem.package}{problem.required}" for problem in wrong)])


def installed() -> dict[str, str | None]:
    """Python, voxtune and the packages it works with, each with its version, or None where it is not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in ("voxtune", *TOLD)}}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package) or None  # a folder whose metadata were lost names no version
    except metadata.PackageNotFoundError:
        return None


def _fits(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False
