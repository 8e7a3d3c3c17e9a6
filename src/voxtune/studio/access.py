"""Who may use the studio, and which folder is theirs.

On one's own machine there is one workspace and one key to it, kept in the workspace so that a page that stays open while the
program is started anew goes on. On a Space each visitor has a key and a workspace of their own. A key is handed out by the page
alone, which stands behind the login if there is one; nothing else is asked for: no path, and no name of a folder.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
import threading
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
    def mark(self) -> str:
        """By which a page tells it from the rooms of other workspaces."""
        return hashlib.sha256(str(self.workspace.path).encode()).hexdigest()[:16]

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
        self._lock = threading.Lock()

    def issue(self, known: str) -> str:
        """The key that a page shall use: the one that it knows, if it opens a room."""
        if not self.is_shared:
            return self._secret()
        if self._is_ours(known):
            return known
        visitor = secrets.token_bytes(16)
        return base64.urlsafe_b64encode(visitor + self._signed(visitor)).decode().rstrip("=")

    def room(self, key: object) -> Room:
        """The room that a key opens. Raises UnknownKeyError."""
        if isinstance(key, str) and _KEY.fullmatch(key):
            if self.is_shared and self._is_ours(key):
                # By its hash, so that no listing of folders gives a key away. The folder is made with the first thing kept in it.
                return Room(Workspace(self._workspace / VISITORS / hashlib.sha256(key.encode()).hexdigest()[:32]))
            if not self.is_shared and secrets.compare_digest(key, self._secret()):
                return Room(Workspace(self._workspace))
        raise UnknownKeyError("this page is not signed in here.", hint="Reload the page.")

    def _is_ours(self, key: str) -> bool:
        """Whether a visitor's key was made here: it carries our signature, so that none has to be kept."""
        if not _KEY.fullmatch(key):
            return False
        decoded = base64.urlsafe_b64decode(key + "=")
        return secrets.compare_digest(decoded[16:], self._signed(decoded[:16]))

    def _signed(self, visitor: bytes) -> bytes:
        return hmac.digest(self._secret().encode(), visitor, "sha256")[:16]

    def _secret(self) -> str:
        """Of this workspace; the key itself where it is one person's."""
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
