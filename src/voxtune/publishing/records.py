"""What of a dataset or a run is published, and where: published.json in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune.errors import DatasetError
from voxtune.publishing.calls import SENDING, Progress
from voxtune.workspace import PUBLISHED_FILE

Records = dict[str, dict[str, Any]]
_UNFINISHED = "_unfinished"
"""At the end of a step's name: where sending has begun, and did not end well."""
_LOCK = ".published.lock"
_WAIT_S = 10.0


def read(folder: Path) -> Records:
    """What was published from a folder, by step: dataset, model, space, tracking; and who consented. {} where nothing was.

    Raises DatasetError if the file cannot be read.
    """
    file = folder / PUBLISHED_FILE
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        value = error
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise DatasetError("not readable as a record of what was published.", file=file, hint="Move it away: what is on the Hub stays, and is found again.")
    return value


def note(folder: Path, step: str, said: dict[str, Any]) -> None:
    """Keep what a step published; where it had published before under another name stays known, as `earlier`."""
    with files.locked(folder / _LOCK, wait_s=_WAIT_S):
        every = read(folder)
        before = every.get(step, {})
        earlier = sorted({*before.get("earlier", ()), before.get("repo")} - {None, said.get("repo")})
        files.write_json(folder / PUBLISHED_FILE, {**every, step: {**said, **({"earlier": earlier} if earlier else {})}})


def noting_the_start(folder: Path, step: str, kind: str, repo: str, say: Progress) -> Progress:
    """The same Progress, by which it is on record from the first byte on that something may be there, so that it can be taken back."""
    noted = False

    def through(what: str, done: int, total: int | None) -> None:
        nonlocal noted
        if what == SENDING and not noted:
            noted = True
            note(folder, f"{step}{_UNFINISHED}", {"kind": kind, "repo": repo})
        say(what, done, total)

    return through


def is_unfinished(folder: Path, step: str) -> bool:
    """Whether a step has begun to send, and did not come to its end."""
    return f"{step}{_UNFINISHED}" in read(folder)


def finished(folder: Path, step: str, said: dict[str, Any]) -> None:
    """Keep what a step published, and that it came to its end."""
    note(folder, step, said)
    if is_unfinished(folder, step):
        drop(folder, f"{step}{_UNFINISHED}")


def places(said: dict[str, Any]) -> list[str]:
    """The repositories of a step: where its work is, and where it was put before."""
    return list(dict.fromkeys(str(name) for name in (said.get("repo"), *said.get("earlier", ())) if name))


def all_places(folder: Path, step: str) -> set[str]:
    """Every repository that a step has published to, or has begun to."""
    said = read(folder)
    return {name for each in (step, f"{step}{_UNFINISHED}") for name in places(said.get(each, {}))}


def cross_out(folder: Path, step: str, repo: str) -> None:
    """Forget one repository of a step, which is gone; with the last one what was said of them."""
    with files.locked(folder / _LOCK, wait_s=_WAIT_S):
        every = read(folder)
        said = every.pop(step, {})
        left = [name for name in places(said) if name != repo]
        kept = said if said.get("repo") in left else {"kind": said.get("kind")}
        files.write_json(folder / PUBLISHED_FILE, {**every, **({step: {**kept, "repo": left[0], "earlier": left[1:]}} if left else {})})


def drop(folder: Path, step: str) -> None:
    """Forget what a step had published."""
    with files.locked(folder / _LOCK, wait_s=_WAIT_S):
        files.write_json(folder / PUBLISHED_FILE, {name: said for name, said in read(folder).items() if name != step})
