"""Forgetting: recordings deleted for good, and if asked the runs that heard them and what was published of both.

What was computed of recordings and kept to train faster goes with them, of all datasets. What is at the Hub goes first, so that
the record of where it is stays until it is gone. What was interrupted is called again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune import files
from voxtune import settings as settings_files
from voxtune.errors import CallError, HubError, InUseError, VoxtuneError
from voxtune.model import kept_files
from voxtune.publishing import belongings, hub, records
from voxtune.publishing.account import Account, require_write, signed_in
from voxtune.publishing.belongings import PUBLISHING_LOCK, Found
from voxtune.publishing.calls import Progress, silent
from voxtune.publishing.hub import Kind
from voxtune.recordings.takes import Takes
from voxtune.training import opening
from voxtune.training.runs import look
from voxtune.training.status import ACTIVE
from voxtune.workspace import DATA_FILE, PUBLISHED_FILE, RecordingsFolder, RunFolder, Workspace


@dataclass(frozen=True, kw_only=True)
class Repo:
    """One repository that published.json files name."""

    kind: Kind
    name: str
    places: tuple[tuple[Path, str], ...]
    """The folders of those files, and the steps in them."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be deleted, and what would stay."""

    folder: RecordingsFolder
    workspace: Workspace
    dataset: Found
    drafts: Found
    runs: tuple[tuple[RunFolder, Found], ...]
    repos: tuple[Repo, ...]
    num_takes: int
    num_trashed: int
    other_runs: tuple[RunFolder, ...]
    """Trained on the recordings too, and not asked to be deleted."""
    other_repos: tuple[Repo, ...]
    """At the Hub, and not asked to be deleted."""

    @property
    def parts(self) -> tuple[tuple[Path, Found], ...]:
        """All that would go from this machine, by its folder."""
        runs = tuple((run.path, found) for run, found in self.runs)
        return ((self.folder.path, self.dataset), (self.workspace.private, self.drafts), *runs)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that would go from this machine, but the records of what stays at the Hub."""
        kept = _records_of(self.other_repos)
        return tuple(path for _, found in self.parts for path in found.ours if path not in kept)

    @property
    def theirs(self) -> tuple[Path, ...]:
        """Files beside them that are somebody else's, or links, and would stay."""
        return tuple(path for _, found in self.parts for path in found.theirs)

    @property
    def num_bytes(self) -> int:
        """Of `paths`."""
        return Found(ours=self.paths, theirs=()).num_bytes

    def as_json(self) -> dict[str, Any]:
        """What goes and what stays, for programs and the page."""
        going = {"files": _count(self.paths), "bytes": self.num_bytes, "takes": self.num_takes, "trashed": self.num_trashed, "drafts": len(self.drafts.ours)}
        named = {"runs": [str(run.path) for run, _ in self.runs], "repos": [_as_json(repo) for repo in self.repos]}
        stay = {"other_runs": [str(run.path) for run in self.other_runs], "other_repos": [_as_json(repo) for repo in self.other_repos]}
        return {"folder": str(self.folder.path), **going, **named, "left": [str(path) for path in self.theirs], **stay}


def _records_of(repos: Iterable[Repo]) -> set[Path]:
    return {folder / PUBLISHED_FILE for repo in repos for folder, _ in repo.places}


def _count(paths: Iterable[Path]) -> int:
    """Locks, which come with being asked for, do not count."""
    return sum(path.suffix != ".lock" for path in paths)


def _as_json(repo: Repo) -> dict[str, str]:
    return {"kind": repo.kind, "repo": repo.name}


def plan(folder: Path, *, runs: bool, remote: bool, workspace: Path) -> Plan:
    """What forgetting a dataset would delete, with `runs` also the runs below the workspace that were trained on it, with `remote` also at the Hub.

    Raises CallError where there is nothing to forget, InUseError while a run that was trained on it is at work.
    """
    place, room = RecordingsFolder(_of(folder)), Workspace(workspace.resolve())
    trained = tuple(_trained_on(place.path, room.path))
    for run in trained:
        _refuse_active(run)
    dataset = belongings.of_dataset(place)
    is_here = place.path == room.recordings().path.resolve() or (bool(dataset.ours) and place.path.is_relative_to(room.path))
    drafts = belongings.drafts(room) if is_here else Found(ours=(), theirs=())
    if not (dataset.ours or drafts.ours or trained):
        raise CallError(f"{place.path} holds nothing of voxtune's.", hint="Name the folder of a dataset; without a name it is the studio's own.")
    takes = list(Takes(place).all().values())
    chosen = trained if runs else ()
    repos = _repos([place.path, *(run.path for run in chosen)])
    return Plan(
        folder=place,
        workspace=room,
        dataset=dataset,
        drafts=drafts,
        runs=tuple((run, belongings.of_run(run)) for run in chosen),
        repos=repos if remote else (),
        num_takes=len(takes),
        num_trashed=sum(take.trashed for take in takes),
        other_runs=() if runs else trained,
        other_repos=() if remote else repos,
    )


def _of(folder: Path) -> Path:
    """The real folder of a dataset that was given by it or by its list of clips."""
    place = folder.parent if folder.name == DATA_FILE and not folder.is_dir() else folder
    if place.exists() and not place.is_dir():
        raise CallError(f"{place} is not a dataset's folder.", hint="Name the folder.")
    return place.resolve()


def _trained_on(folder: Path, workspace: Path) -> Iterator[RunFolder]:
    if workspace.is_dir():
        for run in opening.below(workspace):
            try:
                data = Path(settings_files.load(run.settings, {}).data).resolve()
            except VoxtuneError:
                continue  # a damaged one names no data
            if data in (folder, folder / DATA_FILE):
                yield RunFolder(run.path.resolve())


def _refuse_active(run: RunFolder) -> None:
    try:
        is_active = look(run).state in ACTIVE
    except VoxtuneError:
        return  # a damaged one; whoever works on it holds its lock
    if is_active:
        raise InUseError(f"{run.path} is at work on these recordings.", hint=f"Stop it first: voxtune runs stop {run.shell}")


def _repos(folders: Iterable[Path]) -> tuple[Repo, ...]:
    found: dict[tuple[Kind, str], list[tuple[Path, str]]] = {}
    for folder in folders:
        for step, said in records.read(folder).items():
            if said.get("kind") in ("model", "dataset", "space"):
                for name in records.places(said):
                    found.setdefault((said["kind"], name), []).append((folder, step))
    return tuple(Repo(kind=kind, name=name, places=tuple(places)) for (kind, name), places in found.items())


def forget(planned: Plan, *, progress: Progress | None = None) -> dict[str, Any]:
    """Delete what was planned, first at the Hub; gives what went and what could not.

    {"files", "bytes", "takes", "trashed", "runs", "remote": {"deleted", "gone", "failed": [{"kind", "repo", "message"}]}, "left", ...}.
    A repository that could not be deleted stays on record, so that it can be tried again. Raises InUseError before anything is
    deleted, HubError where nobody is signed in; VoxtuneError for a file that cannot be deleted.
    """
    say = progress or silent
    with contextlib.ExitStack() as held:
        if planned.folder.path.is_dir():
            for lock in (planned.folder.path / PUBLISHING_LOCK, planned.folder.dataset_lock, planned.folder.reading_lock):
                held.enter_context(files.locked(lock))
        for run, _ in planned.runs:
            for lock in (*(run.path / name for name in belongings.OF_RUN), run.lock):
                held.enter_context(files.locked(lock))
        for run in _trained_on(planned.folder.path, planned.workspace.path):
            _refuse_active(run)
        # Looked at anew, now that nothing of it can be published meanwhile.
        repos = _repos(folder for folder, _ in planned.parts) if planned.repos else ()
        account = signed_in() if repos else None
        told: dict[str, Any] = {"files": 0, "bytes": 0, "remote": _delete_repos(repos, account, say)}
        kept = _records_of(_repos(folder for folder, _ in planned.parts))
        for folder, found in _as_they_are(planned):
            ours = [path for path in found.ours if path not in kept]
            told["bytes"] += Found(ours=tuple(ours), theirs=()).num_bytes
            files.remove(_counted(ours, say), below=folder)
            told["files"] += _count(ours)
        kept_files.clear()  # nothing in it says of whom it is, and all of it can be made again
    return {**planned.as_json(), **told}


def _as_they_are(planned: Plan) -> Iterator[tuple[Path, Found]]:
    """The folders looked at anew: a take may have come since, and our locks are there now."""
    yield planned.folder.path, belongings.of_dataset(planned.folder)
    if planned.drafts.ours:
        yield planned.workspace.private, belongings.drafts(planned.workspace)
    yield from ((run.path, belongings.of_run(run)) for run, _ in planned.runs)


def _counted(paths: list[Path], say: Progress) -> Iterator[Path]:
    for number, path in enumerate(paths, start=1):
        yield path
        say("deleting", number, len(paths))


def _delete_repos(repos: tuple[Repo, ...], account: Account | None, say: Progress) -> dict[str, list[dict[str, str]]]:
    told: dict[str, list[dict[str, str]]] = {"deleted": [], "gone": [], "failed": []}
    for number, repo in enumerate(repos, start=1):
        assert account is not None, "asked for above where there are any"
        say(f"deleting {repo.name} at the Hub", number, len(repos))
        try:
            told["deleted" if _delete(repo, account) else "gone"].append(_as_json(repo))
        except (HubError, InUseError) as error:
            told["failed"].append({**_as_json(repo), "message": str(error)})
        else:
            for folder, step in repo.places:
                records.cross_out(folder, step, repo.name)
    return told


def _delete(repo: Repo, account: Account) -> bool:
    """False where it was gone already."""
    require_write(account, repo.name)  # to any other account a private repository looks as if it were gone
    there = hub.look(repo.kind, repo.name)
    if there is None and account.role != "write":
        # So it does to a token that was made for other repositories.
        hint = f"Sign in with a token of the kind 'write', or look at {account.endpoint}/{account.name} whether it is gone."
        raise HubError(f"whether {repo.name} is gone cannot be told with this token ({account.role}).", hint=hint, code="forbidden")
    if there is not None:
        require_write(account, there.repo)  # it may have been renamed, or handed over
    if there is not None and not there.is_ours:
        hint = f"Delete it at {there.url}/settings if it is to go."
        raise InUseError(f"{there.url} holds something that voxtune did not publish.", hint=hint)
    return there is not None and hub.delete(repo.kind, there.repo)
