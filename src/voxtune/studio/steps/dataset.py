"""Fourth step: the recordings become a dataset. Who wants no more than that is done here."""

from __future__ import annotations

from typing import Any

import gradio as gr

from voxtune.studio.dataset_routes import is_current, make
from voxtune.studio.island import island
from voxtune.studio.page import QUIET, WAITING, Page, renew, show
from voxtune.studio.shell import answering
from voxtune.workspace import DATA_FILE


def build(page: Page) -> None:
    """The fourth panel."""
    with page.panel("dataset"):
        table = island("dataset", events=("changed",))
        on = gr.Button(page.label("dataset.next"), variant="primary", interactive=False, elem_id="vx-dataset-next", elem_classes="vx-next")

    @answering
    def enter(key: str) -> Any:
        return gr.Button(interactive=(page.gate.room(key).folder.path / DATA_FILE).is_file())

    @answering
    def changed(key: str) -> tuple[Any, dict[str, Any]]:
        return enter(key), renew()

    @answering
    def go_on(key: str) -> dict[str, Any]:
        room = page.gate.room(key)
        if not is_current(room):
            make(room)  # what is trained on is what stands on the page
        return show("training")

    page.on_entering("dataset", enter, on)
    table.changed(changed, page.key, [on, page.stepper], **QUIET)
    on.click(go_on, page.key, page.stepper, **WAITING)
