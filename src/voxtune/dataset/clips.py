"""One clip and its transcript, and the JSONL files that list them."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voxtune.errors import DatasetError, SettingsError
from voxtune.files import read_text
from voxtune.languages import check_code

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

AUDIO_KEYS = ("audio_path", "audio", "audio_filepath", "file_name")
TEXT_KEYS = ("text", "transcription", "sentence", "transcript")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One utterance: where its audio is, what is said, and which side of the split it is on."""

    audio_path: str
    """As written in the file that lists it."""
    path: Path
    """Where the audio is."""
    text: str
    """In NFC, without white space around it."""
    language: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    speaker: str | None = None
    split: Split | None = None
    line: int | None = None
    """Line of the file that lists it, from 1."""

    def row(self, audio_path: str) -> dict[str, object]:
        """The clip as a JSONL row under another path: audio_path and text, and of the rest only what there is."""
        more = {"language": self.language, "start_s": self.start_s, "end_s": self.end_s, "speaker": self.speaker, "split": self.split}
        return {"audio_path": audio_path, "text": self.text} | {key: value for key, value in more.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class BadLine:
    """A line that is no clip, and why."""

    file: str
    line: int
    message: str


def clean_text(text: str) -> str:
    """`text` in NFC with no white space around it: how every transcript is stored."""
    return unicodedata.normalize("NFC", text).strip()


def read_lines(file: Path) -> tuple[list[Clip], list[BadLine]]:
    """Every clip of a JSONL file, and every line that is none. Raises CallError if the file cannot be read as text."""
    clips: list[Clip] = []
    bad: list[BadLine] = []
    lines = read_text(file).split("\n")
    if lines and not lines[-1].strip():
        lines.pop()  # the newline at the end of the file
    for number, line in enumerate(lines, start=1):
        try:
            clips.append(parse_row(_parse_line(line), file=file, line=number))
        except DatasetError as error:
            bad.append(BadLine(file=str(file), line=number, message=error.reason))
    return clips, bad


def read(file: Path) -> list[Clip]:
    """Every clip of a JSONL file. Raises DatasetError that names the file and every unreadable line."""
    clips, bad = read_lines(file)
    if bad:
        more = "".join(f"\n  line {each.line}: {each.message}" for each in bad[1:10]) + (f"\n  and {len(bad) - 10} more" if len(bad) > 10 else "")
        raise DatasetError(bad[0].message + more, file=file, line=bad[0].line, hint="Correct or remove these lines.")
    if not clips:
        raise DatasetError("there is no clip in it.", file=file, hint='Each line is {"audio_path": "wavs/x.wav", "text": "..."}.')
    return clips


def _parse_line(line: str) -> dict[str, Any]:
    if not line.strip():
        raise DatasetError("the line is blank.")
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f"not JSON: {error.msg} at column {error.colno}.") from None
    if not isinstance(row, dict):
        raise DatasetError(f"a JSON object is needed, not {type(row).__name__}.")
    return row


def parse_row(row: dict[str, Any], *, file: Path, line: int | None) -> Clip:
    """A clip from one row of JSONL, CSV or TSV; paths are relative to `file`. Raises DatasetError with what is wrong."""

    def fail(message: str) -> DatasetError:
        return DatasetError(message, file=file, line=line, hint=f"Each row needs {AUDIO_KEYS[0]} and {TEXT_KEYS[0]}.")

    values: dict[str, str] = {}
    for kind, what, keys in (("audio_path", "the audio", AUDIO_KEYS), ("text", "the transcript", TEXT_KEYS)):
        named = [key for key in keys if key in row]
        if not named:
            raise fail(f"no column for {what} ({', '.join(keys)}); there is {', '.join(map(str, row))}.")
        value = row[named[0]]
        if not isinstance(value, str):
            raise fail(f"{named[0]} must be text, not {type(value).__name__}.")
        values[kind] = value
    if not values["audio_path"].strip() or "\0" in values["audio_path"]:
        raise fail("the audio path is empty or holds a NUL character.")
    split = row.get("split") or None
    if split not in (None, *SPLITS):
        raise fail(f"split must be one of {', '.join(SPLITS)}, not {split!r}.")
    start_s, end_s = (_seconds(row, key, fail) for key in ("start_s", "end_s"))
    if start_s is not None and end_s is not None and not 0 <= start_s < end_s:
        raise fail(f"start_s {start_s} and end_s {end_s} do not enclose anything.")
    try:
        language = check_code(str(row["language"])) if row.get("language") else None
    except SettingsError as error:
        raise fail(error.message) from None
    speaker = str(row["speaker"]) if row.get("speaker") not in (None, "") else None
    path = file.parent / values["audio_path"]
    text = clean_text(values["text"])
    return Clip(
        audio_path=values["audio_path"],
        path=path,
        text=text,
        language=language,
        start_s=start_s,
        end_s=end_s,
        speaker=speaker,
        split=split,
        line=line,
    )


def _seconds(row: dict[str, Any], key: str, fail: Any) -> float | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise fail(f"{key} must be a number of seconds, not {value!r}.") from None
    if not 0 <= seconds < 1e6:
        raise fail(f"{key} = {value} is not a place in a recording.")
    return seconds
