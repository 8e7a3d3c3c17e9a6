"""One-time tickets for files that the browser fetches by itself, where no header with the page's key can be sent."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path

VALID_S = 60.0
"""From the answer to the page until its browser asks for the file."""

_MOST = 1_000


class Tickets:
    """Files to be fetched once, each under a ticket of 192 bits that nobody can guess."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Path, float]] = {}
        self._lock = threading.Lock()

    def issue(self, file: Path) -> str:
        """A ticket for `file`, good for one minute."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._files = {each: kept for each, kept in list(self._files.items())[-_MOST:] if kept[1] > time.monotonic()}
            self._files[ticket] = (file, time.monotonic() + VALID_S)
        return ticket

    def redeem(self, ticket: str) -> Path | None:
        """The file of a ticket, which is void from then on; None for one that is void."""
        with self._lock:
            file, until = self._files.pop(ticket, (None, 0.0))
        return file if file is not None and time.monotonic() < until and file.is_file() else None
