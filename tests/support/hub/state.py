"""What the Hub holds: accounts, repositories with their commits and refs, and the bytes behind them."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.support.hub.faults import Call, Fault
from tests.support.hub.xet import Cas
from tests.support.hub.xet_reader import XetReader

if TYPE_CHECKING:
    from tests.support.hub.running import Spaces

Kind = Literal["model", "dataset", "space"]
KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset", "spaces": "space"}


class RefusalError(Exception):
    """An answer that is not a success, as the Hub words it: body, `X-Error-Code` and `X-Error-Message`."""

    def __init__(self, status: int, message: str, code: str | None = None, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}
        self.more = more


@dataclass(frozen=True)
class Token:
    """Who a token speaks for, and what it may do. `only`: the namespaces that a fine-grained token is limited to."""

    user: str
    role: Literal["write", "read", "fineGrained", "oauth"]
    writes: bool = True
    only: tuple[str, ...] | None = None


@dataclass(frozen=True)
class File:
    """A file of a commit. `oid` is git's name of the blob, or of the pointer of a large file; `sha256` and `xet` are set for large files only."""

    size: int
    oid: str
    sha256: str | None = None
    xet: str | None = None


@dataclass(frozen=True)
class Commit:
    """One state of a repository."""

    sha: str
    title: str
    message: str
    date: str
    files: dict[str, File]
    parent: str | None
    author: str


def now() -> str:
    """The time, as the Hub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def git_oid(data: bytes) -> str:
    """The name git gives to a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class Repo:
    """A model, dataset or Space. Branches stand in `refs` by their names, everything else as refs/..."""

    kind: Kind
    id: str
    private: bool = False
    gated: bool | str = False
    sdk: str | None = None
    created: str = field(default_factory=now)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    hardware: str = "cpu-basic"
    sleep_s: int | None = None
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    """Large files that were uploaded to it, committed or not, by sha256."""

    @property
    def namespace(self) -> str:
        """Whose it is."""
        return self.id.partition("/")[0]

    @property
    def path(self) -> str:
        """Where its page is, below the Hub's address."""
        return self.id if self.kind == "model" else f"{self.kind}s/{self.id}"

    def resolve(self, revision: str) -> str:
        """The commit that a branch, a tag, a ref or the beginning of a sha stands for."""
        named = self.refs.get(revision) or self.refs.get(revision.removeprefix("refs/heads/")) or self.refs.get(f"refs/tags/{revision}")
        sha = named or next((each for each in self.commits if len(revision) >= 5 and each.startswith(revision)), None)
        if sha is None:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha

    def files(self, revision: str = "main") -> dict[str, File]:
        """What is in it, by path."""
        return self.commits[self.resolve(revision)].files

    def history(self, revision: str = "main") -> Iterator[Commit]:
        """Its commits, the newest first."""
        sha: str | None = self.resolve(revision)
        while sha:
            yield self.commits[sha]
            sha = self.commits[sha].parent

    def last_change(self, revision: str, path: str) -> Commit:
        """The newest commit in which a file, or something in a folder, became what it is."""
        found, was = None, None
        for commit in self.history(revision):
            here = {name: file for name, file in commit.files.items() if name == path or name.startswith(path + "/")}
            if found is not None and here != was:
                break
            found, was = commit, here
        assert found is not None
        return found

    def commit(self, branch: str, title: str, message: str, files: dict[str, File], author: str) -> Commit:
        """Put a new state on a branch."""
        parent = self.refs.get(branch)
        sha = hashlib.sha1(f"{self.kind} {self.id} {parent} {len(self.commits)} {title} {self.created}".encode(), usedforsecurity=False).hexdigest()
        made = Commit(sha, title, message, now(), files, parent, author)
        self.commits[sha] = made
        self.refs[branch] = sha
        return made

    def pull(self, base: str, title: str, author: str) -> dict[str, Any]:
        """Open a pull request from a branch as it is."""
        number = len(self.pulls) + 1
        reference = f"refs/pr/{number}"
        self.refs[reference] = self.resolve(base)
        about = {"num": number, "title": title, "author": {"name": author}, "createdAt": now(), "status": "draft", "isPullRequest": True}
        kept = {"repo": {"name": self.id, "type": self.kind}, "events": [], "filesWithConflicts": []}
        self.pulls[number] = {**about, **kept, "changes": {"base": f"refs/heads/{base}"}, "gitReference": reference}
        return self.pulls[number]


class Hub:
    """Everything that the server knows; it lives as long as the process, its blobs lie in `folder`."""

    spaces: Spaces
    """What Spaces run on; set by the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.reader = XetReader(folder / "reader")
        self.url = self.cdn_url = ""
        self.page_size = 1000
        self.forget()

    def forget(self) -> None:
        """Be as new: no repositories, no blobs, the first tokens. The CAS moves, so that what clients remember of it is void."""
        self.tokens: dict[str, Token] = {
            "hf_write": Token("alice", "write"),
            "hf_read": Token("alice", "read", writes=False),
            "hf_fine": Token("alice", "fineGrained", only=("alice",)),
            "hf_fine_read": Token("alice", "fineGrained", writes=False, only=("alice",)),
            "hf_oauth": Token("alice", "oauth", only=("alice",)),
            "hf_other": Token("bob", "write"),
        }
        self.fullnames = {"alice": "Alice Example", "bob": "Bob Example", "acme": "Acme"}
        self.payers = {"alice"}
        self.private_by_default: set[str] = set()
        self.visitors: dict[str, str] = {}
        self.codes: dict[str, dict[str, Any]] = {}
        self.organizations: dict[str, dict[str, str]] = {"acme": {"alice": "admin"}}
        self.repos: dict[tuple[Kind, str], Repo] = {}
        self.moved: dict[tuple[Kind, str], str] = {}
        self.seal = secrets.token_hex(16)
        self.blobs = self.folder / "blobs"
        shutil.rmtree(self.blobs, ignore_errors=True)
        self.blobs.mkdir(parents=True)
        self.cas = Cas(self.blobs, f"{self.url}/cas/{secrets.token_hex(4)}")

    def find(self, kind: Kind, name: str) -> Repo | None:
        """A repository by its name; as on the Hub, the case of the letters does not matter."""
        exact = self.repos.get((kind, name))
        return exact or next((repo for (other, _), repo in self.repos.items() if other == kind and repo.id.lower() == name.lower()), None)

    def may_read(self, user: str | None, repo: Repo) -> bool:
        """Whether somebody sees that it is there."""
        return not repo.private or (user is not None and (user == repo.namespace or user in self.organizations.get(repo.namespace, {})))

    def blob(self, file: File) -> Path:
        """Where the bytes of a file are."""
        return self.blobs / (file.sha256 or file.oid)

    def keep(self, data: bytes) -> File:
        """A small file of these bytes."""
        file = File(len(data), git_oid(data))
        self.blob(file).write_bytes(data)
        return file

    def read(self, kind: Kind, name: str, path: str, revision: str = "main") -> bytes:
        """What a file holds."""
        return self.blob(self.repos[kind, name].files(revision)[path]).read_bytes()

    def require_paying(self, user: str, hardware: str) -> None:
        """Refuse hardware that costs something to who has given no card."""
        if hardware != "cpu-basic" and user not in self.payers:
            raise RefusalError(402, "Payment required: please add a payment method to your account.")

    def sealed(self, what: str) -> str:
        """The signature without which nothing is given at an address of the CDN."""
        return hashlib.sha256(f"{self.seal} {what}".encode()).hexdigest()[:32]
