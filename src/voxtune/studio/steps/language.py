"""First step: the language. English, or the browser's own language, is chosen already."""

from __future__ import annotations

from typing import Any

import gradio as gr

from voxtune.languages import LANGUAGES
from voxtune.studio import sentences, words
from voxtune.studio.page import QUIET, WAITING, Page, show
from voxtune.studio.shell import answering


def build(page: Page) -> None:
    """The first panel."""
    with page.panel("language"):
        chosen = gr.Dropdown(
            choices=[(each.name, each.code) for each in LANGUAGES.values()],
            value="en",
            label=page.label("language.label"),
            info=page.label("language.info"),
            elem_id="vx-language",
        )
        known = gr.Markdown(elem_id="vx-language-known", elem_classes="vx-note")
        on = gr.Button(page.label("page.continue"), variant="primary", elem_id="vx-language-next", elem_classes="vx-next")

    @answering
    def begin(key: str, request: gr.Request) -> tuple[Any, str]:
        said = words.of(request)
        now = page.gate.room(key).reading.now()
        language = now.language if now else _own(request)
        return gr.Dropdown(choices=_choices(said), value=language), _known(language, said)

    @answering
    def tell(language: str | None, request: gr.Request) -> str:
        return _known(language or "", words.of(request))

    @answering
    def choose(key: str, language: str | None, request: gr.Request) -> dict[str, Any]:
        if language not in LANGUAGES:
            raise gr.Error(words.of(request).say("language.missing"), print_exception=False, title="")
        room = page.gate.room(key)
        before = room.reading.of(language)
        sentences.choose(room, language, before.choice if before else "auto", own="")
        return show("phrases")

    page.loaded.then(begin, page.key, [chosen, known], **QUIET)
    chosen.change(tell, chosen, known, **QUIET)
    on.click(choose, [page.key, chosen], page.stepper, **WAITING)


def _own(request: gr.Request) -> str:
    """The language that the browser asks for first, if it is in the table, else English."""
    first = request.headers.get("accept-language", "").split(",")[0].split("-")[0].strip().lower()
    return first if first in LANGUAGES else "en"


def _choices(said: words.Words) -> list[tuple[str, str]]:
    rows = sorted(LANGUAGES.values(), key=lambda each: (each.code != "en", each.knowledge != "trained", each.english))
    return [(f"{each.name} · {each.english} — {said.say('language.short.' + each.knowledge)}", each.code) for each in rows]


def _known(code: str, said: words.Words) -> str:
    language = LANGUAGES.get(code)
    return said.say(f"language.known.{language.knowledge}", name=language.name) if language else ""
