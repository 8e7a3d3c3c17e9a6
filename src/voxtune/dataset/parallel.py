"""One task for many items: done here, or in processes of its own where that pays."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeVar

from voxtune.errors import VoxtuneError

Item = TypeVar("Item")
Result = TypeVar("Result")

START_S = 0.3
"""A little more than it costs to start two processes (0.2 s). As much is worked here first: a wrong guess costs no more than that again."""
WORTH_S = 2.0
"""Nobody waits for less; two processes save nearly half of it."""
MAX_PROCESSES = 16
"""What they give back goes through this process, which is busy with fewer."""
_ITEMS_AT_ONCE = 8
"""Sent together: to send one costs as much as the shortest clips take."""
_AHEAD = 2
"""Batches in hand for each process, so that none waits and results do not pile up."""


def each(task: Callable[[Item], Result], items: Sequence[Item], *, processes: int | None = None) -> Generator[Result]:
    """`task` of every item, in order; close the generator to end the work early.

    Without `processes` it begins here, and goes on in a process a core once START_S were worked and WORTH_S are still to come. `task` is
    a function of a module; what it takes and gives must go through a pickle. Raises VoxtuneError if a process is killed.
    """
    most = _usable_processes() if processes is None else processes
    worked_s = 0.0
    for done, item in enumerate(items):
        left_s = worked_s / max(done, 1) * (len(items) - done)
        if most > 1 and (processes is not None or (worked_s >= START_S and left_s >= WORTH_S)):
            yield from _in_processes(task, items[done:], most)
            return
        began_s = time.perf_counter()
        result = task(item)
        worked_s += time.perf_counter() - began_s
        yield result


def _usable_processes() -> int:
    """How many may run at once; 1 where none can be started.

    A new process loads the main program again. That of voxtune and what is typed in bear it; a script of somebody else's that does
    not guard its work by `__name__` would do it once more in each process, and so none is started for it.
    """
    main = sys.modules["__main__"]
    module, file = getattr(main.__spec__, "name", ""), getattr(main, "__file__", None)
    bears_it = module.endswith(".__main__") or file is None or Path(file).name == "voxtune"
    if not bears_it or multiprocessing.parent_process() is not None:
        return 1
    # Not os.cpu_count(): a container or taskset may allow fewer.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, MAX_PROCESSES)


def _in_processes(task: Callable[[Item], Result], items: Sequence[Item], processes: int) -> Generator[Result]:
    from concurrent.futures import Future, ProcessPoolExecutor  # only here: it takes 10 ms to load
    from concurrent.futures.process import BrokenProcessPool

    size = min(_ITEMS_AT_ONCE, math.ceil(len(items) / (4 * processes)))
    # Spawned, not forked: a fork of a process with threads may find a lock held for ever.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)
    waiting: deque[Future[list[Result]]] = deque()
    try:
        for first in range(0, len(items), size):
            waiting.append(pool.submit(_all, task, items[first : first + size]))
            if len(waiting) >= _AHEAD * processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        hint = "Close other programs and call it again; with one processor (taskset -c 0) it needs the least memory."
        raise VoxtuneError("a process that read the clips was ended from outside; perhaps the memory was full.", hint=hint) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _all(task: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [task(item) for item in items]


def _prepare() -> None:
    """Ctrl-C goes to all processes of a terminal: the first alone answers it. A process outlives the first by no more than an instant."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    first = multiprocessing.parent_process()
    assert first is not None
    first.join()
    os._exit(1)
