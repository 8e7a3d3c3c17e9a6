"""Parts of the page that are more than Gradio's components give: a static template, and one module that owns what is in it.

Gradio wipes what a script has built whenever it renders a template anew, which it does when a template that takes values changes
(measured, gradio 6.31). These templates take none: values reach the module by `watch`, and people's words enter the page as text.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from voxtune.studio.routes import STATIC, address

_LOADER = (
    "import(new URL('{address}', document.baseURI)).then(m => m.mount(element, {{trigger, props, watch}}))"
    ".catch(e => {{ element.textContent = 'This part of the page could not be loaded: ' + e.message; }}); {events}"
)


def island(name: str, *, events: tuple[str, ...] = (), **options: Any) -> gr.HTML:
    """The part `name` of static/: its template, and its module mounted in it; `events` are what it may tell Python."""
    template = (STATIC / f"{name}.html").read_text(encoding="utf-8")
    assert not any(mark in template for mark in ("`", "${", "{{", "\\")), f"{name}.html would be taken for a template"
    # Gradio listens to the events whose names stand in quotes in the script.
    loader = _LOADER.format(address=address(f"{name}.js"), events="; ".join(f"'{event}'" for event in events))
    options = {"elem_id": f"vx-{name}", **options}
    return gr.HTML(html_template=template, js_on_load=loader, apply_default_css=False, **options)
