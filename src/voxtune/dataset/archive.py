"""A dataset as one ZIP that a person can keep or send: the clips, their transcripts and the split, and nothing of how they were made.

The journal of takes stays behind: it holds facts of microphones, and recordings that were thrown away.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from voxtune import files
from voxtune.dataset import exporters
from voxtune.dataset.clips import SPLITS, Clip
from voxtune.dataset.split import counts
from voxtune.dataset.store import load, read_about
from voxtune.errors import CallError, DatasetError
from voxtune.languages import LANGUAGES
from voxtune.workspace import DATA_FILE, DATASET_FILE

Layout = Literal["voxtune", "audiofolder", "ljspeech", "nemo"]
LAYOUTS: tuple[str, ...] = get_args(Layout)


def pack(data: Path, place: Path, *, layout: str) -> Path:
    """Write the dataset folder `data` as a ZIP, the only file in the new folder `place`, all of it or nothing; gives the ZIP.

    `voxtune` is the folder as it is, its kept clips alone; the others are those of `exporters.export`. Raises CallError, InUseError,
    AudioError, DatasetError or DiskFullError.
    """
    if layout not in LAYOUTS:
        raise CallError(f"{layout[:20]!r} is no form of a dataset.", hint=f"There are {', '.join(LAYOUTS)}.")
    dataset = load(data, strict=False)
    if dataset.bad_lines:
        bad = dataset.bad_lines[0]
        raise DatasetError(bad.message, file=bad.file, line=bad.line, hint="Bring the dataset up to date, or correct the line.")
    about = read_about(data / DATASET_FILE)
    name = "-".join(["recordings", *_languages(about, dataset.clips)[:3], layout])
    with files.new_folder(place) as partial:
        inside = partial / "inside"
        if layout == "voxtune":
            _as_it_is(data, dataset.clips, about, inside)
        else:
            exporters.export(dataset.clips, inside, layout=layout)  # type: ignore[arg-type]
        # On the Hub a README.md is the dataset's page; elsewhere a plain text is what people open.
        files.put(inside / ("README.md" if layout == "audiofolder" else "README.txt"), _readme(about, dataset.clips).encode())
        with zipfile.ZipFile(partial / f"{name}.zip", "w") as archive:
            for file in sorted(inside.rglob("*")):
                if file.is_file():
                    archive.write(file, f"{name}/{file.relative_to(inside).as_posix()}")
        shutil.rmtree(inside)
    return place / f"{name}.zip"


def _as_it_is(data: Path, clips: Sequence[Clip], about: dict[str, Any], inside: Path) -> None:
    root = data.resolve()
    for clip in clips:
        path = clip.path.resolve()
        if not path.is_relative_to(root) or Path(clip.audio_path).is_absolute():
            raise DatasetError(f"{clip.audio_path} lies outside the dataset's folder.", file=data / DATA_FILE, line=clip.line)
        if not path.is_file():
            hint = "Bring the dataset up to date, or put the file back."
            raise DatasetError(f"{clip.audio_path} is not there.", file=data / DATA_FILE, line=clip.line, hint=hint)
        target = inside / path.relative_to(root)
        if not target.exists():
            files.put(target, path.read_bytes())
    files.put(inside / DATA_FILE, (data / DATA_FILE).read_bytes())
    # Of clips that were thrown away not even the names go out.
    names = {clip.audio_path for clip in clips}
    split = about.get("split", {})
    shared = {**about, "split": {**split, "sides": {name: side for name, side in split.get("sides", {}).items() if name in names}}} if split else about
    files.put(inside / DATASET_FILE, (json.dumps(shared, ensure_ascii=False, indent=2) + "\n").encode())


def _languages(about: dict[str, Any], clips: Sequence[Clip]) -> list[str]:
    return list(about.get("languages") or sorted({clip.language for clip in clips if clip.language}))


def _readme(about: dict[str, Any], clips: Sequence[Clip]) -> str:
    """What it is, and what the licences of its sentences ask to be named."""
    names = [LANGUAGES[code].english if code in LANGUAGES else code for code in _languages(about, clips)]
    sides = ", ".join(f"{number} for {side}" for side, number in counts(clips).items() if number and side in SPLITS)
    what = f"{len(clips)} recordings with transcripts{' in ' + ' and '.join(names) if names else ''}, made with voxtune{': ' + sides if sides else ''}."
    named = [f"{source['attribution']} ({source.get('licence', '')})" for source in about.get("sources", {}).values() if source.get("attribution")]
    return f"{what}\n{'The sentences: ' + '; '.join(named) if named else 'The sentences need no attribution'}.\n"
