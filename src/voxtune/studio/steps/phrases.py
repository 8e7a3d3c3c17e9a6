"""Second step: what to read. The first sentences stand there at once; better ones may come while one looks."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from voxtune.files import read_upload
from voxtune.recordings.reading import FIRST, ReadingList
from voxtune.studio import sentences, words
from voxtune.studio.access import Room
from voxtune.studio.page import QUIET, WAITING, Page, show
from voxtune.studio.shell import answering

MAX_OWN_BYTES = 200_000


def build(page: Page) -> None:
    """The second panel."""
    with page.panel("phrases"):
        choice = gr.Radio(
            choices=_labels(words.words("en")), value="auto", label=page.label("phrases.label"), info=page.label("phrases.info"), elem_id="vx-choice"
        )
        with gr.Column(visible=False, elem_id="vx-own") as own:
            lines = gr.Textbox(
                label=page.label("phrases.own"), info=page.label("phrases.own_info"), lines=6, max_lines=14, max_length=MAX_OWN_BYTES, elem_id="vx-own-lines"
            )
            file = gr.UploadButton(page.label("phrases.own_file"), file_types=[".txt", "text"], size="sm", elem_id="vx-own-file")
            use = gr.Button(page.label("phrases.own_use"), elem_id="vx-own-use")
        preview = gr.HTML(elem_id="vx-preview", elem_classes="vx-phrases", apply_default_css=False)
        on = gr.Button(page.label("phrases.next"), variant="primary", elem_id="vx-phrases-next", elem_classes="vx-next")
        waiting = gr.Timer(1.0, active=False)

    def shown(room: Room, now: ReadingList | None, said: words.Words) -> tuple[Any, Any, str]:
        why = sentences.why_not_granary(room, now) if now else ""
        return gr.Timer(active=why == "fetching"), gr.Button(interactive=now is not None), _preview(now, said, why)

    @answering
    def enter(key: str, request: gr.Request) -> tuple[Any, ...]:
        room, said = page.gate.room(key), words.of(request)
        now = room.reading.now()
        if now is None:
            return gr.skip(), gr.skip(), gr.skip(), *shown(room, now, said)
        labels = _labels(said) if now.language == "en" else [each for each in _labels(said) if each[1] != "practice"]
        mine = room.reading.of(now.language, "file")
        text = sentences.own_text(mine) if mine else gr.skip()
        return gr.Radio(choices=labels, value=now.choice), gr.Column(visible=now.choice == "file"), text, *shown(room, now, said)

    @answering
    def tick(key: str, request: gr.Request) -> tuple[Any, ...]:
        room = page.gate.room(key)
        return shown(room, room.reading.now(), words.of(request))

    @answering
    def choose(key: str, chosen: str, text: str | None, request: gr.Request) -> tuple[Any, ...]:
        room, said = page.gate.room(key), words.of(request)
        now = room.reading.now()
        has_own = now is not None and ((text or "").strip() or room.reading.of(now.language, "file"))
        if now is not None and chosen in sentences.CHOICES and (chosen != "file" or has_own):
            now = sentences.choose(room, now.language, chosen, own=text or "")
        return gr.Column(visible=chosen == "file"), *shown(room, now, said)

    @answering
    def load(path: str) -> str:
        return read_upload(path, limit_bytes=MAX_OWN_BYTES)

    @answering
    def begin(key: str, chosen: str, text: str | None) -> dict[str, Any]:
        room = page.gate.room(key)
        if chosen == "file" and (now := room.reading.now()) is not None and (text or "").strip():
            sentences.choose(room, now.language, "file", own=text or "")
        room.reading.show()
        return show("recordings")

    outputs = [waiting, on, preview]
    page.on_entering("phrases", enter, [choice, own, lines, *outputs])
    waiting.tick(tick, page.key, outputs, **QUIET)
    choice.input(choose, [page.key, choice, lines], [own, *outputs], **WAITING)
    use.click(choose, [page.key, choice, lines], [own, *outputs], **WAITING)
    file.upload(load, file, lines, **WAITING)
    on.click(begin, [page.key, choice, lines], page.stepper, **WAITING)


def _labels(said: words.Words) -> list[tuple[str, str]]:
    return [(said.say(f"phrases.choice.{choice}"), choice) for choice in sentences.CHOICES]


def _preview(now: ReadingList | None, said: words.Words, why: str) -> str:
    """The first sentences as HTML, where they are from, and why not from where they were wanted."""
    if now is None or not now.phrases:
        return f'<p class="from">{html.escape(said.say("phrases.none"))}</p>'
    facts = [said.say(f"phrases.from.{now.source}", n=len(now.phrases)), now.sources.get(now.source, {}).get("attribution", "")]
    if why:
        facts.insert(0, said.say(f"phrases.why.{why}"))
    rows = "".join(f'<li lang="{now.language}" dir="auto" translate="no">{html.escape(phrase.text)}</li>' for phrase in now.phrases[:FIRST])
    return f'<p class="from" role="status">{html.escape(" ".join(filter(None, facts)))}</p><ol>{rows}</ol>'
