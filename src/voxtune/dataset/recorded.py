"""The dataset of a folder that grows by recording: data.jsonl made anew from the takes that count, the split kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import soundfile

from voxtune import files
from voxtune.dataset.clips import Clip, Split
from voxtune.dataset.split import counts, split_by_sentence
from voxtune.dataset.store import read_about
from voxtune.errors import DatasetError
from voxtune.phrases.cleaning import sentence_key
from voxtune.recordings.takes import Take, Takes
from voxtune.workspace import DATA_FILE, DATASET_FILE, SCHEMA, RecordingsFolder

_WAIT_S = 30.0


def make(folder: RecordingsFolder, *, sources: Mapping[str, Mapping[str, str]], seed: int = 0) -> dict[str, Any]:
    """Write data.jsonl and dataset.json from the takes that count; gives what dataset.json holds.

    A sentence stays on the side it was on, so that no recording that was held out is ever trained on. `sources` says of each
    source of sentences its revision, licence and attribution. Raises DatasetError where nothing was recorded.
    """
    with files.locked(folder.dataset_lock, wait_s=_WAIT_S):
        takes = [take for take in Takes(folder).kept().values() if (folder.path / take.file).is_file()]
        if not takes:
            raise DatasetError("nothing was recorded yet.", file=folder.path, hint="Record some sentences, or upload recordings, first.")
        takes.sort(key=lambda take: take.key)
        former = read_about(folder.path / DATASET_FILE)
        clips = _on_their_sides(folder, takes, former, seed=seed)
        about = _about(folder, takes, clips, former, sources=sources, seed=seed)
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
    rows = (json.loads(line) for line in files.read_text(folder.path / DATA_FILE).splitlines())
    return {row["audio_path"]: row["text"] for row in rows}


def _on_their_sides(folder: RecordingsFolder, takes: Sequence[Take], former: Mapping[str, Any], *, seed: int) -> list[Clip]:
    clips = [Clip(audio_path=take.file, path=folder.path / take.file, text=take.text, language=take.language) for take in takes]
    sentences = {take.file: sentence_key(take.text) for take in Takes(folder).all().values()}
    kept: dict[str, Split] = {}
    for name, side in former.get("split", {}).get("sides", {}).items():
        if name in sentences:
            kept[sentences[name]] = side
    try:
        return split_by_sentence(clips, seed=seed, kept=kept)
    except DatasetError:
        return clips  # too few for a split: it can grow, or be published as it is


def _row(clip: Clip, language: str) -> dict[str, object]:
    more = {"language": clip.language} if clip.language != language else {}
    return {"audio_path": clip.audio_path, "text": clip.text, **more}


def _about(
    folder: RecordingsFolder, takes: Sequence[Take], clips: Sequence[Clip], former: Mapping[str, Any], *, sources: Mapping[str, Mapping[str, str]], seed: int
) -> dict[str, Any]:
    languages = sorted({take.language for take in takes})
    marks = "".join(f"{hashlib.sha256((folder.path / take.file).read_bytes()).hexdigest()} {take.text}\n" for take in takes)
    used = {take.phrase_source for take in takes}
    return {
        "schema": SCHEMA,
        "languages": languages,
        "language": max(languages, key=lambda code: sum(take.language == code for take in takes)),
        "num_clips": len(takes),
        "duration_s": round(sum(soundfile.info(folder.path / take.file).duration for take in takes), 3),
        "content_hash": hashlib.sha256(marks.encode()).hexdigest(),
        "sources": {name: dict(about) for name, about in sources.items() if name in used},
        "split": {
            "seed": seed,
            "speakers_apart": False,
            "counts": counts(clips),
            "sides": {**former.get("split", {}).get("sides", {}), **{clip.audio_path: clip.split for clip in clips if clip.split}},
        },
    }
