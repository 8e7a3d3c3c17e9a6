"""The reading list: which sentences of a language are there to read, in which order, and how many of them are shown.

Each language has a list for each place that its sentences may come from, and none is lost when another is read. The sentence of a take
is known by its id, which is made of its language and text.
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
    """The sentences of one language from one choice."""

    language: str
    choice: str = "auto"
    """Where a person wanted them from: auto, granary, pack, practice or file."""
    source: str = "pack"
    """Where those that come next are from."""
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
    """The reading lists of one dataset folder, one for each language and choice. Every change is made under a lock and written whole."""

    def __init__(self, folder: RecordingsFolder) -> None:
        self.folder = folder

    def now(self) -> ReadingList | None:
        """The list that is being read, or None before a language was chosen."""
        lists = self._read()
        return lists.of(lists.language)

    def everything(self) -> dict[str, Phrase]:
        """Every sentence of every list by its id."""
        return {phrase.id: phrase for each in self._read().all for phrase in (*each.past, *each.phrases)}

    def of(self, language: str, choice: str = "") -> ReadingList | None:
        """The list of a language from a choice, or from the one that was made last, whether it is being read or not."""
        return self._read().of(language, choice)

    def choose(self, language: str, choice: str, found: PhraseList | None, recorded: set[str]) -> ReadingList:
        """Read `language` from now on, from `choice`; a list that is there goes on as it is unless `found` gives another.

        Sentences whose ids are `recorded` stay in front. Raises CallError where there is no list and none was given.
        """
        with self._changing() as lists:
            before = lists.of(language, choice)
            if found is not None:
                before = _renewed(lists, found, choice, recorded)
            if before is None:
                raise CallError(f"there are no sentences of {language} yet.", hint="Choose where they shall come from.")
            known = {phrase.id for phrase in before.phrases}
            elsewhere = [phrase for phrase in lists.ever(language) if phrase.id in recorded - known]
            before.phrases = elsewhere + before.phrases
            before.shown = min(before.shown + len(elsewhere), MAX_ROWS, len(before.phrases)) if before.shown else 0
            lists.take(before)
            return before

    def arrive(self, found: PhraseList) -> ReadingList | None:
        """Sentences for who left the choice to us, that came late: they take the place of those not shown yet."""
        with self._changing() as lists:
            if (before := lists.of(found.language, "auto")) is None:
                return None
            renewed = _renewed(lists, found, "auto", {phrase.id for phrase in before.rows}, shown=before.shown)
            lists.put(renewed)
            return renewed

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
        with self._changing() as lists:
            each = lists.needed()
            each.shown = min(max(to, each.shown + by), MAX_ROWS, len(each.phrases))
            return each

    def skip(self, phrase: str, reason: str) -> ReadingList:
        """Never show a sentence again; the next one comes in its place. Raises CallError if it is not on the page."""
        with self._changing() as lists:
            each = lists.needed()
            place = next((place for place, row in enumerate(each.rows) if row.id == phrase), None)
            if place is None:
                raise CallError("this sentence is not on the page.", hint="Reload the page.")
            each.skipped[phrase] = reason[:40]
            each.past.append(each.phrases.pop(place))
            if each.shown <= len(each.phrases):
                each.phrases.insert(place, each.phrases.pop(each.shown - 1))  # the first that was not shown yet
            each.shown = min(each.shown, len(each.phrases))
            return each

    def find(self, phrase: str) -> Phrase:
        """A sentence that is, or was, to be read in any language. Raises CallError for an id that was never given out."""
        found = self.everything().get(phrase)
        if found is None:
            raise CallError("this sentence is not known here.", hint="Reload the page.")
        return found

    def needed(self) -> ReadingList:
        """The list that is being read. Raises CallError before a language was chosen."""
        return self._read().needed()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Lists]:
        """The lists, to be changed; written when that went well."""
        with files.locked(self.folder.reading_lock, wait_s=_WAIT_S):
            lists = self._read()
            yield lists
            value: dict[str, Any] = {"schema": SCHEMA, "language": lists.language, "choices": lists.choices, "lists": [asdict(each) for each in lists.all]}
            files.write_json(self.folder.reading, value)

    def _read(self) -> _Lists:
        if not self.folder.reading.is_file():
            return _Lists()
        try:
            value = json.loads(files.read_text(self.folder.reading))
            if value["schema"] > SCHEMA:
                raise ValueError("of a newer voxtune")
            return _Lists(language=str(value["language"]), choices=dict(value["choices"]), all=[_parsed(each) for each in value["lists"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "Move it away: the takes are in takes.jsonl, and the sentences are drawn anew."
            raise DatasetError(f"not a reading list: {error}", file=self.folder.reading, hint=hint) from None


@dataclass(kw_only=True)
class _Lists:
    """What reading.json holds."""

    language: str = ""
    """That is being read."""
    choices: dict[str, str] = field(default_factory=dict)
    """Of each language, where its sentences were wanted from last."""
    all: list[ReadingList] = field(default_factory=list)

    def of(self, language: str, choice: str = "") -> ReadingList | None:
        """The list of a language from a choice, or from the last one."""
        wanted = (language, choice or self.choices.get(language, ""))
        return next((each for each in self.all if (each.language, each.choice) == wanted), None)

    def needed(self) -> ReadingList:
        """The list that is being read."""
        if (now := self.of(self.language)) is None:
            raise CallError("no language was chosen yet.", hint="Choose one in the first step.")
        return now

    def ever(self, language: str) -> list[Phrase]:
        """Every sentence of a language that any of its lists has or had, each once."""
        found = {phrase.id: phrase for each in self.all if each.language == language for phrase in (*each.past, *each.phrases)}
        return list(found.values())

    def skipped(self, language: str) -> set[str]:
        """Sentences of a language that a person did not want, from wherever."""
        return {phrase for each in self.all if each.language == language for phrase in each.skipped}

    def put(self, new: ReadingList) -> None:
        """Take `new` in the place of the list of its language and choice."""
        self.all = [each for each in self.all if (each.language, each.choice) != (new.language, new.choice)] + [new]

    def take(self, new: ReadingList) -> None:
        """Read it from now on."""
        self.put(new)
        self.language, self.choices[new.language] = new.language, new.choice


def _parsed(value: dict[str, Any]) -> ReadingList:
    sentences = {name: [Phrase(**row) for row in value[name]] for name in ("phrases", "past")}
    return ReadingList(**{**value, **sentences})


def _renewed(lists: _Lists, found: PhraseList, choice: str, staying: set[str], *, shown: int = 0) -> ReadingList:
    """A list of the sentences that stay and then of those that were found, none twice and none that was skipped."""
    before = lists.of(found.language, choice)
    stay = [phrase for phrase in lists.ever(found.language) if phrase.id in staying]
    if before is not None:  # in the order in which they were shown
        places = {phrase.id: place for place, phrase in enumerate(before.phrases)}
        stay.sort(key=lambda phrase: places.get(phrase.id, len(places)))
    known = {phrase.id for phrase in stay} | lists.skipped(found.language)
    phrases = stay + [phrase for phrase in found.phrases if phrase.id not in known]
    about = {"revision": found.revision, "licence": found.licence, "attribution": found.attribution}
    return ReadingList(
        language=found.language,
        choice=choice,
        source=found.source,
        phrases=phrases,
        shown=min(shown or (len(stay) + FIRST if stay else 0), MAX_ROWS, len(phrases)),
        skipped=before.skipped if before else {},
        past=[*before.past, *(phrase for phrase in before.rows if phrase.id not in staying)] if before else [],
        sources={**(before.sources if before else {}), found.source: about},
    )
