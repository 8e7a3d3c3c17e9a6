"""Last step: dataset, model, card and demo at the Hugging Face Hub. All of it is an island, which talks to addresses of ours."""

from __future__ import annotations

from voxtune.studio.island import island
from voxtune.studio.page import Page


def build(page: Page) -> None:
    """The seventh panel."""
    with page.panel("publishing"):
        island("publishing")
