"""Transcripts that were pasted or sent, matched to names of files: every line that does not match is named, not only the first."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from voxtune import files
from voxtune.audio import SUFFIXES
from voxtune.dataset.clips import AUDIO_KEYS, TEXT_KEYS, Clip
from voxtune.dataset.transcripts import pair
from voxtune.errors import DatasetError

MAX_REFUSALS = 20
"""More are not read by anyone."""
NUM_BESIDE = 5

_DELIMITERS = ("\t", "|", ";", ",")
_BLANK = "(blank)"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Transcripts in a form that `dataset.transcripts.pair` takes."""

    suffix: str
    """.txt for one line a file, .csv for a table with a header, .jsonl for all else."""
    lines: list[tuple[int, str]]
    """With their numbers in what the person wrote."""
    refusals: dict[int, str] = field(default_factory=dict)
    """Lines that cannot be brought into that form, and why."""

    @classmethod
    def of(cls, text: str, names: Sequence[str]) -> Listing:
        """What a text is: a table only where it has a header or names the files, else one line a file."""
        lines = [*enumerate(text.rstrip().replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1)]
        first = next(line for _, line in lines if line.strip())
        if first.lstrip().startswith("{"):
            return cls(suffix=".jsonl", lines=lines)
        if any({*AUDIO_KEYS} & (cells := _cells(first, mark)) and {*TEXT_KEYS} & cells for mark in _DELIMITERS):
            return cls(suffix=".csv", lines=lines)
        delimiter = _delimiter([line for _, line in lines if line.strip()], names)
        return cls(suffix=".txt", lines=lines) if delimiter is None else _named_rows(lines, delimiter)

    @property
    def is_one_a_file(self) -> bool:
        """Whether lines belong to files by their places alone."""
        return self.suffix == ".txt"

    def beside(self, names: Sequence[str]) -> list[tuple[int, str, str]]:
        """The last names and lines beside each other, where their counts differ."""
        if not self.is_one_a_file or len(names) == len(self.lines):
            return []
        rows = [(place, name, line) for place, (name, line) in enumerate(zip_longest(names, (line for _, line in self.lines), fillvalue=""), 1)]
        return rows[-NUM_BESIDE:]


def match(names: Sequence[str], listing: Listing) -> tuple[list[Clip], list[str]]:
    """A clip for each of the `names`, which are its path, or none and every reason why not, with its line."""
    refusals, lines, others = dict(listing.refusals), list(listing.lines), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"transcripts{listing.suffix}"
        while True:
            files.write_text(file, "".join(f"{line}\n" for _, line in lines))
            try:
                clips = pair([Path(name) for name in names], file)
            except DatasetError as error:
                number = None if error.line is None or error.line > len(lines) else lines[error.line - 1][0]
                reason = error.reason.split("\n")[0]  # a JSONL tells of its other bad lines in one breath; here they come one by one
                told = f"{reason} {error.hint}".strip()
                if number is None:
                    others.append(told)
                else:
                    refusals[number] = told
                if number is None or len(refusals) >= MAX_REFUSALS or not _set_right(lines, (error.line or 0) - 1, listing):
                    break
            else:
                if not refusals:
                    return clips, []
                break
    return [], [f"line {number}: {refusals[number]}" for number in sorted(refusals)] + others


def _set_right(lines: list[tuple[int, str]], place: int, listing: Listing) -> bool:
    """Take a bad line out of the way, so that those after it can be looked at; False where that would tell untruths of them."""
    number, line = lines[place]
    if listing.is_one_a_file:
        lines[place] = (number, _BLANK)
        return not line.strip()
    del lines[place]
    # A cell in quotes may go over several lines of a table, of which this is only the last.
    return bool(lines) and not (listing.suffix == ".csv" and (place == 0 or any('"' in each for _, each in lines)))


def _cells(line: str, delimiter: str) -> set[str]:
    return {cell.strip().strip('"') for cell in line.lstrip("\ufeff").split(delimiter)}


def _delimiter(lines: Sequence[str], names: Sequence[str]) -> str | None:
    """What stands between name and text, if each line is both. A comma is also in sentences, so there most must begin with names."""
    known = {*names, *(Path(name).stem for name in names)}
    for mark in _DELIMITERS:
        heads = [Path(line.split(mark)[0].strip().strip('"')) for line in lines if mark in line]
        named = sum(head.name in known or head.stem in known or head.suffix.lower() in SUFFIXES for head in heads)
        if named > len(lines) / 2 or (len(heads) == len(lines) and mark in "\t|"):
            return mark
    return None


def _named_rows(lines: Sequence[tuple[int, str]], delimiter: str) -> Listing:
    """Lines of name and text as rows of JSON, blank ones left out: names hold their places."""
    rows, refusals = list[tuple[int, str]](), dict[int, str]()
    for number, line in lines:
        cells = _split(line, delimiter)
        if len(cells) > 1:
            # LJSpeech's third column is the text as it is said.
            said = next((cell for cell in reversed(cells[1:]) if cell.strip()), "") if delimiter == "|" else delimiter.join(cells[1:])
            rows.append((number, json.dumps({"audio_path": cells[0].strip(), "text": said.strip()}, ensure_ascii=False)))
        elif line.strip():
            refusals[number] = "there is no name of a file with its text after it. Correct or remove the line."
    return Listing(suffix=".jsonl", lines=rows, refusals=refusals)


def _split(line: str, delimiter: str) -> list[str]:
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=delimiter))
        except csv.Error:
            pass  # taken as it stands
    return line.split(delimiter)
