"""Takes: every recording of a sentence, kept for good. What is done to one is a line more in a journal, and never a file less.

A take is first a WAV under a name that nothing else will have, then a line of takes.jsonl; both are on disk before it is called
saved. A take that was cut off between the two is found again by `recover`.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from voxtune import files
from voxtune.errors import AudioError, CallError, DatasetError
from voxtune.phrases.cleaning import one_line, text_problem
from voxtune.phrases.phrase import Phrase
from voxtune.recordings.quality import Judgement, judge
from voxtune.workspace import CLIPS_FOLDER, RecordingsFolder

Source = Literal["studio", "upload"]

KEY = re.compile(r"[0-9a-z]{9}[0-9a-f]{32}")
"""A take's name: the moment of recording in milliseconds to the base 36, then random digits, so that keys sort by time."""

MAX_DEVICE_BYTES = 1_024

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_key() -> str:
    """A key for a take that begins now."""
    left, moment = time.time_ns() // 1_000_000, ""
    while left:
        left, digit = divmod(left, 36)
        moment = _DIGITS[digit] + moment
    return moment.rjust(9, "0") + secrets.token_hex(16)


@dataclass(frozen=True, kw_only=True)
class Take:
    """One recording of one sentence."""

    key: str
    phrase: str
    """Id of the sentence that was on the screen."""
    text: str
    """What is said in it: the sentence, or what a person corrected it to."""
    language: str
    file: str
    """Relative to the dataset's folder."""
    judgement: Judgement
    source: Source = "studio"
    phrase_source: str = ""
    reference: str = ""
    """Of the sentence in its corpus, for attribution."""
    device: dict[str, Any]
    """What the browser said of the microphone."""
    recorded_at: float
    """Seconds since 1970."""
    trashed: bool = False
    accepted: bool = False
    """Whether a person wants it in spite of what was found wrong with it."""

    @property
    def group(self) -> str:
        """Takes of one group are tries at the same sentence, of which the newest counts; each upload stands for itself."""
        return self.phrase if self.source == "studio" else self.key

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with it, or nothing that a person minds."""
        return self.accepted or not self.judgement.problems


class Takes:
    """The takes of one dataset folder."""

    def __init__(self, folder: RecordingsFolder) -> None:
        self.folder = folder

    def all(self) -> dict[str, Take]:
        """Every take by its key, in the order in which they were saved."""
        takes: dict[str, Take] = {}
        for row in _rows(self.folder.takes):
            _apply(row, takes)
        return takes

    def kept(self, takes: Iterable[Take] | None = None) -> dict[str, Take]:
        """The take that counts of each group: the newest that was not thrown away."""
        newest: dict[str, Take] = {}
        for take in self.all().values() if takes is None else takes:
            if not take.trashed and (take.group not in newest or take.key > newest[take.group].key):
                newest[take.group] = take
        return newest

    def get(self, key: str) -> Take:
        """The take of that key. Raises CallError if there is none."""
        take = self.all().get(key)
        if take is None:
            raise CallError(f"there is no take {key[:60]!r}.", hint="Reload the page.")
        return take

    def path(self, take: Take) -> Path:
        """Where its audio is."""
        return self.folder.path / take.file

    def save(self, data: bytes, phrase: Phrase, *, key: str, source: Source = "studio", device: dict[str, Any] | None = None) -> Take:
        """Keep the WAV `data` as a take of `phrase`; it is on disk when this returns. The same key again gives the take that is there.

        Raises AudioError for what is no audio, CallError for a key that is none, DiskFullError.
        """
        if not KEY.fullmatch(key):
            raise CallError(f"{key[:60]!r} is no key of a take.", hint="Reload the page.")
        takes = self.all()
        if known := takes.get(key):
            return known
        paces = [
            take.judgement.pace
            for take in takes.values()
            if take.language == phrase.language and take.is_good and not take.trashed and take.judgement.pace is not None
        ]
        judgement, rate_hz = judge(data, phrase.text, paces=paces)
        if source == "upload":
            # Who cut their own clips cut them tightly on purpose; the recorder adds its own moments before and after.
            judgement = replace(judgement, problems=tuple(each for each in judgement.problems if not each.startswith("cut_")))
        take = Take(
            key=key,
            phrase=phrase.id,
            text=phrase.text,
            language=phrase.language,
            file=f"{CLIPS_FOLDER}/{phrase.id}-{key}.wav",
            judgement=Judgement.from_json(judgement.as_json()),  # as it will be read again
            source=source,
            phrase_source=phrase.source,
            reference=phrase.reference,
            device={"rate_hz": rate_hz, **(device or {})},
            recorded_at=round(time.time(), 3),
        )
        files.write_bytes(self.path(take), data)
        files.append_line(self.folder.takes, _as_row(take), durable=True)
        return take

    def trash(self, key: str) -> Take:
        """Set a take aside; its audio stays."""
        return self._changed(key, trashed=True)

    def restore(self, key: str) -> Take:
        """Take it back from the trash."""
        return self._changed(key, trashed=False)

    def accept(self, key: str) -> Take:
        """Want it as it is, whatever was found wrong with it."""
        return self._changed(key, accepted=True)

    def edit(self, key: str, text: str) -> Take:
        """Say what is really said in it. Raises DatasetError for what cannot be a transcript."""
        said = one_line(text)
        if problem := text_problem(said):
            raise DatasetError(problem, hint="Write what is said in the clip.")
        return self._changed(key, text=said)

    def _changed(self, key: str, **changes: Any) -> Take:
        changed = replace(self.get(key), **changes)
        files.append_line(self.folder.takes, {"event": "change", "take": key, **changes, "at": round(time.time(), 3)}, durable=True)
        return changed

    def recover(self, phrases: dict[str, Phrase]) -> list[Take]:
        """Give takes whose line is missing their line, those saved in the moment in which the program was killed, and remove halves.

        `phrases` are known sentences by their ids. Only for who knows that nobody saves takes in this moment.
        """
        if not self.folder.clips.is_dir():
            return []
        files.sweep(self.folder.clips)
        known = {take.file for take in self.all().values()}
        found = []
        for path in sorted(self.folder.clips.glob("*.wav")):
            phrase, _, key = path.stem.partition("-")
            if f"{CLIPS_FOLDER}/{path.name}" not in known and phrase in phrases and KEY.fullmatch(key):
                try:
                    found.append(self.save(path.read_bytes(), phrases[phrase], key=key, device={"recovered": True}))
                except AudioError:
                    continue  # whatever it is, it is no take of ours, and it stays where it is
        return found


def _rows(journal: Path) -> Iterable[dict[str, Any]]:
    if not journal.is_file():
        return
    for line in journal.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # half a line, of a take that was never called saved
        if isinstance(row, dict):
            yield row


def _as_row(take: Take) -> dict[str, Any]:
    about = {"event": "take", "take": take.key, "phrase": take.phrase, "text": take.text, "language": take.language, "audio_path": take.file}
    where = {"source": take.source, "phrase_source": take.phrase_source, "reference": take.reference}
    return {**about, **where, "recorded_at": take.recorded_at, "judgement": take.judgement.as_json(), "device": take.device}


def _apply(row: dict[str, Any], takes: dict[str, Take]) -> None:
    """Do with `takes` what one line of the journal says; a line of another kind is a newer program's, and says nothing to this one."""
    key = row.get("take")
    if row.get("event") == "change" and key in takes:
        known = {name: row[name] for name in ("trashed", "accepted", "text") if name in row}
        takes[key] = replace(takes[key], **known)
    elif row.get("event") == "take" and isinstance(key, str) and key not in takes:
        try:
            takes[key] = Take(
                key=key,
                phrase=row["phrase"],
                text=row["text"],
                language=row["language"],
                file=row["audio_path"],
                judgement=Judgement.from_json(row["judgement"]),
                source=row.get("source", "studio"),
                phrase_source=row.get("phrase_source", ""),
                reference=row.get("reference", ""),
                device=row.get("device", {}),
                recorded_at=float(row.get("recorded_at", 0.0)),
            )
        except (KeyError, TypeError, ValueError):
            return  # a person's own edit of the journal; the audio is still there
