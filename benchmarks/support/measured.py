"""A command run to its end: how long it took, the most memory of its largest process, and whether it had the machine to itself. Linux only."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a command took and printed."""

    seconds: float
    """From the start of its process to its end."""
    cpu_s: float
    """Of all its processes on all cores."""
    others_cpu_s: float
    """What the rest of the machine did meanwhile."""
    peak_bytes: int
    """Resident, of the largest of its processes at that one's highest moment."""
    out: str

    @property
    def others(self) -> float:
        """The cores that other programs kept busy while it ran."""
        return self.others_cpu_s / self.seconds


def run(command: Sequence[object], *, environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command and measure it; ends this program with what the command said if it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began, cpu_before, busy_before = time.monotonic(), _cpu_s(), _busy_s()
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env={**os.environ, **(environment or {})})
        peak = 0
        try:
            while process.poll() is None:
                peak = max(peak, *(_peak_bytes(pid) for pid in _family(process.pid)))
                time.sleep(_EVERY_S)
        except KeyboardInterrupt:
            for each in psutil.Process(process.pid).children(recursive=True):
                each.kill()  # a run of voxtune would go on alone
            process.kill()
            raise
        seconds, cpu_s = time.monotonic() - began, _cpu_s() - cpu_before
        others_cpu_s = max(0.0, _busy_s() - busy_before - cpu_s)
        out.seek(0)
        err.seek(0)
        printed, said = out.read().decode(), err.read().decode()
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{printed}{said}")
    return Measured(seconds=seconds, cpu_s=cpu_s, others_cpu_s=others_cpu_s, peak_bytes=peak, out=printed)


def voxtune(*words: object, environment: Mapping[str, str] | None = None) -> Measured:
    """Run one of voxtune's commands and measure it."""
    return run([sys.executable, "-m", "voxtune", *words], environment=environment)


def _cpu_s() -> float:
    """Of all that this program started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy_s() -> float:
    """Of all cores since the machine was started, for whomever."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)  # user holds guest


def _family(pid: int) -> list[int]:
    """A process and all that it started, as far as they live."""
    try:
        # Of all its threads: a pool may be started by another than the first.
        files = list(Path(f"/proc/{pid}/task").glob("*/children"))
        children = [int(child) for file in files for child in file.read_text().split()]
    except OSError:  # it ended
        return [pid]
    return [pid, *(each for child in children for each in _family(child))]


def _peak_bytes(pid: int) -> int:
    # VmHWM and not getrusage's ru_maxrss: that one begins with the size of the process that forked.
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
