"""Building a Space: its files in a folder, its README and requirements looked at as the Hub does before it starts anything."""

from __future__ import annotations

import importlib.metadata
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from tests.support.hub.cards import front_matter
from tests.support.hub.metadata import problems
from tests.support.hub.state import Hub, RefusalError, Repo


class BuildError(Exception):
    """Why there is nothing to start; `stage` is what the Hub then says."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


@dataclass(frozen=True)
class Plan:
    """What to start."""

    folder: Path
    app_file: str
    card: dict[str, Any]
    log: str


def checked_out(hub: Hub, repo: Repo, folder: Path) -> Plan:
    """The files of a Space in `folder`."""
    files = repo.files("main")
    if "README.md" not in files:
        raise BuildError("CONFIG_ERROR", "Missing configuration in README")
    try:
        card = front_matter(hub.blob(files["README.md"]).read_text(errors="replace"))
    except RefusalError as refusal:
        raise BuildError("CONFIG_ERROR", refusal.message) from refusal
    errors, _ = problems(card, "space")
    if errors or not card:
        raise BuildError("CONFIG_ERROR", "\n".join(errors) or "Missing configuration in README")
    if card["sdk"] != "gradio":
        raise BuildError("BUILD_ERROR", f"only gradio Spaces can be started here, not {card['sdk']}")
    app_file = card.get("app_file", "app.py")
    if app_file not in files:
        raise BuildError("NO_APP_FILE", f"No application file: {app_file}")
    log = _requirements(hub, repo, card)
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(hub.blob(file), target)
    return Plan(folder, app_file, card, log)


def _requirements(hub: Hub, repo: Repo, card: dict[str, Any]) -> str:
    """What would be installed; refused where pip would find no way. Nothing is installed: the app gets the libraries of this Python."""
    file, lines = repo.files("main").get("requirements.txt"), ["===== Build started ====="]
    text = hub.blob(file).read_text(errors="replace") if file else ""
    for line in (each.split(" #")[0].strip() for each in text.splitlines()):
        if not line or line.startswith(("#", "-")):
            continue
        try:
            wanted = Requirement(line)
        except InvalidRequirement as error:
            raise BuildError("BUILD_ERROR", f"ERROR: Invalid requirement: {line!r}: {error}") from error
        sdk = str(card.get("sdk_version", ""))
        if wanted.name == "gradio" and sdk and not wanted.specifier.contains(sdk):
            raise BuildError("BUILD_ERROR", f"ERROR: Cannot install gradio=={sdk} and {line}: ResolutionImpossible")
        lines.append(f"{line}: {_installed(wanted)}")
    return "\n".join([*lines, "===== Build finished =====", ""])


def _installed(wanted: Requirement) -> str:
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return "not here"
    return f"here {version}" + ("" if not wanted.specifier or wanted.specifier.contains(version, prereleases=True) else ", which does not fit")
