"""A dataset folder: made from clips in one step, and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voxtune import audio, files
from voxtune.dataset import parallel
from voxtune.dataset.clips import BadLine, Clip, Split, read, read_lines
from voxtune.dataset.split import counts, split_by_sentence
from voxtune.errors import AudioError, CallError, DatasetError, VoxtuneError
from voxtune.phrases.cleaning import text_problem
from voxtune.workspace import CLIPS_FOLDER, DATA_FILE, DATASET_FILE, SCHEMA


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A clip as it will be stored, or why it cannot be."""

    wav: bytes = b""
    mark: str = ""
    """The hash of the file."""
    duration_s: float = 0.0
    failure: str | None = None


def create(
    clips: Sequence[Clip],
    folder: Path,
    *,
    language: str | None,
    seed: int = 0,
    speakers_apart: bool = False,
    progress: Callable[[], None] = lambda: None,
    processes: int | None = None,
) -> dict[str, Any]:
    """Write a dataset folder: every clip as a 16 kHz WAV, data.jsonl and dataset.json; all of it or nothing.

    Returns what dataset.json holds. Raises InUseError if `folder` is taken, DatasetError that names every clip which cannot be used.
    `progress` is called once a clip. Clips are read in as many `processes`, or as `parallel.each` finds best; the files are the same.
    """
    files.refuse_if_used(folder)
    failures: list[str] = []
    stored: list[Clip] = []
    digest = hashlib.sha256()
    duration_s = 0.0
    # This process alone writes: whatever ends the others leaves no file of theirs behind.
    with files.new_folder(folder) as partial, closing(parallel.each(_read_clip, clips, processes=processes)) as all_read:
        for number, (clip, found) in enumerate(zip(clips, all_read, strict=True), start=1):
            if found.failure:
                failures.append(found.failure + ("" if clip.line is None else f" (line {clip.line})"))
            else:
                name = f"{CLIPS_FOLDER}/clip-{number:04d}-{found.mark[:10]}.wav"
                files.put(partial / name, found.wav)
                digest.update(f"{found.mark} {clip.text}\n".encode())
                duration_s += found.duration_s
                stored.append(replace(clip, audio_path=name, start_s=None, end_s=None, language=clip.language if clip.language != language else None))
            progress()
        if failures:
            shown = "".join(f"\n  {failure}" for failure in failures[:20]) + (f"\n  and {len(failures) - 20} more" if len(failures) > 20 else "")
            raise DatasetError(f"{len(failures)} of {len(clips)} clips cannot be used; nothing was written.{shown}", hint="Correct these and import again.")
        sides = _try_split(stored, seed=seed, speakers_apart=speakers_apart)
        rows = [replace(clip, split=None).row(clip.audio_path) for clip in stored]
        files.write_lines(partial / DATA_FILE, rows)
        about = {
            "schema": SCHEMA,
            "languages": sorted({each for clip in stored if (each := clip.language or language)}),
            "language": language,
            "num_clips": len(stored),
            "duration_s": round(duration_s, 3),
            "content_hash": digest.hexdigest(),
            "split": {
                "seed": seed,
                "speakers_apart": speakers_apart,
                "counts": counts(sides),
                "sides": {clip.audio_path: clip.split for clip in sides if clip.split},
            },
        }
        files.write_json(partial / DATASET_FILE, about)
    return about


def _read_clip(clip: Clip) -> _Read:
    try:
        wave = audio.read(clip.path, start_s=clip.start_s, end_s=clip.end_s)
        if reason := text_problem(clip.text):
            raise AudioError("wrong_text", clip.path, reason)
    except AudioError as error:
        return _Read(failure=error.message)
    wav = audio.write_wav(wave)
    return _Read(wav=wav, mark=hashlib.sha256(wav).hexdigest(), duration_s=len(wave) / audio.SAMPLE_RATE_HZ)


def _try_split(clips: Sequence[Clip], *, seed: int, speakers_apart: bool) -> list[Clip]:
    """The split, or none where there are too few sentences for one: such a dataset can grow, or be published as it is."""
    try:
        return split_by_sentence(clips, seed=seed, speakers_apart=speakers_apart)
    except DatasetError:
        if speakers_apart:
            raise
        return list(clips)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Clips on their sides of the split, and the lines that are none."""

    file: Path
    clips: list[Clip]
    language: str | None
    bad_lines: list[BadLine]

    def side(self, split: Split) -> list[Clip]:
        """The clips on one side."""
        return [clip for clip in self.clips if clip.split == split]


def locate(data: str | Path) -> Path:
    """The JSONL file of a dataset given as that file or as its folder. Raises CallError where there is none."""
    path = Path(data)
    if path.is_dir():
        if not (path / DATA_FILE).is_file():
            raise CallError(f"{path} is not a dataset: there is no {DATA_FILE} in it.", hint="Make one with `voxtune dataset import`.")
        return path / DATA_FILE
    if not path.exists():
        raise CallError(f"{path} does not exist.", hint="Give a JSONL file or a dataset folder; `voxtune dataset import` makes one.")
    return path


def load(data: str | Path, *, seed: int = 0, strict: bool = True) -> Dataset:
    """A dataset with its split: the one in dataset.json where it covers every clip, else one drawn with `seed`.

    With `strict`, raises DatasetError for unreadable lines and where no split is possible; without, reports the lines and leaves
    clips without a side.
    """
    file = locate(data)
    clips, bad = (read(file), []) if strict else read_lines(file)
    about = read_about(file.parent / DATASET_FILE) if file.name == DATA_FILE else {}
    language = about.get("language")
    clips = [replace(clip, language=clip.language or language) for clip in clips]
    sides = about.get("split", {}).get("sides", {})
    if sides and all(clip.audio_path in sides for clip in clips):
        clips = [replace(clip, split=sides[clip.audio_path]) for clip in clips]
    else:
        try:
            clips = split_by_sentence(clips, seed=seed)
        except DatasetError:
            if strict:
                raise
    return Dataset(file=file, clips=clips, language=language, bad_lines=bad)


def read_about(file: Path) -> dict[str, Any]:
    """What a dataset.json holds, {} where there is none. Raises DatasetError if it cannot be read."""
    if not file.is_file():
        return {}
    try:
        about = json.loads(files.read_text(file))
    except (json.JSONDecodeError, VoxtuneError) as error:
        raise DatasetError(f"not readable as JSON: {error}", file=file, hint="Restore it, or move it away: the split is then drawn anew.") from None
    if not isinstance(about, dict) or about.get("schema", 0) > SCHEMA:
        raise DatasetError("written by a newer voxtune, or not a dataset.json.", file=file, hint="Update voxtune, or move the file away.")
    return about
