"""How Gradio is to show the page: its look, its scripts, and nothing to the public."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from app import look
from model.data.images import MAX_BYTES

FOLDER = Path(__file__).parent
SCRIPTS = ("intake.js", "camera.js", "stage.js")


def page_options() -> dict[str, Any]:
    """What `launch` and `mount_gradio_app` are to do alike."""
    return {
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "max_file_size": MAX_BYTES,
        "ssr_mode": False,
        "mcp_server": True,
        "theme": theme(),
        "css_paths": [FOLDER / "page.css"],
        "js": _script(),
    }


def _script() -> str:
    """The scripts as the one function that Gradio runs when the page is there."""
    parts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"() => {{\n{parts}\n}}"


def theme() -> gr.Theme:
    """The look of `app.look`, without web fonts."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,  # its 700 and 400 are look.ACCENT and ACCENT_DARK
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=look.FONT.split(", "),
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_background_fill=look.BACKGROUND,
        body_text_color=look.TEXT,
        color_accent=look.ACCENT,
        link_text_color=look.ACCENT,
        link_text_color_dark=look.ACCENT_DARK,
        block_background_fill="*body_background_fill",
        block_background_fill_dark="*body_background_fill",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        input_background_fill=look.SURFACE,
        button_secondary_background_fill=look.SURFACE,
    )
