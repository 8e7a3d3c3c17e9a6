"""Who may use the studio, and which folder is theirs.

On one's own machine there is one workspace and one key to it, kept in the workspace so that a page that stays open while the
program is started anew goes on. On a Space each visitor has a key and a workspace of their own. A key is handed out by the page
alone, which stands behind the login if there is one; nothing else is asked for: no path, and no name of a folder.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from voxtune import files
from voxtune.errors import CallError
from voxtune.recordings.reading import Reading
from voxtune.recordings.takes import Takes
from voxtune.workspace import RecordingsFolder, Workspace

_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
VISITORS = "visitors"
"""Folder of the workspace with one for each visitor of a Space."""

_MAX_NEW_AN_HOUR = 200
"""Visitors of a Space who get a workspace within one hour."""


class UnknownKeyError(CallError):
    """The page's key opens nothing here."""

    code = "key"


@dataclass(frozen=True)
class Room:
    """What one person works in."""

    workspace: Workspace

    @property
    def folder(self) -> RecordingsFolder:
        """The dataset that is recorded into."""
        return self.workspace.recordings()

    @property
    def takes(self) -> Takes:
        """Its takes."""
        return Takes(self.folder)

    @property
    def reading(self) -> Reading:
        """Its reading lists."""
        return Reading(self.folder)


class Gate:
    """Gives keys out and tells rooms by them."""

    def __init__(self, workspace: Path, *, shared: bool) -> None:
        self._workspace = workspace.resolve()
        self.is_shared = shared
        """Whether each visitor has a room of their own."""
        self._new: list[float] = []
        self._lock = threading.Lock()

    def issue(self, known: str) -> str:
        """The key that a page shall use: the one that it knows, if it opens a room. Raises CallError when too many are new in one hour."""
        if not self.is_shared:
            return self._own_key()
        if self._is_room(known):
            return known
        with self._lock:
            self._new = [moment for moment in self._new if moment > time.monotonic() - 3_600]
            if len(self._new) >= _MAX_NEW_AN_HOUR:
                raise CallError("too many people came at once.", hint="Try again in an hour.")
            self._new.append(time.monotonic())
        key = secrets.token_urlsafe(32)
        self._place(key).mkdir(parents=True)
        return key

    def room(self, key: object) -> Room:
        """The room that a key opens. Raises UnknownKeyError."""
        if self.is_shared:
            if isinstance(key, str) and self._is_room(key):
                return Room(Workspace(self._place(key)))
        elif isinstance(key, str) and _KEY.fullmatch(key) and secrets.compare_digest(key, self._own_key()):
            return Room(Workspace(self._workspace))
        raise UnknownKeyError("this page is not signed in here.", hint="Reload the page.")

    def _is_room(self, key: str) -> bool:
        return bool(_KEY.fullmatch(key)) and self._place(key).is_dir()

    def _place(self, key: str) -> Path:
        # By its hash, so that no listing of folders gives a key away.
        return self._workspace / VISITORS / hashlib.sha256(key.encode()).hexdigest()[:32]

    def _own_key(self) -> str:
        file = Workspace(self._workspace).private / "key"
        with self._lock, files.locked(file.with_suffix(".lock"), wait_s=5):
            if not file.is_file() or not _KEY.fullmatch(known := files.read_text(file).strip()):
                known = secrets.token_urlsafe(32)
                files.write_text(file, known + "\n")
                file.chmod(0o600)
            return known


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, *, share: bool, password: str | None, on_space: bool) -> None:
    """Raise CallError where others could come in without a password."""
    if on_space or password or (is_loopback(host) and not share):
        return
    what = "a share link" if share else f"host {host}"
    hint = "Put one in the environment variable VOXTUNE_PASSWORD, or leave the studio on 127.0.0.1 and reach it through an SSH tunnel."
    raise CallError(f"{what} lets others in, so a password is needed.", hint=hint)
