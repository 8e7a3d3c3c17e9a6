"""A Space's app as a process that never outlives the server."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# The app and all its children go when this process is told to, or when whoever started it is gone and the pipe to it with them.
GUARD = """
import os, signal, subprocess, sys, threading
app = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os.killpg(0, signal.SIGKILL)), daemon=True).start()
sys.stdout.flush()
code = app.wait()
os._exit(code if code >= 0 else 128 - code)
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class AppProcess:
    """A started app, with a port, a home and a log of its own, and no variables of the server's but PATH."""

    def __init__(self, folder: Path, app_file: str, variables: dict[str, str], home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._log = home / "run.log"
        self._killed = False
        own = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "TMPDIR": str(home), "HF_HOME": str(home / "hf"), "PYTHONUNBUFFERED": "1"}
        gradio = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(self.port), "GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SSR_MODE": "False"}
        quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0", "MPLBACKEND": "agg", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        command = [sys.executable, "-I", "-S", "-c", GUARD, sys.executable, app_file]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env={**own, **gradio, **quiet, **variables}, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait_until_answering(self, timeout_s: float) -> bool:
        """Whether it came to serve a page before it ended or time was up."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self.exit_code is None:
            if self._answers():
                return True
            time.sleep(0.05)
        return False

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def kill(self) -> None:
        """End it and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()
