"""Sentences for a room: at once from what is on this machine, later from Granary, which nobody waits for."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from voxtune.errors import VoxtuneError
from voxtune.languages import LANGUAGES
from voxtune.phrases import choosing
from voxtune.phrases.phrase import PhraseList
from voxtune.recordings.reading import MAX_ROWS, SPARE, ReadingList
from voxtune.studio.access import Room

log = logging.getLogger("voxtune.studio")

COUNT = MAX_ROWS + SPARE
CHOICES = ("auto", "pack", "practice", "file")
"""Where a person may want sentences from; auto is Granary, and our own pack until it is there or where it is not."""

_fetching: dict[tuple[Path, str], threading.Thread] = {}
_lock = threading.Lock()


def choose(room: Room, language: str, choice: str, *, own: str = "") -> ReadingList:
    """Read a language from a choice; gives the list at once, and for auto lets Granary's sentences come later.

    A list that is there goes on as it was; own sentences stay what they were unless `own` has others. Raises VoxtuneError for a
    language without sentences of our own and for `own` lines that cannot be read.
    """
    recorded = {take.phrase for take in room.takes.kept().values() if take.language == language}
    before = room.reading.of(language, choice)
    is_same = before is not None and (choice != "file" or not own.strip() or own_text(before).split() == own.split())
    now = room.reading.choose(language, choice, None if is_same else _at_once(language, choice, own), recorded)
    if choice == "auto" and now.source != "granary":
        _fetch(room, language)
    return now


def own_text(now: ReadingList) -> str:
    """A person's own sentences of a list, one a line, in their order."""
    own = {phrase.id: phrase for phrase in (*now.past, *now.phrases) if phrase.source == "file"}
    lines = sorted(own.values(), key=lambda phrase: int(phrase.reference.removeprefix("line ") or 0))
    return "\n".join(phrase.text for phrase in lines)


def is_fetching(room: Room, language: str) -> bool:
    """Whether Granary's sentences are on their way."""
    thread = _fetching.get((room.folder.path, language))
    return thread is not None and thread.is_alive()


def why_not_granary(room: Room, now: ReadingList) -> str:
    """Why a person who left the choice to us does not get Granary's sentences: fetching, none, offline or failed; empty where they do."""
    if now.choice != "auto" or now.source == "granary":
        return ""
    if is_fetching(room, now.language):
        return "fetching"
    if not LANGUAGES[now.language].granary:
        return "none"
    return "offline" if choosing.is_offline() else "failed"


def _at_once(language: str, choice: str, own: str) -> PhraseList:
    if choice == "file":
        return choosing.own(own, name="your text", language=language)
    if choice == "practice":
        return choosing.phrases("en", count=COUNT, source="practice")
    return choosing.phrases(language, count=COUNT, source="pack")


def _fetch(room: Room, language: str) -> None:
    place = (room.folder.path, language)
    with _lock:
        if place in _fetching and _fetching[place].is_alive():
            return
        _fetching[place] = threading.Thread(target=_arrive, args=(room, language), name=f"granary {language}", daemon=True)
        _fetching[place].start()


def _arrive(room: Room, language: str) -> None:
    try:
        found = choosing.phrases(language, count=COUNT, source="auto")
        room.reading.arrive(found)
    except VoxtuneError as error:
        log.warning("sentences of %s: %s", language, error)
