"""The practice language: short English commands over about a hundred words.

The tiny model (`voxtune.model.tiny`) knows these words and no others, so a person with no GPU and no network can read twenty of
these sentences aloud and watch their own error rate fall. The grammar is a table of templates; a slot in braces draws from the
table of the same name, and a slot may hold further slots.
"""

from __future__ import annotations

import random
import re

SLOTS: dict[str, tuple[str, ...]] = {
    "room": ("kitchen", "bedroom", "bathroom", "office", "garage", "garden", "hall", "living room"),
    "device": ("light", "lamp", "fan", "heater", "radio", "television", "oven"),
    "opening": ("door", "window", "gate", "curtains"),
    "colour": ("red", "green", "blue", "yellow", "white", "orange", "purple"),
    "number": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen", "twenty", "thirty"),
    "large": ("twenty", "thirty", "forty", "fifty"),
    "amount": ("{number}", "{number}", "{large} {digit}", "{large}"),
    "digit": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "hour": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "unit": ("seconds", "minutes", "hours"),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "tomorrow"),
    "part": ("morning", "evening", "night"),
    "media": ("music", "jazz", "news", "movie", "podcast"),
    "person": ("anna", "david", "maria", "thomas", "sarah"),
    "switch": ("on", "off"),
    "level": ("up", "down"),
    "where": ("in the {room}", "in the {room}", "near the {opening}", "in the garden"),
    "chore": ("water the garden", "call {person}", "close the {opening}", "clean the {room}", "feed the cat"),
    "when": ("{day}", "{day} {part}", "{day} at {hour}", "at {hour}"),
}

TEMPLATES: tuple[str, ...] = (
    "turn {switch} the {device}",
    "turn {switch} the {room} {device}",
    "turn {switch} the {device} {where}",
    "turn {level} the {media} {where}",
    "turn the volume {level}",
    "set the volume to {amount}",
    "set the {room} light to {colour}",
    "make the {device} {where} {colour}",
    "make the {room} {colour} {part}",
    "set a timer for {amount} {unit}",
    "start a timer for {amount} {unit}",
    "stop the timer {where}",
    "wake me {when}",
    "remind me {when} to {chore}",
    "remind {person} to {chore}",
    "play {media} {where}",
    "play the next {media}",
    "stop the {media} {where}",
    "pause the {media}",
    "open the {opening} {where}",
    "close the {room} {opening}",
    "lock the {opening} {when}",
    "call {person} {when}",
    "send {person} a message {when}",
    "what is the weather {when}",
    "what time is it {where}",
    "is the {opening} open {where}",
    "is the {device} {switch} {where}",
    "{colour} {device} {switch} {amount}",
    "{day} {amount} {unit}",
)

_SLOT = re.compile(r"\{(\w+)\}")


def draw(rng: random.Random, template: str | None = None) -> str:
    """One sentence of the grammar, from `template` or from one drawn at random."""
    text = rng.choice(TEMPLATES) if template is None else template
    while match := _SLOT.search(text):
        text = text[: match.start()] + rng.choice(SLOTS[match.group(1)]) + text[match.end() :]
    return text


def words() -> list[str]:
    """Every word that the grammar can say, sorted."""
    texts = [*TEMPLATES, *(choice for choices in SLOTS.values() for choice in choices)]
    return sorted({word for text in texts for word in _SLOT.sub(" ", text).split()})


def sentences(count: int, *, seed: int) -> list[str]:
    """`count` different sentences: every template in turn, and every word at least once where `count` allows.

    A seed always gives the same list. Raises ValueError where the grammar has fewer sentences than `count`.
    """
    rng = random.Random(seed)
    chosen: dict[str, None] = {}
    unseen = set(words())
    misses = 0
    while len(chosen) < count:
        template = TEMPLATES[(len(chosen) + misses) % len(TEMPLATES)]
        drawn = [text for text in (draw(rng, template) for _ in range(12)) if text not in chosen]
        if not drawn:  # a short template is soon used up: the next one has its turn
            misses += 1
            if misses > 1_000:
                raise ValueError(f"the practice grammar has fewer than {count} sentences")
            continue
        best = max(drawn, key=lambda text: len(unseen.intersection(text.split())))
        chosen[best] = None
        unseen.difference_update(best.split())
    return list(chosen)
