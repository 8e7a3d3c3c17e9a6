"""Below the recorder: recordings that a person already has, with their transcripts, looked at before they are saved."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from voxtune.audio import SUFFIXES
from voxtune.dataset import uploads
from voxtune.dataset.uploads import Pair, Preview
from voxtune.errors import CallError
from voxtune.studio import words
from voxtune.studio.page import WAITING, Page, renew, tell
from voxtune.studio.shell import answering

_SHOWN: dict[str, Any] = {**WAITING, "show_progress": "full"}


def part(page: Page) -> None:
    """The side door."""
    with gr.Accordion(page.label("upload.title"), open=False, elem_id="vx-upload", elem_classes="vx-upload-door"):
        gr.Markdown(page.label("upload.about"), elem_classes="vx-note")
        kinds = ["audio", *sorted(SUFFIXES)]
        sounds = gr.File(label=page.label("upload.files"), file_count="multiple", file_types=kinds, height=180, elem_id="vx-upload-files")
        lines = gr.Textbox(
            label=page.label("upload.lines"),
            info=page.label("upload.lines_info"),
            lines=4,
            max_lines=12,
            max_length=uploads.MAX_TRANSCRIPTS_BYTES,
            elem_id="vx-upload-lines",
        )
        listing = gr.UploadButton(
            page.label("upload.listing"), file_types=sorted(uploads.TRANSCRIPT_SUFFIXES), size="md", elem_id="vx-upload-listing", elem_classes="vx-next"
        )
        look = gr.Button(page.label("upload.preview"), elem_id="vx-upload-preview", elem_classes="vx-next")
        table = gr.HTML(elem_id="vx-upload-table", elem_classes="vx-upload", apply_default_css=False)
        save = gr.Button(visible=False, variant="primary", elem_id="vx-upload-save", elem_classes="vx-next")
        looked = gr.State(None)

    @answering
    def preview(
        key: str,
        sent: list[str] | None,
        text: str,
        request: gr.Request,
        bar: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        room, said = page.gate.room(key), words.of(request)
        now = room.reading.now()
        if now is None:
            raise CallError(said.say("language.missing"))
        files = [(Path(path), Path(path).name) for path in sent or []]
        found = uploads.preview(files, text, room.takes, now.language, progress=lambda done: bar((done, len(files)), desc=said.say("upload.looking")))
        button = gr.Button(value=said.say("upload.save", n=len(found.new)), visible=bool(found.new), interactive=found.is_clean)
        return found if found.is_clean else None, _as_html(found, said), button

    @answering
    def keep(key: str, found: Preview | None, request: gr.Request, bar: gr.Progress = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008
        room, said = page.gate.room(key), words.of(request)
        if found is None:
            raise CallError(said.say("upload.again"))
        saved = uploads.save(found.pairs, room.takes, progress=lambda done: bar((done, len(found.new)), desc=said.say("upload.saving")))
        for pair in found.pairs:
            pair.path.unlink(missing_ok=True)  # it is in the dataset's folder now, and need not lie here too
        told = f'<p class="done" role="status">{html.escape(said.say("upload.saved", n=len(saved)))}</p>'
        return None, None, "", told, gr.Button(visible=False), renew()

    @answering
    def load(path: str) -> str:
        return uploads.read_transcripts(Path(path), Path(path).name)

    listing.upload(load, listing, lines, **WAITING)
    look.click(preview, [page.key, sounds, lines], [looked, table, save], **_SHOWN)
    kept = save.click(keep, [page.key, looked], [looked, sounds, lines, table, save, page.stepper], **_SHOWN)
    kept.success(None, None, None, js=tell("takes"), **WAITING)


def _as_html(found: Preview, said: words.Words) -> str:
    """The pairs as a table, or why there are none."""
    if found.refusals:
        lines = "".join(f"<li>{html.escape(refusal)}</li>" for refusal in found.refusals)
        beside = "".join(_slipped(number, name, line, said) for number, name, line in found.beside)
        shown = f"<p>{html.escape(said.say('upload.beside'))}</p><table>{beside}</table>" if beside else ""
        return f'<div role="alert"><p class="bad">{html.escape(said.say("upload.refused"))}</p><ul>{lines}</ul>{shown}</div>'
    heads = "".join(f"<th>{html.escape(said.say('upload.head.' + head))}</th>" for head in ("file", "text", "seconds", "problems"))
    rows = "".join(_row(pair, said) for pair in found.pairs)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<p class="sum" role="status">{html.escape(_sum(found, said))}</p><div class="all" tabindex="0">{table}</div>'


def _slipped(number: int, name: str, line: str, said: words.Words) -> str:
    cells = [
        html.escape(name) or f"<em>{html.escape(said.say('upload.no_file'))}</em>",
        html.escape(line) or f"<em>{html.escape(said.say('upload.no_line'))}</em>",
    ]
    return f'<tr class="{"" if name and line else "bad"}"><td>{number}</td><td>{cells[0]}</td><td dir="auto">{cells[1]}</td></tr>'


def _sum(found: Preview, said: words.Words) -> str:
    bad = sum(pair.has("error") for pair in found.pairs)
    warned = sum(pair.has("warning") and not pair.has("error") for pair in found.pairs)
    known = len(found.pairs) - len(found.new)
    facts = [("upload.sum.pairs", len(found.pairs)), ("upload.sum.bad", bad), ("upload.sum.warned", warned), ("upload.sum.known", known)]
    return " ".join(said.say(key, n=number) for key, number in facts if number)


def _row(pair: Pair, said: words.Words) -> str:
    worst = next((severity for severity in ("error", "known", "warning") if pair.has(severity)), "good")
    problems = "".join(f"<li>{html.escape(finding.message)}</li>" for finding in pair.problems)
    seconds = "–" if pair.duration_s is None else f"{pair.duration_s:.1f} s"
    told = f"<ul>{problems}</ul>" if problems else f'<span class="fine">{html.escape(said.say("upload.fine"))}</span>'
    text = f'<td lang="{html.escape(pair.language)}" dir="auto" translate="no">{html.escape(pair.text)}</td>'
    return f'<tr class="{worst}"><td class="name" translate="no">{html.escape(pair.name)}</td>{text}<td class="seconds">{seconds}</td><td>{told}</td></tr>'
