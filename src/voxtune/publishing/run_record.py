"""Everything that is known of a run, read from what it, its evaluation and its dataset wrote down. Loads no torch; what nobody wrote is None."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voxtune import settings as settings_files
from voxtune.dataset import clips as clip_files
from voxtune.dataset.clips import SPLITS, Clip
from voxtune.dataset.store import read_about
from voxtune.errors import EvaluationError, VoxtuneError
from voxtune.model import names
from voxtune.publishing import consent, records
from voxtune.publishing.consent import Consent
from voxtune.settings import TrainSettings
from voxtune.training import events, status
from voxtune.training.status import Status
from voxtune.workspace import DATASET_FILE, RunFolder, dataset_folder

What = Literal["adapter", "merged", "full"]
"""What of a run is published: its adapter, its base with the adapter in it, or weights that were all trained."""

NUM_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Error rates of one model on the held-out clips; 0.2 is twenty of a hundred."""

    wer: float
    cer: float
    raw_wer: float
    raw_cer: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The report of the model as it is now."""

    num_clips: int
    base: Rates
    tuned: Rates
    wer_reduction: float
    ci95: tuple[float, float]
    verdict: str
    normalisation: Mapping[str, Sequence[str]]
    worst: tuple[tuple[str, str, str], ...]
    """What was said, what the base heard and what the tuned model heard, of the clips with the most errors."""
    own_test_side: bool
    """Whether the clips are those that the run itself held out, and not other recordings."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """The clips on one side of the split."""

    clips: int
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Data:
    """The dataset that the run was trained on."""

    content_hash: str | None
    sources: Mapping[str, Mapping[str, str]]
    """Where its sentences come from: revision, licence and attribution of each source."""
    repo: str | None
    private: bool
    grown: bool
    """Whether there are other recordings in it now than when the run was trained."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run as its card tells it."""

    name: str
    settings: TrainSettings
    status: Status
    base: str | None
    """A Hub id, or `tiny`; None for a folder of this machine, whose path is nobody's business."""
    base_revision: str | None
    method: Literal["adapter", "full"]
    learning_rate: float | None
    precision: str | None
    hardware: tuple[Mapping[str, Any], ...]
    """Each machine that worked on it: processor, threads, ram_bytes, gpus, system."""
    versions: Mapping[str, str]
    seconds: float | None
    """That it was at work in all, with validations and checkpoints."""
    sides: Mapping[str, Side]
    languages: tuple[str, ...]
    """Of its clips, the most frequent first; empty where Voxtral was left to tell it."""
    speakers: int
    """That the recordings name; 0 where they name none."""
    data: Data
    voice: Consent | None
    evaluation: Evaluation | None
    outdated_report: bool
    """Whether it was trained further after it was evaluated."""
    what: What
    repo: str | None = None
    private: bool = True
    license: str | None = None
    tracking: str | None = None
    """The address of the private Trackio Space that shows its curves."""
    mistral_format: bool = False
    """Whether merged or full weights are, or will be, there as vLLM reads them too."""

    @property
    def hub_base(self) -> str | None:
        """What it was tuned from, if that is on the Hub for others to load."""
        return None if self.base == names.TINY else self.base

    @property
    def parts(self) -> tuple[str, ...]:
        """Which parts of the model were trained."""
        return tuple(part for part in settings_files.PARTS if part in self.settings.trained_parts)


def read(run: RunFolder) -> RunRecord:
    """What is known of a run now, with where it was published last.

    Raises CallError where there is no run, EvaluationError for a report that cannot be read.
    """
    now, settings = status.read(run), settings_files.load(run.settings, {})
    said = events.read(run.events)[0]
    machines = [event for event in said if event.get("event") == "machine"]
    noted = machines[-1] if machines else {}
    model: dict[str, Any] = next((event for event in reversed(said) if event.get("event") == "model"), {})
    clips = clip_files.read(run.clips)
    published = records.read(run.path).get("model", {})
    base = None if Path(settings.model).is_absolute() else settings.model
    evaluation, outdated = _evaluation(run, now, clips)
    method: Literal["adapter", "full"] = "adapter" if settings.method == "lora" else "full"
    return RunRecord(
        name=run.path.resolve().name,
        settings=settings,
        status=now,
        base=base,
        base_revision=names.base_of(run, base).revision if base else None,
        method=method,
        learning_rate=model.get("learning_rate"),
        precision=_precision(str(model.get("precision", ""))),
        hardware=_different([event["hardware"] for event in machines]),
        versions={name: version for name, version in noted.get("versions", {}).items() if version},
        seconds=_seconds(said),
        sides=_sides(clips, noted.get("clips", {})),
        languages=tuple(code for code, _ in Counter(clip.language for clip in clips).most_common() if code),
        speakers=len({clip.speaker for clip in clips if clip.speaker}),
        data=_data(settings, noted.get("dataset", {})),
        voice=consent.given(run.path),
        evaluation=evaluation,
        outdated_report=outdated,
        what=published.get("what") or planned(method, base),
        repo=published.get("repo"),
        private=published.get("private", True),
        license=published.get("license"),
        tracking=records.read(run.path).get("tracking", {}).get("url"),
        mistral_format=published.get("mistral_format", base not in (None, names.TINY)),
    )


def planned(method: Literal["adapter", "full"], base: str | None) -> What:
    """What is published unless a person chooses: an adapter where everybody can load its base, else weights that need no other."""
    return "full" if method == "full" else "merged" if base in (None, names.TINY) else "adapter"


def _precision(said: str) -> str | None:
    """The number types of a run in words, from what its event `model` says."""
    found = re.search(r"device='(\w+)', autocast=(True|False), frozen=torch\.(\w+)", said)
    if not found:
        return None
    device, autocast, frozen = found.groups()
    where = "GPU" if device == "cuda" else "CPU"
    return f"bfloat16 autocast, frozen weights {frozen} ({where})" if autocast == "True" else f"{frozen} ({where})"


def _different(hardware: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(each for place, each in enumerate(hardware) if each not in hardware[:place])


def _seconds(said: Sequence[Mapping[str, Any]]) -> float | None:
    """From the first to the last word of each time that it was at work: what a killed process did not live to say is left out."""
    total, began, last = 0.0, None, 0.0
    for event in said:
        if not isinstance(event.get("time"), int | float):
            continue
        if event.get("event") == "stage" and event.get("stage") == "preparing":
            total += 0.0 if began is None else last - began
            began = event["time"]
        last = event["time"]
    return None if began is None else round(total + last - began, 1)


def _sides(clips: Sequence[Clip], noted: Mapping[str, Any]) -> dict[str, Side]:
    counted = Counter(clip.split for clip in clips)
    return {side: Side(clips=counted[side], seconds=noted.get(side, {}).get("seconds")) for side in SPLITS}


def _data(settings: TrainSettings, noted: Mapping[str, Any]) -> Data:
    about: dict[str, Any] = {}
    published: dict[str, Any] = {}
    with contextlib.suppress(VoxtuneError, OSError):  # it is not here any more
        if folder := dataset_folder(settings.data):
            about, published = read_about(folder / DATASET_FILE), records.read(folder).get("dataset", {})
    known = {**about, **noted}
    return Data(
        content_hash=known.get("content_hash"),
        sources=known.get("sources", {}),
        repo=published.get("repo"),
        private=published.get("private", True),
        grown=bool(noted and about and about.get("content_hash") != noted.get("content_hash")),
    )


def _evaluation(run: RunFolder, now: Status, clips: Sequence[Clip]) -> tuple[Evaluation | None, bool]:
    """The report, and whether it is of an earlier model than there is now."""
    if not run.report.is_file():
        return None, False
    if run.report.stat().st_mtime < now.updated_at - 1.0:
        return None, True
    held_out = {(clip.audio_path, clip.text) for clip in clips if clip.split == "test"}
    try:
        report = json.loads(run.report.read_text(encoding="utf-8"))
        rows = report["clips"]
        found = Evaluation(
            num_clips=report["num_clips"],
            base=Rates(**report["base"]),
            tuned=Rates(**report["tuned"]),
            wer_reduction=report["wer_reduction"],
            ci95=(report["wer_reduction_ci95"][0], report["wer_reduction_ci95"][1]),
            verdict=str(report["verdict"]),
            normalisation=report.get("normalisation", {}),
            worst=tuple((row["text"], row["base_text"], row["tuned_text"]) for row in rows[:NUM_EXAMPLES]),
            own_test_side=all((row["audio_path"], row["text"]) in held_out for row in rows),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        raise EvaluationError(f"{run.report} cannot be read as a report.", hint=f"Evaluate it again: voxtune evaluate {run.shell}") from None
    return found, False
