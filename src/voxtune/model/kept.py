"""What was computed of clips, kept on this machine's disk for the next epoch and the next run: addressed by what it was made of, and checked.

One file an entry, below a folder for each maker (a model's frozen weights, by their hash). Nothing here is the only copy of anything: a file that is
missing or damaged is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from voxtune import files
from voxtune.model import kept_files

_NAME = "output"


class Kept:
    """The entries of one maker, as part of all that is kept."""

    def __init__(self, maker: str, *, budget_bytes: int) -> None:
        self._folder = kept_files.folder() / maker[:32]
        self.full = ""
        """Why nothing more is kept, once it is so."""
        found = sorted(kept_files.entries())
        used = sum(entry.size_bytes for entry in found)
        # At most half of what the disk has left: a cache must not be what fills it.
        self._left_bytes = min(budget_bytes - used, files.free_bytes(kept_files.folder()) // 2)
        self._oldest_first = deque(found)
        self._in_use: set[str] = set()

    def get(self, key: str) -> tuple[Tensor, float] | None:
        """What was kept, mapped from its file, and the clip's seconds; or None; a damaged entry is none."""
        file = self._file(key)
        try:
            with safe_open(file, framework="pt") as opened:
                found: Tensor = opened.get_tensor(_NAME)
                about = opened.metadata()
                duration_s = float(about["duration_s"])
            if key not in self._in_use and about["sha256"] != _digest(found):
                raise ValueError(key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            file.unlink(missing_ok=True)
            return None
        if key not in self._in_use:
            self._in_use.add(key)
            with contextlib.suppress(OSError):
                os.utime(file)  # it is not among the oldest any more
        return found, duration_s

    def put(self, key: str, value: Tensor, *, duration_s: float) -> None:
        """Keep a value, if there is room or room can be made: the oldest that this run does not use goes first."""
        value = value.detach().cpu().contiguous()
        while not self.full and value.nbytes > self._left_bytes:
            self._drop_oldest()
        if self.full:
            return
        try:
            files.keep(self._file(key), save({_NAME: value}, metadata={"sha256": _digest(value), "duration_s": str(duration_s)}))
        except OSError as error:
            self.full = error.strerror or type(error).__name__
            return
        self._left_bytes -= value.nbytes
        self._in_use.add(key)

    def clear(self) -> None:
        """Forget every entry of this maker."""
        kept_files.clear(self._folder)
        self._in_use.clear()

    def _drop_oldest(self) -> None:
        if not self._oldest_first:
            self.full = "the disk space that it may take is used up"
            return
        oldest = self._oldest_first.popleft()
        if oldest.file.stem not in self._in_use:
            with contextlib.suppress(OSError):
                oldest.file.unlink(missing_ok=True)
                self._left_bytes += oldest.size_bytes

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.safetensors"


def _digest(value: Tensor) -> str:
    data: Any = value.contiguous().flatten().view(torch.uint8).numpy()
    return hashlib.sha256(data).hexdigest()
