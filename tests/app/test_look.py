"""Both pages have one look: Streamlit's theme repeats `app.look`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from app import look
from model.data.images import MAX_BYTES

CONFIG = Path(look.__file__).parent / ".streamlit" / "config.toml"


@pytest.fixture(scope="module")
def config() -> dict:
    return tomllib.loads(CONFIG.read_text(encoding="utf-8"))


def test_theme_has_the_values_of_look(config):
    theme = config["theme"]
    assert theme["font"] == look.FONT
    assert theme["light"] == {
        "primaryColor": look.ACCENT,
        "backgroundColor": look.BACKGROUND,
        "secondaryBackgroundColor": look.SURFACE,
        "textColor": look.TEXT,
    }
    assert theme["dark"]["primaryColor"] == look.ACCENT_DARK


def test_dark_pages_share_their_neutral_colours(config):
    from app.segment.appearance import theme

    gradio = theme()
    assert config["theme"]["dark"]["backgroundColor"] == gradio.neutral_950
    assert config["theme"]["dark"]["secondaryBackgroundColor"] == gradio.neutral_900
    assert config["theme"]["dark"]["textColor"] == gradio.neutral_100


def test_streamlit_knows_every_option(config):
    from streamlit.config import get_config_options

    known = set(get_config_options())
    for section, options in config.items():
        for name, value in options.items():
            names = [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
            assert {f"{section}.{n}" for n in names} <= known


def test_nothing_is_reported_to_anybody(config):
    assert config["browser"]["gatherUsageStats"] is False


def test_uploads_are_limited_as_the_decoder_is(config):
    assert config["server"]["maxUploadSize"] == MAX_BYTES // 2**20
