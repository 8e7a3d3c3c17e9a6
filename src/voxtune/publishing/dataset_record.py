"""What is known of a dataset that is published: counted from the clips and from the journal of takes, and nothing that tells more of the person.

Names of microphones, files and folders stay at home, and of dates the month is enough.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from voxtune.dataset.clips import SPLITS, Clip, Split
from voxtune.dataset.store import Dataset, read_about
from voxtune.publishing.consent import Consent
from voxtune.recordings.takes import Take, Takes
from voxtune.workspace import DATASET_FILE, RecordingsFolder

_PROCESSING = ("echo_cancellation", "auto_gain_control", "noise_suppression")


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A clip as it is published."""

    clip: Clip
    side: Split
    name: str
    """Of its file in the folder of its side."""
    duration_s: float
    rate_hz: int


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the split."""

    num_clips: int
    duration_s: float
    num_speakers: int | None
    """None where nothing names them."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where sentences come from."""

    name: str
    """granary, pack, practice, file; empty for clips that came with transcripts of their own."""
    num_clips: int
    revision: str
    licence: str
    attribution: str


@dataclass(frozen=True, kw_only=True)
class Recording:
    """How the clips came about."""

    num_read: int
    """Read from the page, sentence by sentence."""
    num_uploaded: int
    """Sent as files with their transcripts."""
    num_imported: int
    """In the dataset without a take."""
    rates_hz: Mapping[int, int]
    """Clips by their sample rate."""
    num_raw: int
    """Of those read, through a microphone whose browser said that it changed nothing."""
    num_processed: int
    """Of those read, with echo cancelling, gain control or noise suppression on."""
    months: tuple[str, ...]
    """Of those read the first and the last, as 2026-03; one where it is the same, none where it is not known."""
    num_good: int
    num_accepted: int
    """Kept as they are, in spite of what was found."""
    problems: Mapping[str, int]
    """Takes by what was found wrong with them, worst first."""
    snr_db: float | None
    """Speech above the room, the median."""


@dataclass(frozen=True, kw_only=True)
class DatasetRecord:
    """Everything that a dataset's card says."""

    repo: str
    languages: tuple[str, ...]
    sides: Mapping[Split, Side]
    speakers_apart: bool
    """Whether every voice is named, and none stands on two sides."""
    examples: tuple[str, ...]
    """Some transcripts."""
    sources: tuple[Source, ...]
    recording: Recording
    consent: Consent
    licence: str | None

    @property
    def num_clips(self) -> int:
        """On all sides."""
        return sum(side.num_clips for side in self.sides.values())

    @property
    def duration_s(self) -> float:
        """Of all clips."""
        return sum(side.duration_s for side in self.sides.values())


def of(dataset: Dataset, staged: Sequence[Staged], *, repo: str, consent: Consent, licence: str | None) -> DatasetRecord:
    """What is known of the clips that are published. Raises DatasetError for a dataset.json that cannot be read."""
    folder = dataset.file.parent
    about = read_about(folder / DATASET_FILE)
    takes = _takes(folder)
    used = [takes[each.clip.audio_path] for each in staged if each.clip.audio_path in takes]
    sides = {side: members for side in SPLITS if (members := [each for each in staged if each.side == side])}
    return DatasetRecord(
        repo=repo,
        languages=tuple(sorted({each.clip.language for each in staged if each.clip.language})),
        sides={side: _side(members, consent) for side, members in sides.items()},
        speakers_apart=_are_apart([{each.clip.speaker for each in members} for members in sides.values()]),
        examples=tuple(each.clip.text for each in staged[:3]),
        sources=tuple(_sources(used, len(staged) - len(used), about.get("sources") or {})),
        recording=_recording(used, staged),
        consent=consent,
        licence=licence,
    )


def _takes(folder: Path) -> dict[str, Take]:
    return {take.file: take for take in Takes(RecordingsFolder(folder)).all().values()}


def _are_apart(speakers: Sequence[set[str | None]]) -> bool:
    every = set().union(*speakers)
    return len(speakers) > 1 and None not in every and len(every) == sum(len(each) for each in speakers)


def _side(members: Sequence[Staged], consent: Consent) -> Side:
    named = {each.clip.speaker for each in members}
    speakers = 1 if named == {None} and consent.voice == "own" else None if None in named else len(named)
    return Side(num_clips=len(members), duration_s=sum(each.duration_s for each in members), num_speakers=speakers)


def _sources(takes: Iterable[Take], num_imported: int, known: Mapping[str, Mapping[str, str]]) -> Iterable[Source]:
    counted = Counter(take.phrase_source if take.source == "studio" else "" for take in takes)
    counted[""] += num_imported
    for name, count in sorted(counted.items(), reverse=True):
        if count:
            about = known.get(name, {})
            facts = {field: str(about.get(field) or "") for field in ("revision", "licence", "attribution")}
            yield Source(name=name, num_clips=count, **facts)


def _recording(takes: Sequence[Take], staged: Sequence[Staged]) -> Recording:
    read = [take for take in takes if take.source == "studio"]
    found = Counter(code for take in takes for code in take.judgement.problems)
    months = sorted({month for take in read if (month := _month(take.recorded_at))})
    levels = [take.judgement.snr_db for take in takes if take.judgement.snr_db is not None]
    return Recording(
        num_read=len(read),
        num_uploaded=len(takes) - len(read),
        num_imported=len(staged) - len(takes),
        rates_hz=dict(sorted(Counter(each.rate_hz for each in staged).items())),
        num_raw=sum(all(take.device.get(name) is False for name in _PROCESSING) for take in read),
        num_processed=sum(any(take.device.get(name) is True for name in _PROCESSING) for take in read),
        months=tuple(dict.fromkeys((months[0], months[-1]))) if months else (),
        num_good=sum(not take.judgement.problems for take in takes),
        num_accepted=sum(bool(take.judgement.problems) and take.accepted for take in takes),
        problems=dict(found.most_common()),
        snr_db=median(levels) if levels else None,
    )


def _month(moment_s: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(moment_s, datetime.UTC).strftime("%Y-%m") if moment_s > 0 else ""
    except (OverflowError, OSError, ValueError):
        return ""  # no moment that a clock ever showed
