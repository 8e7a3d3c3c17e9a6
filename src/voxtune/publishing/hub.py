"""Repositories at the Hugging Face Hub: looked at, filled in one commit, compared afterwards, made public last."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from voxtune.errors import HubError, InUseError
from voxtune.publishing.account import endpoint
from voxtune.publishing.calls import SENDING, Progress, api, call, silent

Kind = Literal["model", "dataset", "space"]

TAG = "voxtune"
"""In the card of everything that voxtune publishes; by it a repository is known as one that may be written to."""
_MADE_WITH_IT = frozenset({".gitattributes", "README.md"})
"""What the Hub itself puts into a new repository."""
_BATCH_FILES, _BATCH_SHARE, _BATCH_BYTES = 8, 25, 64 << 20
"""Files sent at a time: so few that progress is seen and a killed call sends about a 25th again, so many that each batch's calls do not count."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file as git and the Hub know it."""

    size: int
    oid: str
    """SHA-1 of the git blob; of a large file's pointer, where it is remote."""
    sha256: str | None
    """Of the content, where the Hub keeps it as a large file; of every local file."""

    def is_same(self, remote: File | None) -> bool:
        """Whether the Hub has the content of this local file."""
        return remote is not None and (self.oid == remote.oid if remote.sha256 is None else self.sha256 == remote.sha256)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A repository as it is now."""

    kind: Kind
    repo: str
    url: str
    revision: str
    private: bool
    gated: bool
    """Whether visitors must agree to something, or ask, before they may read it."""
    files: Mapping[str, File]
    tags: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        """Whether voxtune filled it, or nobody did."""
        return TAG in self.tags or not set(self.files) - _MADE_WITH_IT


@dataclass(frozen=True, kw_only=True)
class Published:
    """What one call published, or found published."""

    kind: Kind
    repo: str
    url: str
    revision: str
    """The commit that holds it."""
    private: bool
    files: int
    sent: tuple[str, ...]
    """Paths that were sent or removed; empty where all was there."""
    at: float
    """Seconds since 1970."""

    def as_json(self) -> dict[str, Any]:
        """For published.json and --json."""
        return {**asdict(self), "sent": list(self.sent)}


def look(kind: Kind, repo: str, revision: str | None = None) -> Remote | None:
    """A repository as it is at the Hub, or was at a commit; None where there is none that this account may see. Raises HubError."""
    hub = api()
    try:
        info = call(f"tell of {repo}", lambda: hub.repo_info(repo, repo_type=kind, revision=revision))
        # The client itself tries a listing again.
        rows = call(f"list the files of {repo}", lambda: list(hub.list_repo_tree(repo, repo_type=kind, revision=info.sha, recursive=True)), tries=1)
    except HubError as error:
        if error.code == "not_found":
            return None
        raise
    entries = {row.path: File(size=row.size, oid=row.blob_id, sha256=row.lfs.sha256 if row.lfs else None) for row in rows if hasattr(row, "blob_id")}
    tags = (info.card_data.to_dict().get("tags") if info.card_data else None) or ()
    known = tuple(str(tag) for tag in (*tags, *(info.tags or ())))
    shown = {"private": bool(info.private), "gated": bool(getattr(info, "gated", False))}
    return Remote(kind=kind, repo=info.id, url=_url(kind, info.id), revision=str(info.sha), files=entries, tags=known, **shown)


def publish(
    kind: Kind,
    repo: str,
    folder: Path,
    *,
    private: bool,
    message: str,
    ours: Callable[[str], bool],
    replace: bool = False,
    sdk: str | None = None,
    gated: bool = False,
    progress: Progress | None = None,
) -> Published:
    """Make the repository hold the files of `folder`, in one commit, and see that it does.

    Files that are there are not sent again; remote files for which `ours` is true and that are not in `folder` are removed. A new
    repository is private; public it becomes at the end, and with `gated` asks its visitors to agree to the card's terms. `sdk` is
    a Space's. Raises InUseError for a repository that holds something else, unless `replace`; HubError that says how
    far it came.
    """
    say = progress or silent
    local = local_files(folder, say)
    with _said_how_far(repo) as far:
        remote = look(kind, repo)
        if remote is None:
            remote = _make(kind, repo, sdk=sdk)
            far.append(f"{repo} was made, private, and is still empty.")
        else:
            _refuse_others(remote, private=private, replace=replace)
            far.append(f"{repo} is as it was.")
            if gated and not (remote.private or remote.gated):  # before anybody can see what is new
                call(f"gate {repo}", lambda: api().update_repo_settings(repo, repo_type=kind, gated="auto"))
        sent = _filled(remote, folder, local, ours, message, say)
        if sent:
            far.append(f"Everything was sent to {repo}; whether all of it arrived could not be seen.")
        remote = _compared(remote, local, say)
        if remote.private and not private:
            far.append(f"{repo} is complete, and still private.")
            hub = api()
            options = {"private": False, **({"gated": "auto"} if gated else {})}
            call(f"make {repo} public", lambda: hub.update_repo_settings(repo, repo_type=kind, **options))
    return Published(
        kind=kind, repo=remote.repo, url=remote.url, revision=remote.revision, private=private, files=len(remote.files), sent=sent, at=round(time.time(), 3)
    )


def local_files(folder: Path, say: Progress = silent) -> dict[str, File]:
    """Every file below a folder with its hashes, by its path with slashes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {}
    for number, path in enumerate(paths, start=1):
        found[path.relative_to(folder).as_posix()] = _hashed(path)
        say("comparing", number, len(paths))
    return found


def _hashed(path: Path) -> File:
    size = path.stat().st_size
    plain, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            plain.update(part)
            blob.update(part)
    return File(size=size, oid=blob.hexdigest(), sha256=plain.hexdigest())


@contextlib.contextmanager
def _said_how_far(repo: str) -> Iterator[list[str]]:
    """An error says at its end what is there: the last of the sentences that were added until then."""
    far = [f"Nothing was done to {repo}."]
    try:
        yield far
    except HubError as error:
        raise HubError(f"{error.message.rstrip('.')}. {far[-1]}", hint=error.hint, code=error.code, status=error.status) from None


def _make(kind: Kind, repo: str, *, sdk: str | None) -> Remote:
    hub = api()
    try:
        call(f"make {repo}", lambda: hub.create_repo(repo, repo_type=kind, private=True, space_sdk=sdk))
    except HubError as error:
        if error.status != 409:
            raise
        made = look(kind, repo)  # by a try whose answer was lost
        if made is None:
            hint = "Choose another name, or sign in with a token that may see it."
            raise HubError(f"{repo} is there, and this token may not see it.", hint=hint, code="forbidden", status=409) from None
        _refuse_others(made, private=True, replace=False)
        return made
    made = look(kind, repo)
    if made is None:
        raise HubError(f"{repo} was made and is not to be seen.", hint="Try again in a minute.", code="incomplete")
    return made


def _refuse_others(remote: Remote, *, private: bool, replace: bool) -> None:
    if not remote.is_ours and not replace:
        hint = "Choose another name; or allow it with --replace: what is there stays in its history."
        raise InUseError(f"{remote.url} holds something that voxtune did not publish; nothing was changed.", hint=hint)
    if private and not remote.private:
        hint = f"Make it private at {remote.url}/settings, choose another name, or publish with --public."
        raise HubError(f"{remote.url} is public, and this was to stay private.", hint=hint, code="conflict")


def _filled(remote: Remote, folder: Path, local: Mapping[str, File], ours: Callable[[str], bool], message: str, say: Progress) -> tuple[str, ...]:
    """Send what is not there; gives the paths that were sent or removed."""
    for final in (False, True):
        changed = [path for path, file in local.items() if not file.is_same(remote.files.get(path))]
        gone = [path for path in remote.files if path not in local and ours(path)]
        try:
            if changed or gone:
                _commit(remote, folder, changed, gone, local, message, say)
            break
        except HubError as error:
            # Somebody was quicker, or an earlier call of ours that had broken off was still on its way.
            now = look(remote.kind, remote.repo) if error.status == 412 and not final else None
            if now is None:
                raise
            remote = now
    return tuple(sorted([*changed, *gone]))


def _commit(remote: Remote, folder: Path, changed: Sequence[str], gone: Sequence[str], local: Mapping[str, File], message: str, say: Progress) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    hub, repo, kind = api(), remote.repo, remote.kind
    additions = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(folder / path)) for path in changed]
    say(SENDING, 0, len(additions))
    for start, batch in _batches(additions, local):
        # The client itself tries uploads again.
        call(f"take files for {repo}", functools.partial(hub.preupload_lfs_files, repo, batch, repo_type=kind, free_memory=False), tries=1)
        say(SENDING, start + len(batch), len(additions))

    def came_through() -> str | None:
        now = look(kind, repo)
        landed = now is not None and now.revision != remote.revision and not _wrong(now, local) and not set(gone) & set(now.files)
        return now.revision if now and landed else None

    operations = [*additions, *(CommitOperationDelete(path_in_repo=path) for path in gone)]
    call(
        f"commit to {repo}",
        lambda: str(hub.create_commit(repo, operations, commit_message=message, repo_type=kind, parent_commit=remote.revision).oid),
        came_through=came_through,
    )


def _batches(additions: Sequence[Any], local: Mapping[str, File]) -> Iterator[tuple[int, list[Any]]]:
    """Some files at a time, so that it can be seen how far it is."""
    most = max(_BATCH_FILES, len(additions) // _BATCH_SHARE)
    start, batch, size = 0, [], 0
    for place, addition in enumerate(additions):
        batch.append(addition)
        size += local[addition.path_in_repo].size
        if len(batch) == most or size >= _BATCH_BYTES or place == len(additions) - 1:
            yield start, batch
            start, batch, size = place + 1, [], 0


def _compared(remote: Remote, local: Mapping[str, File], say: Progress) -> Remote:
    say("checking", 0, None)
    now = look(remote.kind, remote.repo)
    wrong = list(local) if now is None else _wrong(now, local)
    if now is None or wrong:
        shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        hint = "Publish it again: only what is missing is sent."
        raise HubError(f"{len(wrong)} of {len(local)} files at {remote.url} are not as they are here: {shown}.", hint=hint, code="incomplete")
    return now


def _wrong(remote: Remote, local: Mapping[str, File]) -> list[str]:
    return [path for path, file in local.items() if not file.is_same(remote.files.get(path))]


def forget_history(kind: Kind, repo: str) -> None:
    """Leave the newest state of a repository in one commit; what was removed from it before is in none any more. Raises HubError."""
    hub = api()
    message = "The state of today; what was removed is in no commit any more"
    call(f"forget the history of {repo}", lambda: hub.super_squash_history(repo, repo_type=kind, commit_message=message))


def delete(kind: Kind, repo: str) -> bool:
    """Remove a repository with its history; False where it was gone already. Raises HubError."""
    hub = api()
    try:
        call(f"delete {repo}", lambda: hub.delete_repo(repo, repo_type=kind))
    except HubError as error:
        if error.code == "not_found":
            return False
        raise
    return True


def _url(kind: Kind, repo: str) -> str:
    return f"{endpoint()}/{'' if kind == 'model' else kind + 's/'}{repo}"
