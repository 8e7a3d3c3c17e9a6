"""What the machine says of itself and its memory. Loads no torch."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

import psutil

MMAP_VARIABLE = "MALLOC_MMAP_THRESHOLD_"
"""From which size on glibc gives a block back at once when it is freed."""
MMAP_THRESHOLD_BYTES = 1 << 20
"""Less memory held, for a quarter more time (docs/performance.md)."""

_CGROUP = Path("/sys/fs/cgroup")


def free_ram_bytes() -> int:
    """Memory that a process could take now, or what a container leaves of it."""
    available = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        available = min(available, int((_CGROUP / "memory.max").read_text()) - int((_CGROUP / "memory.current").read_text()))
    return available


def oom_kills() -> int:
    """How many processes this machine has ended for want of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        line = next(line for line in Path("/proc/vmstat").read_text().splitlines() if line.startswith("oom_kill "))
        return int(line.split()[1])
    return 0


def hardware() -> dict[str, object]:
    """The processor by its name, how many of its threads a process may use, and the machine's memory; nothing that tells one machine from another."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": _processor(), "threads": count, "ram_bytes": int(psutil.virtual_memory().total), "system": platform.system()}


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        line = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
        return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
