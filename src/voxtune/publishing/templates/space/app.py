"""The page of a demo that `voxtune deploy` made: record or upload, transcribe, tuned against base. Nothing that is said here is kept."""

from __future__ import annotations

import os
from html import escape
from typing import Any

import gradio as gr
from serving import DEMO, LIMIT_S, NOT_COMPARED, hear  # type: ignore[import-not-found, unused-ignore]  # beside it in the Space
from sound import NoSoundError, pieces, read  # type: ignore[import-not-found, unused-ignore]  # the same

BATCH = 8


def transcribe(audio: str | None, language: str | None, compare: bool, progress: gr.Progress = gr.Progress()) -> tuple[str, str]:  # noqa: B008 - known to Gradio by it
    """The text of a recording by the tuned model and, if `compare`, by its base; `language` is a two-letter code, or empty to detect it."""
    if not audio:
        raise _told("Record something, or choose a file, first.")
    if compare and NOT_COMPARED:
        raise _told(NOT_COMPARED)
    try:
        parts = pieces(read(audio, limit_s=LIMIT_S))
    except NoSoundError as error:
        raise _told(str(error)) from None
    tuned: list[str] = []
    base: list[str] = []
    for start in range(0, len(parts), BATCH):
        progress((start, len(parts)), desc="Listening", unit="pieces")
        one, other = hear(parts[start : start + BATCH], language or None, compare)
        tuned += one
        base += other
    return " ".join(text for text in tuned if text), " ".join(text for text in base if text)


def _told(what: str) -> gr.Error:
    """An error for who uses the page, and none for the log."""
    return gr.Error(what, print_exception=False)


def page() -> gr.Blocks:
    """The page."""
    own, others = ([(each["name"], each["code"]) for each in DEMO["languages"] if each["own"] is is_own] for is_own in (True, False))
    blocks: gr.Blocks
    with gr.Blocks(title=DEMO["title"], delete_cache=(600, 600), analytics_enabled=False) as blocks:
        gr.HTML(_head())
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                audio = gr.Audio(sources=["microphone", "upload"], type="filepath", label="Recording", editable=False, buttons=[], elem_classes="sound")
                language = gr.Dropdown([*own, ("Detect the language", ""), *others], value=DEMO["language"] or "", label="Language")
                about = f"Not offered: {NOT_COMPARED}" if NOT_COMPARED else "What was heard before it was tuned"
                compare = gr.Checkbox(not NOT_COMPARED, label="Compare with the base model", info=about, interactive=not NOT_COMPARED)
                button = gr.Button("Transcribe", variant="primary", size="lg")
            with gr.Column(min_width=300):
                # Open for corrections, and so for the keyboard. The words in an empty one are its name for those who hear the page.
                look: dict[str, Any] = {"lines": 3, "buttons": ["copy"], "interactive": True}
                tuned = gr.Textbox(label="Tuned model", placeholder="What the tuned model hears", elem_classes="text tuned", **look)
                base = gr.Textbox(label="Base model", placeholder="What the base model hears", elem_classes="text", visible=not NOT_COMPARED, **look)
        gr.HTML(_foot())
        button.click(transcribe, [audio, language, compare], [tuned, base], api_name="transcribe", concurrency_limit=1)
        compare.change(lambda on: gr.update(visible=on), compare, base, api_visibility="private", queue=False, show_progress="hidden")
    blocks.space_id = None  # or else, outside the Hub's own frame, the page fetches letters from Google for a bar that it puts on top
    return blocks


def _head() -> str:
    """What this is, and how much better it hears."""
    found, title, name = DEMO["evaluation"], escape(DEMO["title"]), escape(DEMO["base_name"])
    if not found:
        return f'<div class="head"><div><h1>{title}</h1><p>{name}, tuned on one voice.</p></div></div>'
    said = {"better": "it hears this voice better", "worse": "it hears this voice worse"}.get(found["verdict"], "there was no clear change")
    bars = "".join(_bar(which, when, 100 * found[which]) for which, when in (("base", "before"), ("tuned", "tuned")))
    told = f"{name}, tuned on one voice. On {found['num_clips']} recordings that it was not trained on, {said}."
    return f'<div class="head"><div><h1>{title}</h1><p>{told}</p></div><div class="bars"><p>Words that it gets wrong</p>{bars}</div></div>'


def _bar(which: str, when: str, percent: float) -> str:
    return f'<div class="bar {which}"><span>{when}</span><div><i style="width:{min(100.0, percent):.1f}%"></i></div><b>{percent:.0f} %</b></div>'


def _foot() -> str:
    """Where the model is, and what becomes of a recording."""
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    places = [(DEMO["model"], DEMO["revision"]), *([(DEMO["base"], DEMO["base_revision"])] if DEMO["base"] else [])]
    links = [f'<a href="{escape(hub)}/{repo}/tree/{revision}" target="_blank" rel="noopener">{escape(repo)}</a>' for repo, revision in places]
    care = f"Up to {LIMIT_S // 60} minutes at a time. Recordings are used for their text alone, and deleted within twenty minutes."
    return f'<div class="foot"><p>{care}</p><p>Model: {", tuned from ".join(links)}. Made with voxtune.</p></div>'


THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"],
).set(
    # White on these is 5.5:1 and more.
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_800",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
    color_accent="*primary_700",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_400",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_400",
    block_title_text_color="*neutral_700",
    block_title_text_color_dark="*neutral_200",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_200",
    input_placeholder_color="*neutral_600",
    input_placeholder_color_dark="*neutral_400",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
)

if __name__ == "__main__":
    page().queue(max_size=20).launch(
        theme=THEME,
        css_paths="app.css",
        head='<meta name="color-scheme" content="light dark">',
        footer_links=["api", "settings"],
        max_file_size="200mb",
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
    )
