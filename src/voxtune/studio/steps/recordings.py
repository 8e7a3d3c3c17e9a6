"""Third step: the recorder, and under it what a browser without one can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from voxtune import audio
from voxtune.errors import CallError
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
            phrase = gr.Textbox(visible=False)
            sentence = gr.Textbox(label=page.label("fallback.sentence"), interactive=False, elem_id="vx-fallback-sentence")
            take = gr.Audio(sources=["microphone", "upload"], type="filepath", buttons=[], label=page.label("fallback.audio"), elem_id="vx-fallback-audio")
            save = gr.Button(page.label("fallback.save"), elem_id="vx-fallback-save")
        upload.part(page)
        on = gr.Button(page.label("recordings.next"), variant="primary", elem_id="vx-recordings-next", elem_classes="vx-next")

    @answering
    def enter(key: str) -> tuple[str, str]:
        return _next(page.gate.room(key))

    @answering
    def keep(key: str, shown: str | None, path: str | None, request: gr.Request) -> tuple[Any, ...]:
        room, said = page.gate.room(key), words.of(request)
        if not path:
            raise CallError(said.say("fallback.missing"))
        if not shown:
            raise CallError(said.say("fallback.all"))
        # The sentence that was on the screen, whatever was recorded elsewhere meanwhile.
        room.takes.save(audio.write_wav(audio.read(Path(path))), room.reading.find(shown), key=new_key(), device={"recorder": "gradio"})
        Path(path).unlink(missing_ok=True)
        return None, *_next(room), renew()

    page.on_entering("recordings", enter, [phrase, sentence])
    recorder.progress(lambda: renew(), None, page.stepper, **QUIET)
    save.click(keep, [page.key, phrase, take], [take, phrase, sentence, page.stepper], **WAITING)
    on.click(lambda: show("dataset"), None, page.stepper, **QUIET)


def _next(room: Room) -> tuple[str, str]:
    """(id, text) of the first sentence on the page that was not recorded yet; empty where there is none."""
    if room.reading.now() is None:
        return "", ""
    kept = room.takes.kept()
    found = next((phrase for phrase in room.reading.show().rows if phrase.id not in kept), None)
    return (found.id, found.text) if found else ("", "")
