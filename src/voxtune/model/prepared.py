"""Clips ready for the model, each read, encoded and run through what is frozen of the tower once, and kept as far as budgets go."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, overload

import torch
from torch import Tensor
from torch.utils.data import Dataset

from voxtune import audio
from voxtune.audio import SAMPLE_RATE_HZ, Wave
from voxtune.dataset.clips import Clip
from voxtune.model import tower, voxtral
from voxtune.model.augmentation import Augmentation
from voxtune.model.batches import Encoder, Example, Sound
from voxtune.model.kept import Kept
from voxtune.model.mel import Mel
from voxtune.model.tower import AudioPath
from voxtune.model.voxtral import Precision
from voxtune.settings import TrainSettings

DEFAULT_BUDGET_BYTES = 2 << 30
"""Memory for what is kept of clips. A chunk of 30 s on the 3B is 2.3 MB of embeddings, a second of log-mel 51 KB."""
VARIANTS = 4
"""Of each clip, where it is altered and its outputs are kept: as recorded, and three others, in turn."""
_WORKERS = 4


Item = tuple[int, int]
"""A clip by its place, and which variant of it."""


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """What is frozen of a model's audio path, and where its outputs are kept; without `kept`, nowhere: it is run anew each time."""

    path: AudioPath
    kept: Kept | None


def hearing(model: Any, settings: TrainSettings, precision: Precision) -> Hearing | None:
    """What is frozen with these settings, and where it is kept; None if nothing is."""
    frozen = tower.depth(settings, voxtral.num_tower_layers(model))
    if not frozen.layers:
        return None
    path = AudioPath(model, frozen, precision)
    return Hearing(path=path, kept=Kept(path.fingerprint(), budget_bytes=round(settings.cache_gb * 1e9)) if settings.tower_cache else None)


@dataclass(kw_only=True)
class Tally:
    """How outputs of the frozen part of the tower came about."""

    computed: int = 0
    from_disk: int = 0
    damaged: bool = False
    """What was on disk was not what this model gives, and was thrown away."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What there is of a clip's sound."""

    key: str
    sound: Sound
    duration_s: float


class PreparedClips(Dataset[Example], Sequence[Example]):
    """The examples of some clips."""

    def __init__(
        self,
        clips: Sequence[Clip],
        encoder: Encoder,
        *,
        hearing: Hearing | None = None,
        augmentation: Augmentation | None = None,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
    ) -> None:
        self.clips = clips
        self.tally = Tally()
        self._encoder = encoder
        self._path = hearing.path if hearing else None
        self._kept = hearing.kept if hearing else None
        self._augmentation = augmentation
        self._left_bytes = budget_bytes
        self._memory: dict[Item, Heard] = {}
        self._waves: dict[int, Wave] = {}
        self._names: dict[int, str] = {}
        self._answers: dict[int, list[int]] = {}
        self._coming: dict[Item, Future[Heard]] = {}
        self._workers: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self.clips)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        """As they were recorded. Raises AudioError that names the clip if it cannot be read."""
        if isinstance(place, slice):
            return self.examples([(each, 0) for each in range(*place.indices(len(self)))])
        if place not in range(len(self)):
            raise IndexError(place)
        return self.examples([(place, 0)])[0]

    @property
    def prompts(self) -> Sequence[Example]:
        """The same clips without their transcripts, to be transcribed; what was made of their sound is shared."""
        return _Prompts(self)

    def variant(self, epoch: int) -> int:
        """Which variant of each clip belongs in an epoch: every other time as recorded, else altered; those whose outputs are kept come back."""
        if self._augmentation is None or epoch % 2 == 0:
            return 0
        return 1 + epoch // 2 % (VARIANTS - 1) if self._kept else 1 + epoch // 2

    def ahead(self, items: Iterable[Item]) -> None:
        """Begin to read what will be asked for next, in other threads."""
        for item in items:
            if item not in self._memory and item not in self._coming:
                self._workers = self._workers or ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1), thread_name_prefix="clips")
                self._coming[item] = self._workers.submit(self._fetch, item)

    def examples(self, items: Sequence[Item]) -> list[Example]:
        """The examples of some items; what has to be computed for them goes through the tower together. Raises AudioError."""
        if len(items) > 1:
            self.ahead(items)  # several are read at once
        found = {item: self._memory.get(item) or self._arrived(item) for item in dict.fromkeys(items)}
        if self._path is not None:
            found |= self._through_tower({item: heard for item, heard in found.items() if isinstance(heard.sound, Mel)})
        return [self._example(item[0], found[item]) for item in items]

    def _example(self, place: int, heard: Heard) -> Example:
        clip = self.clips[place]
        if place not in self._answers:
            self._answers[place] = self._encoder.answer(clip.text)
        return self._encoder.around(heard.sound, language=clip.language, answer=self._answers[place], duration_s=heard.duration_s, number=place)

    def _arrived(self, item: Item) -> Heard:
        """What is not in memory, read here or by then in another thread."""
        coming = self._coming.pop(item, None)
        heard = coming.result() if coming else self._fetch(item)
        if isinstance(heard.sound, Tensor):
            if not self.tally.from_disk and not self._is_right(item, heard.sound):
                self.tally.damaged = True
                assert self._kept is not None, "it came from there"
                self._kept.clear()
                return self._read(item)
            self.tally.from_disk += 1
        if self._kept is None or isinstance(heard.sound, Tensor):
            self._remember(item, heard)
        return heard

    def _through_tower(self, raw: dict[Item, Heard]) -> dict[Item, Heard]:
        """The outputs of the frozen part for those of which there is the mel."""
        outputs = self._begin([heard.sound for heard in raw.values() if isinstance(heard.sound, Mel)])
        done = {item: replace(heard, sound=output) for (item, heard), output in zip(raw.items(), outputs, strict=True)}
        self.tally.computed += len(done)
        if self._kept is not None:
            for item, heard in done.items():
                assert isinstance(heard.sound, Tensor), "as it came out"
                self._kept.put(heard.key, heard.sound, duration_s=heard.duration_s)
                self._remember(item, heard)
        return done

    def _begin(self, mels: Sequence[Mel]) -> list[Tensor]:
        if not mels:
            return []
        assert self._path is not None, "only with a frozen part"
        chunks = torch.cat([mel.chunks() for mel in mels])
        # Clones: a piece of a larger tensor would hold all of it in memory.
        return [each.clone() for each in self._path.outputs(chunks).split([mel.num_chunks for mel in mels])]

    def _is_right(self, item: Item, kept: Tensor) -> bool:
        """Whether the model gives, as far as its number type can tell, what was kept: asked of the first clip that comes from the disk."""
        mel = self._read(item).sound
        assert isinstance(mel, Mel), "as it is read"
        now = self._begin([mel])[0]
        if now.shape != kept.shape or now.dtype != kept.dtype:
            return False
        error = (now.float() - kept.float()).norm() / now.float().norm()
        return bool(error < (1e-4 if kept.dtype == torch.float32 else 2e-2))

    def _remember(self, item: Item, heard: Heard) -> None:
        new_each_time = self._augmentation is not None and self._kept is None
        if not new_each_time and heard.sound.nbytes <= self._left_bytes:
            self._left_bytes -= heard.sound.nbytes
            self._memory[item] = heard

    def _fetch(self, item: Item) -> Heard:
        """The output that was kept on the disk, or the mel. Called from several threads."""
        if self._kept is not None and (kept := self._kept.get(key := self._key(item))) is not None:
            return Heard(key=key, sound=kept[0], duration_s=kept[1])
        return self._read(item)

    def _read(self, item: Item) -> Heard:
        """A clip's mel, from its audio. Raises AudioError."""
        place, variant = item
        clip = self.clips[place]
        wave = self._waves.get(place)
        if wave is None:
            wave = audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)
            if self._augmentation is not None and wave.nbytes <= self._left_bytes:
                self._left_bytes -= wave.nbytes
                self._waves[place] = wave  # it is wanted for other variants too
        altered = wave if self._augmentation is None else self._augmentation.wave(wave, clip=self._name(place), variant=variant)
        mel = self._encoder.mel(altered)
        if self._augmentation is not None:
            mel = replace(mel, frames=self._augmentation.mel(mel.frames, clip=self._name(place), variant=variant))
        return Heard(key=self._key(item), sound=mel, duration_s=len(wave) / SAMPLE_RATE_HZ)

    def _key(self, item: Item) -> str:
        """What an output is made of, besides the model."""
        place, variant = item
        altered = self._augmentation.key(variant) if self._augmentation else ""
        return hashlib.sha256(f"{self._name(place)} {altered}".encode()).hexdigest()

    def _name(self, place: int) -> str:
        """A clip by its contents, so that it is the same wherever it lies. Raises AudioError."""
        if self._kept is None and self._augmentation is None:
            return ""  # nobody asks
        if place not in self._names:
            clip = self.clips[place]
            digest = hashlib.sha256(audio.contents(clip.path))
            digest.update(f"{clip.start_s} {clip.end_s}".encode())
            self._names[place] = digest.hexdigest()
        return self._names[place]


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
