"""How the studio looks: one accent colour, the system's own letters, nothing loaded from elsewhere."""

from __future__ import annotations

import gradio as gr

from voxtune.studio.routes import STATIC, address

_LETTERS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_NUMBERS = ("ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace")


def theme() -> gr.themes.Base:
    """The theme, light and dark."""
    made = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
        font=list(_LETTERS),
        font_mono=list(_NUMBERS),
    )
    return made.set(
        # White on these is 5.5:1 and more; the hue's own defaults are below 4.5:1.
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        color_accent="*primary_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_title_text_weight="600",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_hover="*primary_800",
        link_text_color_hover_dark="*primary_200",
    )


def head() -> str:
    """What stands in the page's head: the style sheets, and how a phone shall scale it."""
    sheets = sorted(path.name for path in STATIC.glob("*.css"))
    sheets.remove("studio.css")
    links = "".join(f'<link rel="stylesheet" href="{address(name)}">' for name in ("studio.css", *sheets))
    return f'<meta name="color-scheme" content="light dark">{links}'
