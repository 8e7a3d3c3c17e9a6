"""Fifth step: what to train and how, and the run while it goes."""

from __future__ import annotations

from voxtune.studio.page import Page
from voxtune.studio.steps import setup, watching


def build(page: Page) -> None:
    """The fifth panel."""
    with page.panel("training"):
        form = setup.part(page)
        watching.part(page, form)
