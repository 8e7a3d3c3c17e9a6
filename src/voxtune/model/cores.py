"""Several pieces of torch's work side by side on the cores of a CPU, instead of one after the other with all cores on each operation.

The operations of a small batch are too short to be divided among threads: these wait for each other some thousand times a step, and where waking
takes long (virtual machines) or other programs are at work, most of the time goes there. A piece to each core waits for nobody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def count() -> int:
    """How many cores torch may use."""
    return torch.get_num_threads()


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`work` of each item, in their order; as many at once as there are cores, which share these. Raises what the first that failed raised.

    Whether gradients are recorded, and autocast, are of one thread each: `work` has to set them.
    """
    workers = min(count(), len(items))
    if workers < 2:
        return [work(item) for item in items]
    coming = [_pool(workers, count() // workers).submit(work, item) for item in items]
    wait(coming)  # of one that fails too, so that nothing goes on behind the back of who is told
    return [each.result() for each in coming]


@cache
def _pool(workers: int, cores_each: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="cores", initializer=_take, initargs=(cores_each,))


os.register_at_fork(after_in_child=_pool.cache_clear)  # threads stay behind in the parent


def _take(cores: int) -> None:
    torch.get_num_threads()  # a thread takes the number last set by any other when it first asks for it, and so would lose its own
    torch.set_num_threads(cores)
