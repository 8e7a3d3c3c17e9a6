"""Third step: the recorder, and under it what a browser without one can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from voxtune import audio
from voxtune.errors import CallError
from voxtune.phrases.phrase import Phrase
from voxtune.recordings.takes import new_key
from voxtune.studio import words
from voxtune.studio.access import Room
from voxtune.studio.island import island
from voxtune.studio.page import QUIET, WAITING, Page, renew, show
from voxtune.studio.shell import answering
from voxtune.studio.steps import upload


def build(page: Page) -> None:
    """The third panel."""
    with page.panel("recordings"):
        recorder = island("recorder", events=("progress",))
        with gr.Column(elem_id="vx-fallback", elem_classes="vx-hidden"):
            gr.Markdown(page.label("fallback.about"))
            sentence = gr.Textbox(label=page.label("fallback.sentence"), interactive=False, elem_id="vx-fallback-sentence")
            take = gr.Audio(sources=["microphone", "upload"], type="filepath", buttons=[], label=page.label("fallback.audio"), elem_id="vx-fallback-audio")
            save = gr.Button(page.label("fallback.save"), elem_id="vx-fallback-save")
        upload.part(page)
        on = gr.Button(page.label("recordings.next"), variant="primary", elem_id="vx-recordings-next", elem_classes="vx-next")

    @answering
    def enter(key: str) -> str:
        return _text(_next(page.gate.room(key)))

    @answering
    def keep(key: str, path: str | None, request: gr.Request) -> tuple[Any, ...]:
        room, said = page.gate.room(key), words.of(request)
        if not path:
            raise CallError(said.say("fallback.missing"))
        phrase = _next(room)
        if phrase is None:
            raise CallError(said.say("fallback.all"))
        room.takes.save(audio.write_wav(audio.read(Path(path))), phrase, key=new_key(), device={"recorder": "gradio"})
        return None, _text(_next(page.gate.room(key))), renew()

    page.on_entering("recordings", enter, sentence)
    recorder.progress(lambda: renew(), None, page.stepper, **QUIET)
    save.click(keep, [page.key, take], [take, sentence, page.stepper], **WAITING)
    on.click(lambda: show("dataset"), None, page.stepper, **QUIET)


def _next(room: Room) -> Phrase | None:
    """The first sentence on the page that was not recorded yet."""
    if room.reading.now() is None:
        return None
    kept = room.takes.kept()
    return next((phrase for phrase in room.reading.show().rows if phrase.id not in kept), None)


def _text(phrase: Phrase | None) -> str:
    return phrase.text if phrase else ""
