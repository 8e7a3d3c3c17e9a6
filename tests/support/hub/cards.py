"""The metadata at the top of a README.md: read, checked, and turned into the tags by which the Hub finds things."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.support.hub.metadata import problems
from tests.support.hub.state import Hub, RefusalError, Repo


def front_matter(text: str) -> dict[str, Any]:
    """What stands between the first two lines of dashes; refused where it is no YAML mapping."""
    match = re.match(r"\ufeff?\s*---\r?\n(.*?)\r?\n?---(\r?\n|$)", text, re.DOTALL)
    try:
        data = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError as error:
        raise RefusalError(400, f"Invalid YAML in metadata: {error}") from error
    if data is not None and not isinstance(data, dict):
        raise RefusalError(400, "Invalid metadata in README.md: not a mapping")
    return data or {}


def card_of(hub: Hub, repo: Repo, revision: str = "main") -> dict[str, Any]:
    """The metadata of a repository as it is; nothing where there is none that can be read."""
    file = repo.files(revision).get("README.md")
    if file is None:
        return {}
    try:
        return front_matter(hub.blob(file).read_text(errors="replace"))
    except RefusalError:
        return {}


def check_card(text: str, kind: str) -> list[str]:
    """Warnings about the metadata of a README; refused where the Hub would refuse it."""
    data = front_matter(text)
    errors, warnings = problems(data, kind)
    if errors:
        raise RefusalError(400, "\n".join(errors))
    return warnings if data else ["empty or missing yaml metadata in repo card"]


def tags_of(card: dict[str, Any], kind: str) -> list[str]:
    """Its own tags, and those that the Hub makes of the rest."""

    def listed(key: str) -> list[str]:
        value = card.get(key)
        return [str(each) for each in (value if isinstance(value, list) else [] if value is None else [value])]

    tags = [*listed("tags"), *listed("language"), *(f"license:{name}" for name in listed("license")), *(f"dataset:{name}" for name in listed("datasets"))]
    if kind == "model":
        tags += listed("library_name") + listed("pipeline_tag") + [f"base_model:{name}" for name in listed("base_model")]
        if card.get("base_model_relation"):
            tags += [f"base_model:{card['base_model_relation']}:{name}" for name in listed("base_model")]
    if kind == "dataset":
        tags += [f"{key}:{name}" for key in ("task_categories", "size_categories") for name in listed(key)]
    if kind == "space":
        tags += listed("sdk")
    return list(dict.fromkeys([*tags, "region:us"]))
