"""Forgetting from the page: what would be deleted, and the command that deletes it, beside the studio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxtune.publishing import forgetting
from voxtune.studio import evaluations
from voxtune.studio.access import Room
from voxtune.studio.children import Child
from voxtune.studio.listening import LISTENER


def plan(room: Room, *, runs: bool, remote: bool) -> dict[str, Any]:
    """What would be deleted, and what would stay, by names. Raises CallError where there is nothing, InUseError while a run is at work."""
    found = forgetting.plan(room.folder.path, runs=runs, remote=remote, workspace=room.workspace.path).as_json()
    kept = {name: found[name] for name in ("takes", "files", "bytes")}
    runs_by_name = {name: [Path(each).name for each in found[name]] for name in ("runs", "other_runs")}
    repos_by_name = {name: [each["repo"] for each in found[name]] for name in ("repos", "other_repos")}
    return {**kept, **runs_by_name, **repos_by_name, "num_left": len(found["left"])}


def start(room: Room, *, runs: bool, remote: bool, more: Mapping[str, str]) -> None:
    """Delete it beside the studio, if that is not being done already. Raises InUseError while a run is at work."""
    evaluations.refuse_if_busy(room)
    LISTENER.make_room()
    chosen = [flag for flag, is_chosen in (("--runs", runs), ("--remote", remote)) if is_chosen]
    place, workspace = str(room.folder.path.resolve()), str(room.workspace.path.resolve())
    _child(room).start(["forget", place, "--workspace", workspace, *chosen, "--yes", "--json"], more)


def sight(room: Room) -> dict[str, Any]:
    """How it stands: {"state": none|working|failed|done, "message", "hint", "left": what could not be deleted}."""
    child = _child(room)
    found: dict[str, Any] = {"state": "none", "message": "", "hint": "", "left": []}
    if child.is_working:
        return {**found, "state": "working"}
    failure = child.failure
    if failure is not None:
        return {**found, "state": "failed", "message": failure.message, "hint": failure.hint}
    told = child.result
    if not isinstance(told, dict):
        return found
    remained = [each.get("message") or each.get("repo", "") for each in told.get("remote", {}).get("failed", [])]
    return {**found, "state": "done", "left": remained}


def _child(room: Room) -> Child:
    """Its files stand where nothing is forgotten, else it would delete what it is found by."""
    return Child(room.workspace.private, "forgetting")
