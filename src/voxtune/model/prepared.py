"""Clips ready for the model, read and encoded once and kept in memory as far as a budget goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from torch.utils.data import Dataset

from voxtune import audio
from voxtune.dataset.clips import Clip
from voxtune.model.batches import Encoder, Example

DEFAULT_BUDGET_BYTES = 2 << 30
"""About 1,400 clips of up to 30 s: 1.5 MB of log-mel each."""


class PreparedClips(Dataset[Example], Sequence[Example]):
    """The examples of some clips."""

    def __init__(self, clips: Sequence[Clip], encoder: Encoder, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.clips = clips
        self._encoder = encoder
        self._left_bytes = budget_bytes
        self._kept: dict[int, Example] = {}

    def __len__(self) -> int:
        return len(self.clips)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        """Raises AudioError that names the clip if it cannot be read."""
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place not in range(len(self)):
            raise IndexError(place)
        if place in self._kept:
            return self._kept[place]
        clip = self.clips[place]
        wave = audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)
        example = replace(self._encoder.example(wave, language=clip.language, text=clip.text), number=place)
        size_bytes = example.features.nbytes
        if size_bytes <= self._left_bytes:
            self._left_bytes -= size_bytes
            self._kept[place] = example
        return example

    @property
    def prompts(self) -> Sequence[Example]:
        """The same clips without their transcripts, to be transcribed; their features are shared."""
        return _Prompts(self)


class _Prompts(Sequence[Example]):
    def __init__(self, clips: PreparedClips) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        found = self._clips[place]
        return [each.prompt for each in found] if isinstance(found, list) else found.prompt
