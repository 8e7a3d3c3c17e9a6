"""Reads Xet uploads back with the real client, in a process of its own, whose caches and settings are nobody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

# It ends with the pipe to it.
READER = """
import json, sys, time, hf_xet
for line in sys.stdin:
    asked = json.loads(line)
    try:
        expires = int(time.time()) + 3600
        with hf_xet.XetSession().new_file_download_group(endpoint=asked["url"], token=asked["token"], token_expiry_unix_secs=expires) as group:
            for name, size, to in asked["files"]:
                group.start_download_file(hf_xet.XetFileInfo(name, size), to)
        print("", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\\n", " "), flush=True)
"""


class XetReader:
    """Started when it is first needed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def read(self, url: str, token: str, files: list[tuple[str, int, Path]]) -> str:
        """Put files (name, size, place) together; what went wrong, or nothing."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._started()
            assert self._process.stdin
            assert self._process.stdout
            asked = {"url": url, "token": token, "files": [(name, size, str(place)) for name, size, place in files]}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            said = self._process.stdout.readline()
        return said.strip() if said else "the reader died"

    def close(self) -> None:
        """End it."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.communicate()
                self._process = None

    def _started(self) -> subprocess.Popen[str]:
        own = {"HF_HOME": str(self._home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2"}
        command = [sys.executable, "-c", READER]
        return subprocess.Popen(command, env={**os.environ, **own}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
