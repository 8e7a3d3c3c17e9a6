"""In the training step, below the set-up: the run as it goes, and all runs before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from voxtune.studio import run_sights
from voxtune.studio.island import island
from voxtune.studio.page import QUIET, WAITING, Page
from voxtune.studio.shell import answering

if TYPE_CHECKING:
    from voxtune.studio.steps.setup import Setup

_SHOW_SETUP = "() => document.getElementById('vx-setup').scrollIntoView({behavior: 'smooth'})"


def part(page: Page, setup: Setup) -> None:
    """The live view; `again` in it fills the set-up with a run's settings, as they should go."""
    run = island("run", events=("again",))

    @answering
    def again(key: str, event: gr.EventData) -> Any:
        chosen = run_sights.find(page.gate.room(key), str(event.run))
        return setup.values_for(run_sights.settings_of(chosen), run_sights.suggestion(chosen))

    setup.follow(run.again(again, page.key, setup.fields, **WAITING)).then(None, js=_SHOW_SETUP, **QUIET)
