"""Every snippet of docs/api.md does what it says, against a running server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
import yaml
from PIL import Image

from app.api.schema import Output, Wishes
from model.data.streets import draw
from tests.mcp_client import with_mcp

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working folder with the pictures that the snippets name."""
    for seed, name in enumerate(("cat.jpg", "dog.jpg")):
        Image.fromarray(draw(seed, (90, 70))[0]).save(tmp_path / name)
    return tmp_path


def snippet_of(section: str, language: str) -> str:
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE)
    (snippet,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert "http://127.0.0.1:7860" in snippet
    return snippet


def run(
    section: str, language: str, command: list[str], suffix: str, folder: Path, url: str
) -> str:
    snippet = snippet_of(section, language)
    script = folder / f"snippet{suffix}"
    script.write_text(snippet.replace("http://127.0.0.1:7860", url))
    done = subprocess.run(
        [*command, script], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl(server, folder):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    run("curl", "sh", ["sh", "-e"], ".sh", folder, server.url)
    assert Image.open(folder / "mask.png").size == (90, 70)
    assert json.loads((folder / "cat.json").read_text())["width"] == 90
    assert json.loads((folder / "cat.geojson").read_text())["type"] == "FeatureCollection"
    names = zipfile.ZipFile(folder / "segmentations.zip").namelist()
    assert sorted(names) == ["csv/cat.csv", "csv/dog.csv", "mask/cat.png", "mask/dog.png"]


def test_python(server, folder):
    shown = run("Python", "python", [sys.executable], ".py", folder, server.url)
    assert re.match(r"\(70, 90\) uint8 \[[012 ]+\]\n", shown)
    assert re.search(r"^[\w ]+: \d+%$", shown, re.MULTILINE)


def test_javascript(server, folder):
    if shutil.which("node") is None:
        pytest.skip("needs node")
    shown = run("JavaScript", "js", ["node"], ".mjs", folder, server.url)
    assert shown.startswith("pets-scratch decode;dur=")
    assert Image.open(folder / "overlay.png").size == (90, 70)


def test_gradio_client(server, folder, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder / "downloads"))
    text = DOCS.replace("pets-mobilenet", "pets-scratch")  # the tests' server has that one
    monkeypatch.setitem(globals(), "DOCS", text)
    shown = run("Gradio's client", "python", [sys.executable], ".py", folder, server.url)
    _loaded, path, *found, models = shown.splitlines()
    assert Image.open(path).size == (90, 70)
    assert all(re.fullmatch(r"[\w ]+: \d+%, sure to \d+%", line) for line in found)
    assert "pets-scratch" in models


def test_mcp(server):
    servers = json.loads(snippet_of("MCP", "json"))["mcpServers"]
    (configured,) = servers.values()
    assert configured["type"] == "http"

    url = configured["url"].replace("http://127.0.0.1:7860", server.url)
    listed = with_mcp(url, lambda session: session.list_tools()).tools
    names = [tool.name for tool in listed]
    assert names
    assert all(f"`{name}`" in DOCS for name in names)


def test_all_outputs_and_options_are_named():
    named = set(re.findall(r"`([\w-]+)`", DOCS))
    assert {*Output} <= named
    assert set(Wishes.model_fields) <= named


def test_prometheus(server):
    (snippet,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    (job,) = yaml.safe_load(snippet)["scrape_configs"]
    text = httpx.get(server.url + job["metrics_path"]).text
    for name in re.findall(r"`(unet_studio_\w+)`", DOCS):
        assert f"# TYPE {name}" in text or f"# TYPE {name.removesuffix('_total')}" in text
