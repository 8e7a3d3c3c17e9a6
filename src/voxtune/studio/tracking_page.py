"""Trackio's own dashboard of the runs, beside the studio: a process of its own on this machine alone, which ends with the studio."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from voxtune.errors import MissingDependencyError, VoxtuneError
from voxtune.studio.children import environment
from voxtune.training.tracking import PROJECT

_SHOW = (
    "import os, sys, trackio; trackio.show(sys.argv[1], open_browser=False, host='127.0.0.1', share=False, block_thread=False); "
    "sys.stdin.read(); os._exit(0)"  # the pipe closes when the studio ends, however it ends
)
_URL = re.compile(r"launched at: (http://(?:127\.0\.0\.1|localhost):\d+/\S*?)(?:\x1b|\s|$)")
_START_S = 60.0
_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID", "TRACKIO_DATASET_ID", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Dashboard:
    """The one dashboard of this studio."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._turn = threading.Lock()

    def open(self, log: Path) -> str:
        """Its address; started where it is not there. What it says goes to `log`. Raises VoxtuneError."""
        with self._turn:
            if self._process is not None and self._process.poll() is None and self._url:
                return self._url
            if importlib.util.find_spec("trackio") is None:
                raise MissingDependencyError("Trackio is not installed.", hint="pip install 'voxtune[train]'")
            self._url = ""
            self._process = _start(log)
            until = time.monotonic() + _START_S
            while time.monotonic() < until and self._process.poll() is None:
                if found := _URL.search(log.read_text(encoding="utf-8", errors="replace")):
                    self._url = found.group(1)
                    return self._url
                time.sleep(0.1)
            self._process.kill()
            self._process.wait()
            raise VoxtuneError("Trackio's dashboard did not start.", hint=f"{log} says more; `trackio show --project {PROJECT}` starts it by hand.")


def _start(log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    here = {name: value for name, value in environment().items() if name not in _ELSEWHERE}
    # It prints a token with which its runs can be changed: for nobody else's eyes.
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter, and a script of ours
            [sys.executable, "-P", "-c", _SHOW, PROJECT], stdin=subprocess.PIPE, stdout=descriptor, stderr=descriptor, env=here, start_new_session=True
        )
    finally:
        os.close(descriptor)


DASHBOARD = Dashboard()
