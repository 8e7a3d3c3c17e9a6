"""Parts of the page that are more than Gradio's components give: a static template, and one module that owns what is in it.

Gradio wipes what a script has built whenever it renders a template anew, which it does when a template that takes values changes
(measured, gradio 6.31). Here it renders nothing: the module has its template from a file that the browser keeps, which also keeps it out of the
page's config; values reach the module by `watch`, and people's words enter the page as text.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from voxtune.studio.routes import address

_LOADER = "import(new URL('{studio}', document.baseURI)).then(m => m.island('{name}', element, {{trigger, props, watch}})); {events}"


def island(name: str, *, events: tuple[str, ...] = (), **options: Any) -> gr.HTML:
    """The part `name` of static/: its template, and its module mounted in it; `events` are what it may tell Python."""
    # Gradio listens to the events whose names stand in quotes in the script.
    loader = _LOADER.format(studio=address("studio.js"), name=name, events="; ".join(f"'{event}'" for event in events))
    options = {"elem_id": f"vx-{name}", **options}
    return gr.HTML(html_template="<div></div>", js_on_load=loader, apply_default_css=False, **options)
