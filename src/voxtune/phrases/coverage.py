"""Which sentences to read first: those that bring the most letter triples not yet read, short and long ones in turn."""

from __future__ import annotations

import random
from collections.abc import Sequence

BANDS = (0, 30, 55, 10_000)
"""Characters at which a sentence is of the short, middle or long kind: about 2, 4 and 6 s of speech."""

TURNS = (1, 0, 1, 2, 1, 0, 1, 1, 2, 1)
"""Kinds of ten sentences in a row: mostly middle ones."""

MAX_CANDIDATES = 2_000


def trigrams(sentence: str) -> frozenset[str]:
    """Triples of neighbouring letters, with the edges of words: a stand-in for sounds that needs no dictionary of any language."""
    words = "".join(letter if letter.isalpha() else " " for letter in sentence.casefold()).split()
    padded = " " + " ".join(words) + " "
    return frozenset(padded[place : place + 3] for place in range(len(padded) - 2))


def choose(candidates: Sequence[str], count: int, *, seed: int) -> list[int]:
    """Places of `count` candidates (or all, if there are fewer) in the order in which to read them; the same for the same seed."""
    rng = random.Random(seed)
    places = list(range(len(candidates)))
    rng.shuffle(places)
    left: dict[int, list[int]] = {0: [], 1: [], 2: []}
    triples: dict[int, frozenset[str]] = {}
    for place in places[:MAX_CANDIDATES]:
        triples[place] = trigrams(candidates[place])
        left[kind(candidates[place])].append(place)
    covered: set[str] = set()
    chosen: list[int] = []
    while len(chosen) < count and any(left.values()):
        turn = TURNS[len(chosen) % len(TURNS)]
        turn = turn if left[turn] else max(left, key=lambda each: len(left[each]))
        best = max(left[turn], key=lambda place: len(triples[place] - covered))
        left[turn].remove(best)
        covered |= triples[best]
        chosen.append(best)
    return chosen


def kind(sentence: str) -> int:
    """0 for a short sentence, 1 for a middle one, 2 for a long one."""
    return next(each for each in range(3) if len(sentence) < BANDS[each + 1])


def covered_share(read: Sequence[str], everything: Sequence[str]) -> float:
    """Of the letter triples of all sentences, the share that those which were read hold."""
    whole = set().union(*map(trigrams, everything)) if everything else set()
    return len(set().union(*map(trigrams, read)) & whole) / len(whole) if whole and read else 0.0
