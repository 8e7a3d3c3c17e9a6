"""The reading list: which sentences of a language are there to read, in which order, and how many of them are shown.

A list of one language never loses its place to another's: each is kept, and the sentence of a take is known by its id, which is
made of its language and text.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from voxtune import files
from voxtune.errors import CallError, DatasetError
from voxtune.phrases.phrase import Phrase, PhraseList
from voxtune.workspace import SCHEMA, RecordingsFolder

FIRST, MORE, MAX_ROWS = 10, 10, 100
"""Sentences shown at first, added at a time, and at most."""

SPARE = 30
"""Sentences kept ready beyond the most that are shown, for those that are skipped."""

_WAIT_S = 10.0


@dataclass(kw_only=True)
class ReadingList:
    """The sentences of one language."""

    language: str
    choice: str = "auto"
    """Where a person wanted them from: auto, granary, pack, practice or file."""
    source: str = "pack"
    """Where those that come next are from."""
    notice: str = ""
    phrases: list[Phrase] = field(default_factory=list)
    shown: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """Ids of sentences that a person did not want, with the reason."""
    past: list[Phrase] = field(default_factory=list)
    """Sentences that were shown once: a take of one may still be on its way."""
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    """Revision, licence and attribution of each source that sentences came from."""

    @property
    def rows(self) -> list[Phrase]:
        """The sentences on the page."""
        return self.phrases[: self.shown]

    @property
    def can_grow(self) -> bool:
        """Whether there are more to show."""
        return self.shown < min(MAX_ROWS, len(self.phrases))


class Reading:
    """The reading lists of one dataset folder, one a language. Every change is made under a lock and written whole."""

    def __init__(self, folder: RecordingsFolder) -> None:
        self.folder = folder

    def now(self) -> ReadingList | None:
        """The list of the language that is being read, or None before one was chosen."""
        language, lists = self._read()
        return lists.get(language)

    def everything(self) -> dict[str, Phrase]:
        """Every sentence of every list by its id."""
        return {phrase.id: phrase for each in self._read()[1].values() for phrase in (*each.past, *each.phrases)}

    def of(self, language: str) -> ReadingList | None:
        """The list of a language, whether it is being read or not."""
        return self._read()[1].get(language)

    def choose(self, language: str, choice: str, found: PhraseList | None, recorded: set[str]) -> ReadingList:
        """Read `language` from now on, from `choice`; a list that is there goes on as it is unless `found` gives another.

        Sentences whose ids are `recorded` stay in front. Raises CallError where there is no list and none was given.
        """
        with self._changing() as (_, lists):
            if found is not None:
                lists[language] = _renewed(lists.get(language), found, choice, recorded)
            if language not in lists:
                raise CallError(f"there are no sentences of {language} yet.", hint="Choose where they shall come from.")
            self._write(language, lists)
            return lists[language]

    def arrive(self, found: PhraseList) -> ReadingList | None:
        """Sentences that came late: they take the place of those not shown yet."""
        with self._changing() as (language, lists):
            if (before := lists.get(found.language)) is None:
                return None
            lists[found.language] = _renewed(before, found, before.choice, {phrase.id for phrase in before.rows}, shown=before.shown)
            self._write(language, lists)
            return lists[found.language]

    def show(self) -> ReadingList:
        """Show the first sentences, if none are. Raises CallError before a language was chosen."""
        return self._grown(to=FIRST)

    def more(self) -> ReadingList:
        """Show some more."""
        return self._grown(by=MORE)

    def _grown(self, *, to: int = 0, by: int = 0) -> ReadingList:
        now = self.needed()
        if to and now.shown >= min(to, len(now.phrases)):
            return now  # nothing to write
        with self._changing() as (language, lists):
            each = lists[language]
            each.shown = min(max(to, each.shown + by), MAX_ROWS, len(each.phrases))
            self._write(language, lists)
            return each

    def skip(self, phrase: str, reason: str) -> ReadingList:
        """Never show a sentence again; the next one comes in its place. Raises CallError if it is not on the page."""
        self.needed()
        with self._changing() as (language, lists):
            each = lists[language]
            place = next((place for place, row in enumerate(each.rows) if row.id == phrase), None)
            if place is None:
                raise CallError("this sentence is not on the page.", hint="Reload the page.")
            each.skipped[phrase] = reason[:40]
            each.past.append(each.phrases.pop(place))
            if each.shown <= len(each.phrases):
                each.phrases.insert(place, each.phrases.pop(each.shown - 1))  # the first that was not shown yet
            each.shown = min(each.shown, len(each.phrases))
            self._write(language, lists)
            return each

    def find(self, phrase: str) -> Phrase:
        """A sentence that is, or was, to be read in any language. Raises CallError for an id that was never given out."""
        found = self.everything().get(phrase)
        if found is None:
            raise CallError("this sentence is not known here.", hint="Reload the page.")
        return found

    def needed(self) -> ReadingList:
        """The list of the language that is being read. Raises CallError before one was chosen."""
        if (now := self.now()) is None:
            raise CallError("no language was chosen yet.", hint="Choose one in the first step.")
        return now

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tuple[str, dict[str, ReadingList]]]:
        with files.locked(self.folder.reading_lock, wait_s=_WAIT_S):
            yield self._read()

    def _read(self) -> tuple[str, dict[str, ReadingList]]:
        if not self.folder.reading.is_file():
            return "", {}
        try:
            value = json.loads(files.read_text(self.folder.reading))
            if value["schema"] > SCHEMA:
                raise ValueError("of a newer voxtune")
            return str(value["language"]), {code: _parsed(each) for code, each in value["lists"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "Move it away: the takes are in takes.jsonl, and the sentences are drawn anew."
            raise DatasetError(f"not a reading list: {error}", file=self.folder.reading, hint=hint) from None

    def _write(self, language: str, lists: dict[str, ReadingList]) -> None:
        value: dict[str, Any] = {"schema": SCHEMA, "language": language, "lists": {code: asdict(each) for code, each in lists.items()}}
        files.write_json(self.folder.reading, value)


def _parsed(value: dict[str, Any]) -> ReadingList:
    sentences = {name: [Phrase(**row) for row in value[name]] for name in ("phrases", "past")}
    return ReadingList(**{**value, **sentences})


def _renewed(before: ReadingList | None, found: PhraseList, choice: str, staying: set[str], *, shown: int = 0) -> ReadingList:
    """A list of the sentences that stay and then of those that were found, none twice and none that was skipped."""
    skipped = before.skipped if before else {}
    stay = [phrase for phrase in (before.phrases if before else []) if phrase.id in staying]
    known = {phrase.id for phrase in stay} | set(skipped)
    phrases = stay + [phrase for phrase in found.phrases if phrase.id not in known]
    past = [*before.past, *(phrase for phrase in before.rows if phrase.id not in staying)] if before else []
    about = {"revision": found.revision, "licence": found.licence, "attribution": found.attribution}
    return ReadingList(
        language=found.language,
        choice=choice,
        source=found.source,
        notice=found.notice,
        phrases=phrases,
        shown=min(shown or (len(stay) + FIRST if stay else 0), MAX_ROWS, len(phrases)),
        skipped=skipped,
        past=past,
        sources={**(before.sources if before else {}), found.source: about},
    )
