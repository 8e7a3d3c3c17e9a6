"""Which clips train, which choose the best checkpoint, and which are held out: by sentence, so that the test is honest."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from voxtune.dataset.clips import Clip, Split
from voxtune.errors import DatasetError
from voxtune.phrases.cleaning import sentence_key

TEST_SHARE, VALIDATION_SHARE = 0.12, 0.08
"""A fifth is held out in all. Few clips make a wide interval, so the test gets the larger part."""


def split_by_sentence(clips: Sequence[Clip], *, seed: int, speakers_apart: bool = False, kept: Mapping[str, Split] | None = None) -> list[Clip]:
    """The same clips in the same order, each on a side: no sentence on two sides, nor, if asked, a speaker.

    Clips that carry a split keep it if all do. `kept` says on which side sentences (by `sentence_key`) were before the dataset grew:
    they stay there, and only new ones are shared out, so no recording ever moves from test into training. The one exception: where
    validation or test has lost all its clips and nothing new can fill it, one sentence moves there from training. Raises DatasetError
    where fewer than three groups are left to share out, or a side stays empty.
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
    sides: dict[Split, list[list[int]]] = {"test": [], "validation": [], "train": []}
    new: list[list[int]] = []
    for members in groups:
        before = _kept_side(members, clips, kept or {})
        (new if before is None else sides[before]).append(members)
    wanted: list[tuple[Split, float, tuple[Split, ...]]] = [("test", TEST_SHARE, ("validation", "train")), ("validation", VALIDATION_SHARE, ("train",))]
    for side, share, others in wanted:
        # One group must stay behind for each side that is still to come and has none.
        num_reserved = sum(not sides[other] for other in others)
        taken = sum(len(members) for members in sides[side])
        while new and (not taken or taken + len(new[-1]) <= round(share * len(clips))) and len(new) > num_reserved:
            taken += len(new[-1])
            sides[side].append(new.pop())
    sides["train"] += new
    _fill_from_training(sides, clips)
    side_of = {place: side for side, found in sides.items() for members in found for place in members}
    return [replace(clip, split=side_of[place]) for place, clip in enumerate(clips)]


def _kept_side(members: Sequence[int], clips: Sequence[Clip], kept: Mapping[str, Split]) -> Split | None:
    """Where a group was before; None if it is new. A new clip may join groups of two sides by its speaker: then it is held out."""
    known = {kept.get(sentence_key(clips[place].text)) for place in members}
    order: tuple[Split, ...] = ("test", "validation", "train")
    return next((side for side in order if side in known), None)


def _fill_from_training(sides: dict[Split, list[list[int]]], clips: Sequence[Clip]) -> None:
    """Give test and validation, where one of them is empty, a group that was in training; in place.

    That is honest: a new run starts from the base model and trains on what is in training then; a run that is there already keeps
    its own list of clips, and its evaluation leaves out what it trained on. The other way, from test into training, it never goes,
    since the figures of earlier runs stand on those clips.
    """
    held_out: tuple[Split, ...] = ("test", "validation")
    for side in held_out:
        if not sides[side] and len(sides["train"]) > 1:
            sides[side].append(sides["train"].pop())
    if empty := [side for side, found in sides.items() if not found]:
        message = f"no sentence is left for {' and '.join(empty)}; sentences that were held out are not trained on."
        raise DatasetError(message, file=clips[0].path.parent, hint="Record new sentences; 20 are a start, 100 are good.")


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
