"""Sixth step: base against tuned model on recordings that neither was tuned on, and both asked by voice."""

from __future__ import annotations

import html
from pathlib import Path

import gradio as gr

from voxtune import audio, files
from voxtune.errors import VoxtuneError
from voxtune.recordings.takes import new_key
from voxtune.studio import evaluations, run_sights, words
from voxtune.studio.access import Room
from voxtune.studio.island import island
from voxtune.studio.listening import LISTENER, Heard
from voxtune.studio.page import QUIET, WAITING, Page
from voxtune.studio.shell import answering
from voxtune.workspace import RunFolder


def build(page: Page) -> None:
    """The panel."""
    with page.panel("evaluation"):
        # Kept by the page itself, so that it outlives a restart of the studio.
        chosen = gr.Textbox(visible=False)
        evaluation = island("evaluation", events=("chosen",))
        with gr.Column(elem_id="vx-listen", elem_classes=["vx-listen", "vx-hidden"]):
            gr.Markdown(page.label("listen.title"))
            take = gr.Audio(sources=["microphone", "upload"], type="filepath", label=page.label("listen.audio"), buttons=[], elem_id="vx-listen-audio")
            ask = gr.Button(page.label("listen.ask"), variant="primary", elem_id="vx-listen-ask", elem_classes="vx-next")
            heard = gr.HTML(elem_id="vx-listen-heard", elem_classes="vx-listen-heard", apply_default_css=False)

    def choose(event: gr.EventData) -> tuple[str, str]:
        return str(event.run), ""

    @answering
    def wait(request: gr.Request) -> str:
        return _note(words.of(request).say("listen.wait" if LISTENER.is_loaded else "listen.load"))

    @answering
    def hear(key: str, id_: str, path: str | None, request: gr.Request) -> str:
        room, said = page.gate.room(key), words.of(request)
        if not path:
            return _note(said.say("listen.missing"), kind="bad")
        run = run_sights.find(room, id_)
        try:
            return _cards(run.path.name, _heard(room, run, Path(path)), said)
        except VoxtuneError as error:
            return _note(" ".join(filter(None, (said.say("listen.failed"), error.message, error.hint))), kind="bad")

    evaluation.chosen(choose, None, [chosen, heard], **QUIET)
    ask.click(wait, None, heard, **QUIET).then(hear, [page.key, chosen, take], heard, **WAITING)


def _heard(room: Room, run: RunFolder, upload: Path) -> Heard:
    """What both models hear in an upload, which is read here, under our limits, and given to them as a WAV of ours. Raises VoxtuneError."""
    evaluations.refuse_if_busy(room)
    file = room.workspace.private / "listening" / f"{new_key()}.wav"
    files.write_bytes(file, audio.write_wav(audio.read(upload)))
    try:
        return LISTENER.hear(run, file, evaluations.language(run), log=room.workspace.private / "listening.log")
    finally:
        file.unlink(missing_ok=True)
        upload.unlink(missing_ok=True)


def _cards(run: str, heard: Heard, said: words.Words) -> str:
    """Both texts, side by side, under the name of the run whose model was asked."""
    cards = ""
    for which, text in (("base", heard.base), ("tuned", heard.tuned)):
        shown = html.escape(text) if text else f"<i>{html.escape(said.say('evaluation.nothing'))}</i>"
        cards += f'<div class="{which}"><h4>{html.escape(said.say(f"evaluation.{which}"))}</h4><p dir="auto" translate="no">{shown}</p></div>'
    same = _note(said.say("listen.same")) if heard.base == heard.tuned else ""
    return f'<div class="cards" role="status">{cards}</div>{_note(run)}{same}'


def _note(text: str, kind: str = "calm") -> str:
    return f'<p class="note {kind}" role="status">{html.escape(text)}</p>'
