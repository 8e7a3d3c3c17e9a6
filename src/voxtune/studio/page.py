"""What all steps of the page share: the key of the room, the words, the bar of steps, and how a step is entered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr

from voxtune.studio.access import Gate
from voxtune.studio.words import Labels

STEPS = ("language", "phrases", "recordings", "dataset", "training", "evaluation", "publishing")
"""The steps of the journey, by the words of the design."""

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
"""For events that answer at once: no spinner, no place in the queue, and no API."""

WAITING: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}
"""For events that may take seconds."""


@dataclass(frozen=True)
class Page:
    """The page while it is being built."""

    gate: Gate
    label: Labels
    key: gr.Textbox
    stepper: gr.HTML
    loaded: Any
    """The event after which the page has its key: `.then` on it."""

    def on_entering(self, step: str, handler: Callable[..., Any], outputs: Any, inputs: Any = ()) -> None:
        """Call `handler(key, *inputs)` each time a step is shown, the first time after a reload too."""
        getattr(self.stepper, f"enter_{step}")(handler, [self.key, *inputs], outputs, **QUIET)

    @contextmanager
    def panel(self, step: str) -> Iterator[gr.Column]:
        """The part of the page for one step, with its heading."""
        with gr.Column(elem_id=f"panel-{step}", elem_classes="vx-panel") as column:
            gr.Markdown(self.label(f"{step}.title"), elem_classes="vx-title")
            yield column


def tell(what: str) -> str:
    """A script that tells all parts of the page that `what` (takes, dataset or run) is otherwise now, as studio.js does."""
    return f"() => document.dispatchEvent(new CustomEvent('vx:changed', {{detail: {{what: '{what}'}}}}))"


def show(step: str) -> dict[str, Any]:
    """A value for the bar of steps that brings a person to a step, if it is open."""
    return {"go": step, "seq": time.monotonic_ns()}


def renew() -> dict[str, Any]:
    """A value for the bar of steps that lets it ask anew what is open."""
    return {"seq": time.monotonic_ns()}
