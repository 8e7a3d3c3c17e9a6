"""Which clips train, which choose the best checkpoint, and which are held out: by sentence, so that the test is honest."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from voxtune.dataset.clips import Clip, Split
from voxtune.errors import DatasetError
from voxtune.phrases.cleaning import sentence_key

TEST_SHARE, VALIDATION_SHARE = 0.12, 0.08
"""A fifth is held out in all. Few clips make a wide interval, so the test gets the larger part."""


def split_by_sentence(clips: Sequence[Clip], *, seed: int, speakers_apart: bool = False) -> list[Clip]:
    """The same clips in the same order, each on a side: no sentence on two sides, nor, if asked, a speaker.

    Clips that carry a split keep it if all do. Raises DatasetError where fewer than three groups are left to share out.
    """
    given = [clip for clip in clips if clip.split]
    if given and len(given) == len(clips) and {clip.split for clip in clips} == {"train", "validation", "test"}:
        return list(clips)
    groups = _groups(clips, speakers_apart)
    if len(groups) < 3:
        what = "speakers and sentences that can be kept apart" if speakers_apart else "different sentences"
        hint = "Add clips of other speakers, or do not keep speakers apart." if speakers_apart else "Record more sentences; 20 are a start, 100 are good."
        message = f"training, validation and test need at least 3 {what}; there is {len(groups)} in {len(clips)} clips."
        raise DatasetError(message, file=clips[0].path.parent if clips else None, hint=hint)
    random.Random(seed).shuffle(groups)
    sides: dict[int, Split] = {}
    wanted: list[tuple[Split, float]] = [("test", TEST_SHARE * len(clips)), ("validation", VALIDATION_SHARE * len(clips))]
    for side, count in wanted:
        taken = 0
        # One group must stay behind for each side that is still to come.
        while groups and (not taken or taken + len(groups[-1]) <= round(count)) and len(groups) > (2 if side == "test" else 1):
            members = groups.pop()
            sides.update(dict.fromkeys(members, side))
            taken += len(members)
    return [replace(clip, split=sides.get(place, "train")) for place, clip in enumerate(clips)]


def _groups(clips: Sequence[Clip], speakers_apart: bool) -> list[list[int]]:
    """Clips that must stay together, as lists of their places: the connected components over sentences (and speakers)."""
    leader = list(range(len(clips)))

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, clip in enumerate(clips):
        marks = [("sentence", sentence_key(clip.text))]
        if speakers_apart:
            if clip.speaker is None:
                raise DatasetError("no speaker is named, so speakers cannot be kept apart.", file=clip.path, line=clip.line, hint="Add `speaker` to each line.")
            marks.append(("speaker", clip.speaker))
        for mark in marks:
            leader[find(place)] = find(first.setdefault(mark, place))
    members: dict[int, list[int]] = {}
    for place in range(len(clips)):
        members.setdefault(find(place), []).append(place)
    return list(members.values())


def counts(clips: Sequence[Clip]) -> dict[str, int]:
    """Clips on each side."""
    found = Counter(clip.split for clip in clips)
    return {side: found[side] for side in ("train", "validation", "test")}
