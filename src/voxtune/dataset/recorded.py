"""The dataset of a folder that grows by recording: data.jsonl made anew from the takes that count, the split kept."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import soundfile

from voxtune import audio, files
from voxtune.dataset.clips import SPLITS, Clip, Split, read, read_lines
from voxtune.dataset.split import counts, split_by_sentence
from voxtune.dataset.store import read_about
from voxtune.errors import DatasetError
from voxtune.phrases.cleaning import sentence_key
from voxtune.recordings.takes import Take, Takes
from voxtune.workspace import DATA_FILE, DATASET_FILE, SCHEMA, RecordingsFolder

_WAIT_S = 30.0
_SAID = ("consent", "license")
"""What a person said of the recordings for good, and not of those that there were."""


def make(folder: RecordingsFolder, *, sources: Mapping[str, Mapping[str, str]], seed: int = 0) -> dict[str, Any]:
    """Write data.jsonl and dataset.json from the takes that count, after the clips that were imported; gives what dataset.json holds.

    A sentence stays on the side it was on, so that no recording that was held out is ever trained on. `sources` says of each
    source of sentences its revision, licence and attribution. Raises DatasetError where nothing was recorded.
    """
    with files.locked(folder.dataset_lock, wait_s=_WAIT_S):
        every = Takes(folder).all()
        takes = [take for take in Takes(folder).kept(every.values()).values() if (folder.path / take.file).is_file()]
        former = read_about(folder.path / DATASET_FILE)
        clips = _imported(folder, {take.file for take in every.values()}, former.get("language")) + [_clip(folder, take) for take in _by_time(takes)]
        if not clips:
            raise DatasetError("nothing was recorded yet.", hint="Record some sentences, or upload recordings, first.")
        clips = _on_their_sides(clips, every.values(), former, seed=seed)
        about = _about(clips, {take.phrase_source for take in takes}, former, sources=sources, seed=seed)
        # First the sides, which may name more clips than there are, then the clips: killed between the two, the former dataset is whole.
        files.write_json(folder.path / DATASET_FILE, about)
        files.write_lines(folder.path / DATA_FILE, [_row(clip, about["language"]) for clip in clips])
    return about


def sides(folder: RecordingsFolder) -> dict[str, str]:
    """On which side each clip was when the dataset was last made; empty before."""
    return dict(read_about(folder.path / DATASET_FILE).get("split", {}).get("sides", {}))


def in_dataset(folder: RecordingsFolder) -> dict[str, str]:
    """The transcript of each clip as data.jsonl has it; empty before it was made."""
    if not (folder.path / DATA_FILE).is_file():
        return {}
    return {clip.audio_path: clip.text for clip in read_lines(folder.path / DATA_FILE)[0]}


def _by_time(takes: Iterable[Take]) -> list[Take]:
    return sorted(takes, key=lambda take: take.key)


def _clip(folder: RecordingsFolder, take: Take) -> Clip:
    return Clip(audio_path=take.file, path=folder.path / take.file, text=take.text, language=take.language)


def _imported(folder: RecordingsFolder, recorded: set[str], language: str | None) -> list[Clip]:
    """Clips that were in the dataset before anything was recorded into it, as they are."""
    if not (folder.path / DATA_FILE).is_file():
        return []
    file = folder.path / DATA_FILE
    clips = [clip for clip in read(file) if clip.audio_path not in recorded]
    for clip in clips:
        if clip.start_s is not None or clip.end_s is not None:
            hint = "Move it away and import it with `voxtune dataset import`, which makes a file of each part."
            raise DatasetError("a part of a file cannot stand beside takes.", file=file, line=clip.line, hint=hint)
        if not clip.path.is_file():
            raise DatasetError(f"{clip.audio_path} is not there any more.", file=file, line=clip.line, hint="Put it back, or remove the line.")
    return [replace(clip, language=clip.language or language) for clip in clips]


def _on_their_sides(clips: Sequence[Clip], takes: Iterable[Take], former: Mapping[str, Any], *, seed: int) -> list[Clip]:
    sentences = {clip.audio_path: sentence_key(clip.text) for clip in clips} | {take.file: sentence_key(take.text) for take in takes}
    former_sides = former.get("split", {}).get("sides", {})
    # A sentence that stood on two sides, as one that was corrected to another's, is held out: the test before validation before training.
    kept: dict[str, Split] = {sentences[name]: side for wanted in SPLITS for name, side in former_sides.items() if side == wanted and name in sentences}
    try:
        return split_by_sentence(clips, seed=seed, kept=kept)
    except DatasetError:
        return list(clips)  # too few for a split: it can grow, or be published as it is


def _row(clip: Clip, language: str | None) -> dict[str, object]:
    return replace(clip, language=clip.language if clip.language != language else None, split=None).row(clip.audio_path)


def _duration_s(clip: Clip) -> float:
    try:
        return float(soundfile.info(clip.path).duration)
    except soundfile.LibsndfileError:
        return len(audio.read(clip.path)) / audio.SAMPLE_RATE_HZ  # M4A and its kin


def _about(clips: Sequence[Clip], used: set[str], former: Mapping[str, Any], *, sources: Mapping[str, Mapping[str, str]], seed: int) -> dict[str, Any]:
    heard = Counter(clip.language for clip in clips if clip.language)
    marks = "".join(f"{hashlib.sha256(clip.path.read_bytes()).hexdigest()} {clip.text}\n" for clip in clips)
    return {
        "schema": SCHEMA,
        "languages": sorted(heard),
        "language": heard.most_common(1)[0][0] if heard else None,
        "num_clips": len(clips),
        "duration_s": round(sum(_duration_s(clip) for clip in clips), 3),
        "content_hash": hashlib.sha256(marks.encode()).hexdigest(),
        "sources": {name: dict(about) for name, about in sources.items() if name in used},
        **{name: former[name] for name in _SAID if name in former},
        "split": {
            "seed": seed,
            "speakers_apart": False,
            "counts": counts(clips),
            "sides": {**former.get("split", {}).get("sides", {}), **{clip.audio_path: clip.split for clip in clips if clip.split}},
        },
    }
