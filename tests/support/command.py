"""The command line as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """What a finished command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Command:
    """Starts `python -m voxtune` in a folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start it and do not wait."""
        command = [sys.executable, "-m", "voxtune", *(str(word) for word in words)]
        environment = {**os.environ, **self.environment}
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __call__(self, *words: object, interrupt: bool = False, timeout_s: float = 300) -> Done:
        """Run it to its end."""
        process = self.start(*words)
        if interrupt:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=timeout_s)
        return Done(process.returncode, out, err)

    def refused(self, *words: object, code: int) -> str:
        """Run what must fail: gives the message, after seeing that it is one, and no traceback."""
        done = self(*words)
        assert done.code == code, f"exit code {done.code}: {done.out}{done.err}"
        assert "Traceback" not in done.err
        assert done.out == ""
        assert done.err.strip()
        return done.err
