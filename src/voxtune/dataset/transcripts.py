"""Transcripts in the forms people have them, each matched to its audio: never by guessing, never shifted.

A JSONL, CSV or TSV names the audio of each line; LJSpeech's metadata.csv names its stem; a folder holds a text file a clip; a plain
text file has one line a clip, in the order of the clips' names. Whatever does not match is an error that names it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from voxtune.audio import SUFFIXES
from voxtune.dataset.clips import AUDIO_KEYS, Clip, clean_text, parse_row
from voxtune.dataset.clips import read as read_jsonl
from voxtune.errors import CallError, DatasetError
from voxtune.files import read_text


def find_audio(places: Sequence[Path]) -> list[Path]:
    """The files that `places` name, and the audio files in the folders among them, in the order of their names.

    Raises CallError for a place that is not there and for a folder without audio.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = [file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()]
            if not inside:
                hint = f"Files ending in {' '.join(sorted(SUFFIXES))} are taken from a folder."
                raise CallError(f"{place} holds no audio files.", hint=hint)
            found += sorted(inside, key=lambda file: natural_order(str(file.relative_to(place))))
        elif place.exists():
            found.append(place)
        else:
            raise CallError(f"{place} does not exist.", hint="Check the path.")
    unique = list(dict.fromkeys(found))
    return unique if len(places) == 1 else sorted(unique, key=lambda file: natural_order(str(file)))


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Name order as a person sees it: clip2 before clip10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def pair(audio: Sequence[Path], transcripts: Path) -> list[Clip]:
    """One clip for each audio file, with its transcript. Raises DatasetError or CallError that names what does not match."""
    if transcripts.is_dir():
        return [_from_text_file(file, transcripts) for file in audio]
    suffix = transcripts.suffix.lower()
    if suffix in (".jsonl", ".json", ".ndjson"):
        clips = read_jsonl(transcripts)
    elif suffix in (".csv", ".tsv"):
        clips = _from_table(transcripts)
    elif suffix in (".txt", ".text", ".lst", ""):
        return _from_lines(audio, transcripts)
    else:
        raise CallError(f"{transcripts}: transcripts come as .jsonl, .csv, .tsv, .txt or a folder of .txt files.", hint="Rename or convert it.")
    return _match(clips, audio, transcripts)


def _from_text_file(audio: Path, folder: Path) -> Clip:
    file = folder / f"{audio.stem}.txt"
    if not file.is_file():
        raise DatasetError(f"there is no transcript for {audio.name}.", file=file, hint="Each clip needs a text file of the same name.")
    text = clean_text(" ".join(read_text(file).split("\n")))
    if not text:
        raise DatasetError(f"the transcript of {audio.name} is blank.", file=file, line=1, hint="Write what is said in the clip.")
    return Clip(audio_path=str(audio), path=audio, text=text)


def _from_lines(audio: Sequence[Path], file: Path) -> list[Clip]:
    lines = read_text(file).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            name = audio[number - 1].name if number <= len(audio) else "no clip"
            raise DatasetError(f"the line is blank; it belongs to {name}.", file=file, line=number, hint="Write what is said, or remove both.")
    if len(lines) < len(audio):
        missing = audio[len(lines)]
        message = f"{len(lines)} lines for {len(audio)} clips: the line for {missing.name} is missing, or one before it."
        raise DatasetError(message, file=file, line=len(lines) + 1, hint="There must be one line for each clip, in the order of their names.")
    if len(lines) > len(audio):
        message = f"{len(lines)} lines for {len(audio)} clips: there is no clip for this line, or for one before it."
        raise DatasetError(message, file=file, line=len(audio) + 1, hint="There must be one line for each clip, in the order of their names.")
    return [Clip(audio_path=str(path), path=path, text=clean_text(line), line=place) for place, (path, line) in enumerate(zip(audio, lines, strict=True), 1)]


def _from_table(file: Path) -> list[Clip]:
    text = read_text(file)
    first = text.split("\n", 1)[0]
    if "|" in first and not any(key in first for key in AUDIO_KEYS):
        return _from_ljspeech(text, file)
    # The delimiter is the header's own: .csv files with tabs or semicolons are common.
    delimiter = max("\t,;|", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, strict=True)
    clips: list[Clip] = []
    try:
        for row in reader:
            cells: dict[str, Any] = {(name or "").strip(): value for name, value in row.items() if name is not None}
            line = reader.line_num
            if None in row:
                raise DatasetError("more cells than columns; put text with a delimiter in it in quotes.", file=file, line=line)
            clip = parse_row({name: "" if value is None else value for name, value in cells.items()}, file=file, line=line)
            clips.append(_with_text(clip, file))
        blank = [number for number, line in enumerate(text.rstrip("\n").split("\n"), 1) if not line.strip()]
    except csv.Error as error:
        raise DatasetError(f"not a table: {error}.", file=file, line=reader.line_num, hint="Save it as CSV or TSV again.") from None
    if blank and len(clips) + 1 + len(blank) == text.rstrip("\n").count("\n") + 1:  # not inside a quoted cell
        raise DatasetError("the line is blank.", file=file, line=blank[0], hint="Remove it, or write its clip and transcript.")
    if not clips:
        raise DatasetError("there is no clip in it.", file=file, hint="The first line names the columns: audio_path and text.")
    return clips


def _from_ljspeech(text: str, file: Path) -> list[Clip]:
    """Lines `id|text` or `id|text|normalised text`; the last column is what is said (https://keithito.com/LJ-Speech-Dataset)."""
    clips = []
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        cells = line.split("|")
        if len(cells) < 2:
            raise DatasetError("a line of LJSpeech is id|text.", file=file, line=number, hint="Correct or remove the line.")
        said = next((cell for cell in reversed(cells[1:]) if cell.strip()), "")
        row = {"audio_path": f"wavs/{cells[0].strip()}.wav", "text": said}
        clips.append(_with_text(parse_row(row, file=file, line=number), file))
    return clips


def _with_text(clip: Clip, file: Path) -> Clip:
    if not clip.text:
        raise DatasetError(f"the transcript of {clip.audio_path} is blank.", file=file, line=clip.line, hint="Write what is said in the clip.")
    return clip


def _match(clips: Sequence[Clip], audio: Sequence[Path], file: Path) -> list[Clip]:
    """Give each listed clip its file among `audio`, and see that none of either is left over."""
    by_path = {path.resolve(): path for path in audio}
    by_name: dict[str, list[Path]] = {}
    for path in audio:
        for name in {path.name, path.stem}:
            by_name.setdefault(name, []).append(path)
    used: set[Path] = set()
    matched = []
    for clip in clips:
        listed = Path(clip.audio_path)
        named = by_name.get(listed.name) or by_name.get(listed.stem) or []
        match = by_path.get(clip.path.resolve()) or (named[0] if len(named) == 1 else None)
        if match is None:
            several = f"; {len(named)} files have this name" if len(named) > 1 else ""
            message = f"{clip.audio_path} is not among the audio given{several}."
            raise DatasetError(message, file=file, line=clip.line, hint="Give its file or folder too, or remove the line.")
        used.add(match)
        matched.append(replace(_with_text(clip, file), path=match))
    left = [path for path in audio if path not in used]
    if left:
        more = f" (and for {len(left) - 1} others)" if len(left) > 1 else ""
        raise DatasetError(f"there is no transcript for {left[0].name}{more}.", file=file, hint="Add its line, or do not give the file.")
    return matched
