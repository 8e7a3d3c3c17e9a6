"""Recordings that a person already has: files and transcripts that were sent, looked at as pairs before any of them becomes a take.

Nothing is saved by looking. What was looked at is what is saved: a file that changed in between is refused, and one that is there
already with the same words is left out.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import soundfile

from voxtune import audio, containers, files
from voxtune.dataset.checks import wave_problems
from voxtune.dataset.clips import Clip
from voxtune.dataset.transcript_lines import Listing, match
from voxtune.dataset.transcripts import natural_order
from voxtune.errors import AudioError, CallError
from voxtune.phrases.cleaning import one_line, text_problem
from voxtune.phrases.phrase import Phrase
from voxtune.recordings.takes import Take, Takes, new_key

MAX_FILES = 1_000
"""In one go; what is more comes with the next."""
MAX_TRANSCRIPTS_BYTES = 2_000_000

TRANSCRIPT_SUFFIXES = frozenset({".txt", ".text", ".lst", ".csv", ".tsv", ".jsonl", ".json", ".ndjson"})
"""Of transcript files that can be sent."""

Severity = Literal["error", "warning", "known"]
"""What an error says must be put right first; a warning is only said; what is known already is left out."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to know about a pair."""

    severity: Severity
    message: str


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One file and what is said in it."""

    name: str
    """As the person calls it."""
    path: Path
    text: str
    language: str
    line: int | None
    """Of the transcripts."""
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None
    """None where it cannot be read."""
    problems: tuple[Finding, ...] = ()
    mark: str = ""
    """SHA-256 of the file's bytes."""

    @property
    def phrase(self) -> Phrase:
        """What is said, as a sentence of the person's own."""
        return Phrase(text=self.text, language=self.language, source="file")

    @property
    def device(self) -> dict[str, str]:
        """What is kept of where it came from, and by which it is known again."""
        part = {"part_s": f"{self.start_s}-{self.end_s}"} if (self.start_s, self.end_s) != (None, None) else {}
        return {"file": self.name, "sha256": self.mark, **part}

    def has(self, severity: Severity) -> bool:
        """Whether there is a finding of that severity."""
        return any(finding.severity == severity for finding in self.problems)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would be saved, and what is in the way of it."""

    pairs: list[Pair]
    refusals: list[str]
    """Lines and files that do not match; then there are no pairs."""
    beside: list[tuple[int, str, str]]
    """Where the counts differ: number, name and line of the last ones, for a person to see where they slip."""

    @property
    def new(self) -> list[Pair]:
        """Those that are not there already."""
        return [pair for pair in self.pairs if not pair.has("known")]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is in the way, and there is something to save."""
        return not self.refusals and bool(self.new) and not any(pair.has("error") for pair in self.pairs)


def preview(
    audio_files: Sequence[tuple[Path, str]],
    transcripts: str,
    takes: Takes,
    language: str,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Preview:
    """Each of the files (path, name) with its transcript, and all that is wrong with any of them; nothing is saved.

    `transcripts` is what a person wrote, or the text of a transcript file: one line a file in the order of the files' names, or a
    name and its text a line, or a table with a header, or JSONL. `progress` is called with how many files are done. Raises CallError
    where there is nothing to pair.
    """
    sent = _by_name(audio_files)
    if not transcripts.strip():
        raise CallError("there are no transcripts yet.", hint="Write what is said, one line a file in the order of their names, or send a transcript file.")
    listing = Listing.of(unicodedata.normalize("NFC", transcripts), list(sent))
    clips, refusals = match(list(sent), listing)
    if refusals:
        return Preview(pairs=[], refusals=refusals, beside=listing.beside(list(sent)))
    order = {name: place for place, name in enumerate(sent)}
    pairs: list[Pair] = []
    for done, clip in enumerate(sorted(clips, key=lambda clip: (order[clip.path.name], clip.start_s or 0.0)), 1):
        pairs.append(_looked_at(clip, sent[clip.path.name], language))
        progress(done)
    return Preview(pairs=_without_repeats(pairs, takes), refusals=[], beside=[])


def save(pairs: Sequence[Pair], takes: Takes, *, progress: Callable[[int], None] = lambda _: None) -> list[Take]:
    """Keep each pair of a clean preview as a take; gives those that are new. Nothing is saved unless every file is still what it was.

    Raises CallError, DiskFullError; after a full disk, another preview knows those that were saved.
    """
    known = _known(takes)
    wanted = [pair for pair in pairs if (pair.phrase.id, _identity(pair.device)) not in known and not pair.has("known")]
    for pair in wanted:
        if pair.has("error") or not pair.path.is_file() or _mark(pair.path) != pair.mark:
            raise CallError(f"{pair.name} is not what it was in the preview; nothing was saved.", hint="Make the preview again.")
    saved = []
    for done, pair in enumerate(wanted, 1):
        wav = audio.write_wav(audio.read(pair.path, start_s=pair.start_s, end_s=pair.end_s))
        saved.append(takes.save(wav, pair.phrase, key=new_key(), source="upload", device=pair.device))
        progress(done)
    return saved


def read_transcripts(path: Path, name: str) -> str:
    """The text of a transcript file that was sent under a name. Raises CallError for what is no text."""
    if Path(name).suffix.lower() not in TRANSCRIPT_SUFFIXES:
        raise CallError(f"{name}: transcripts come as {' '.join(sorted(TRANSCRIPT_SUFFIXES))}.", hint="A table of Excel or Numbers can be saved as CSV.")
    try:
        return files.read_upload(path, limit_bytes=MAX_TRANSCRIPTS_BYTES)
    except CallError as error:
        raise CallError(error.message.replace(str(path), name), hint=error.hint) from None


def _by_name(audio_files: Sequence[tuple[Path, str]]) -> dict[str, Path]:
    """The files by their names, in the order in which a person counts them."""
    if not audio_files:
        raise CallError("there are no recordings yet.", hint="Choose the files first.")
    if len(audio_files) > MAX_FILES:
        raise CallError(f"{len(audio_files)} files are too many at once.", hint=f"Send at most {MAX_FILES}, and the others after them.")
    sent: dict[str, Path] = {}
    for path, given in audio_files:
        name = unicodedata.normalize("NFC", given)
        if name in sent:
            raise CallError(f"two files are called {name}.", hint="Rename one, or send them one after the other.")
        sent[name] = path
    return {name: sent[name] for name in sorted(sent, key=natural_order)}


def _looked_at(clip: Clip, path: Path, language: str) -> Pair:
    pair = Pair(
        name=clip.path.name, path=path, text=one_line(clip.text), language=clip.language or language, line=clip.line, start_s=clip.start_s, end_s=clip.end_s
    )
    problems = [Finding(severity="error", message=reason)] if (reason := text_problem(pair.text)) else []
    duration_s, mark = None, ""
    try:
        _refuse_endless(path, pair.name)
        wave = audio.read(path, start_s=pair.start_s, end_s=pair.end_s)
        duration_s, mark = len(wave) / audio.SAMPLE_RATE_HZ, _mark(path)
        problems += [Finding(severity="warning", message=message) for _, _, message, _ in wave_problems(wave)]
    except AudioError as error:
        problems.append(Finding(severity="error", message=f"{error.reason} {error.hint}".strip()))
    return replace(pair, duration_s=duration_s, mark=mark, problems=tuple(problems))


def _refuse_endless(path: Path, name: str) -> None:
    """A few bytes of FLAC may unpack to days."""
    try:
        length_s = soundfile.info(path).duration
    except soundfile.LibsndfileError:
        return  # what else it may be is told by reading it
    if length_s > containers.MAX_S:
        raise AudioError("too_long", name, f"it is longer than {containers.MAX_S / 3600:.0f} hours.", hint="Cut it into sentences.")


def _without_repeats(pairs: list[Pair], takes: Takes) -> list[Pair]:
    """The same pairs, those that are there already and those that contradict another marked."""
    known, heard, looked = _known(takes), dict[tuple[str, ...], Pair](), []
    for pair in pairs:
        mark = _identity(pair.device)
        first = heard.setdefault(mark, pair) if pair.mark else pair
        finding = None
        if pair.mark and (pair.phrase.id, mark) in known:
            finding = Finding(severity="known", message="it is among your recordings already, and is left out.")
        elif pair.mark and any(mark == each for _, each in known):
            finding = Finding(severity="warning", message="this recording was uploaded before, with another transcript.")
        elif first is not pair and first.text == pair.text:
            finding = Finding(severity="known", message=f"the same recording as {first.name}; it is left out.")
        elif first is not pair:
            finding = Finding(severity="error", message=f"the same recording as {first.name}, with another transcript. One of the two is wrong.")
        looked.append(replace(pair, problems=(*pair.problems, finding)) if finding else pair)
    return looked


def _known(takes: Takes) -> set[tuple[str, tuple[str, ...]]]:
    """Words and bytes of every upload that was not thrown away."""
    return {(take.phrase, _identity(take.device)) for take in takes.all().values() if take.source == "upload" and not take.trashed}


def _identity(device: dict[str, str]) -> tuple[str, ...]:
    return (str(device.get("sha256", "")), str(device.get("part_s", "")))


def _mark(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
