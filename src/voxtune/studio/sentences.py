"""Sentences for a room: at once from what is on this machine, later from Granary, which nobody waits for."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from voxtune.errors import VoxtuneError
from voxtune.languages import LANGUAGES
from voxtune.phrases import choosing
from voxtune.phrases.phrase import Phrase, PhraseList
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

    Raises VoxtuneError for a language without sentences of our own and for `own` lines that cannot be read.
    """
    reading, takes = room.reading, room.takes
    before = reading.of(language)
    recorded = {take.phrase for take in takes.kept().values() if take.language == language}
    if before is not None and before.choice == choice and choice != "file":
        now = reading.choose(language, choice, None, recorded)
    else:
        now = reading.choose(language, choice, _at_once(language, choice, own), recorded)
    if choice == "auto" and now.source != "granary":
        _fetch(room, language)
    return now


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
        lines = choosing.own_lines(own, name="your text")
        phrases = [Phrase(text=text, language=language, source="file", reference=f"line {line}") for line, text in lines]
        return PhraseList(language=language, source="file", phrases=phrases)
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
