"""Gradio's own API and MCP, spoken by their own clients, and forged requests to both."""

from __future__ import annotations

import base64
import http.client
import http.server
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio_client
import httpx
import numpy as np
import pytest
from gradio_client.exceptions import AppError
from mcp import ClientSession
from PIL import Image

from app import gradio_api, models
from app.api.schema import Wishes
from app.limits import MESSAGE_BYTES, UPLOAD_BYTES
from app.queue import InferenceQueue
from app.uploads import NOTHING_FETCHED, Refused, trim
from model.data.streets import draw
from tests.loops import run_apart
from tests.mcp_client import call_tool, data_url, with_mcp

FILE = {"_type": "gradio.FileData"}
JSON_RPC = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
OPTIONS = [None, None, None, "none", None, None, 0, "trained", None]
"""What follows the picture in a plain call."""


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "our street.png"
    Image.fromarray(draw(602, (90, 70))[0]).save(path)
    return path


@pytest.fixture(scope="module")
def client(server) -> gradio_client.Client:
    return gradio_client.Client(server.url, verbose=False)


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A server that notes what it is asked for, and its address."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


def rest(url: str, picture: Path, output: str, **arguments: Any) -> bytes:
    with open(picture, "rb") as file:
        answer = httpx.post(
            f"{url}/api/predict", files={"file": file}, data={"output": output, **arguments}
        )
    return answer.raise_for_status().content


@pytest.fixture(scope="module")
def endpoint(server) -> str:
    return f"{server.url}/gradio_api/mcp/"


# gradio_client


def test_gradio_client_gets_what_rest_gives(client, server, picture):
    options = {"model": "streets-scratch", "flips": "horizontal", "minimum_area": 9}
    mask, overlay, found = client.predict(
        gradio_client.handle_file(picture), api_name="/segment", **options
    )
    assert Path(mask).read_bytes() == rest(server.url, picture, "mask", **options)
    assert Path(overlay).read_bytes() == rest(server.url, picture, "overlay", **options)
    assert Image.open(mask).mode == "P"
    assert len(np.unique(Image.open(mask))) > 1
    expected = json.loads(rest(server.url, picture, "json", **options))
    for one in (found, expected):
        one.pop("milliseconds")
    assert found == expected
    assert Path(mask).name == "our street-mask.png"


def test_gradio_client_lists_the_models(client, server):
    listed = httpx.get(f"{server.url}/api/models").json()
    assert client.predict(api_name="/models") == listed


def test_only_these_functions_are_public(server):
    endpoints = httpx.get(f"{server.url}/gradio_api/info").json()["named_endpoints"]
    assert set(endpoints) == {"/segment", "/models"}
    parameters = [one["parameter_name"] for one in endpoints["/segment"]["parameters"]]
    assert parameters[0] == "picture"
    assert set(parameters[1:]) <= set(Wishes.model_fields)
    assert len(OPTIONS) == len(parameters) - 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "cats"}, "There is no model 'cats'. Models: pets-scratch"),
        ({"model": "broken"}, "checkpoint broken has no config.json"),
        ({"tile": 33}, "'tile' is wrong: Input should be a multiple of 32"),
        ({"classes": ["unicorn"]}, "unicorn"),
        ({"tile": 1536, "zooms": [1.3]}, "Choose tile=1152 or less"),
    ],
)
def test_refusals_are_sentences(client, picture, arguments, words):
    with pytest.raises(AppError) as refused:
        client.predict(gradio_client.handle_file(picture), api_name="/segment", **arguments)
    assert words in str(refused.value)
    assert "/tmp" not in str(refused.value)


def test_what_is_no_picture_is_refused(client, tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    with pytest.raises(AppError, match="is not a picture in a format"):
        client.predict(gradio_client.handle_file(path), api_name="/segment")


def test_a_full_queue_is_told(monkeypatch):
    monkeypatch.setattr(models, "QUEUE", InferenceQueue(1, {"page": 1, "api": 0, "batch": 1}))
    monkeypatch.setattr(gradio_api, "_uploaded", lambda picture: (Path("x"), "x"))
    with pytest.raises(Refused, match=r"The server is busy.*Ask again in \d+ s"):
        run_apart(gradio_api.segment({"path": "x"}))


def test_what_is_wrong_on_our_side_is_not_told(monkeypatch):
    def fail(picture):
        raise RuntimeError("secret")

    monkeypatch.setattr(gradio_api, "_uploaded", fail)
    with pytest.raises(Refused, match=r"^Something went wrong on our side"):
        run_apart(gradio_api.segment({"path": "x"}))


def plain_call(url: str, given: Any) -> str:
    """The answer to a call that no client makes, by all three ways."""
    texts = []
    for route in ("run", "call"):
        answer = httpx.post(f"{url}/gradio_api/{route}/segment", json={"data": [given, *OPTIONS]})
        texts.append(answer.text)
        if route == "call":
            event = answer.raise_for_status().json()["event_id"]
            texts.append(httpx.get(f"{url}/gradio_api/call/segment/{event}").text)
    answer = httpx.post(f"{url}/gradio_api/call/v2/segment", json={"picture": given})
    event = answer.raise_for_status().json()["event_id"]
    texts.append(httpx.get(f"{url}/gradio_api/call/v2/segment/{event}").text)
    assert all("error" in text for text in (texts[0], texts[2], texts[3]))
    return "\n".join(texts)


@pytest.mark.parametrize("meta", [{}, {"meta": FILE}], ids=["bare", "as uploads"])
@pytest.mark.parametrize("more", [{}, {"is_stream": True}], ids=["", "stream"])
def test_no_file_of_this_machine_is_read_because_a_caller_names_it(server, picture, meta, more):
    inside = server.temporary / "secret.png"
    inside.write_bytes(picture.read_bytes())
    for path in (str(picture), str(inside), f"{server.temporary}/gradio/../secret.png"):
        text = plain_call(server.url, {"path": path, **meta, **more})
        assert "/file=" not in text
        assert str(server.temporary) not in text
    inside.unlink()


@pytest.mark.parametrize("given", ["x", None, 7, [], {}, {"path": 7}, {"path": "a\0b"}])
def test_what_is_no_file_is_refused(server, given):
    assert "upload it first" in plain_call(server.url, given)


def test_nothing_is_fetched_because_a_caller_names_it(server, endpoint, client):
    with listening() as (host, asked):
        address = f"http://{host}/a.png"
        with pytest.raises(AppError, match=NOTHING_FETCHED):
            client.predict(gradio_client.handle_file(address), api_name="/segment")
        for given in ({"path": address}, {"path": "a.png", "url": address}):
            plain_call(server.url, given)
            plain_call(server.url, {**given, "meta": FILE})
        answer = call_tool(endpoint, "segment", picture=address)
        assert answer.isError
        assert NOTHING_FETCHED in answer.content[0].text

        # Nor because of the host that a caller says this server has.
        async def read(session: ClientSession) -> None:
            with pytest.raises(Exception, match=NOTHING_FETCHED):
                await session.read_resource("studio://x")
            answer = await session.call_tool("models", {})
            assert not answer.isError

        with_mcp(endpoint, read, host=host)
        with_mcp(endpoint, read, **{"x-forwarded-host": host})
    assert asked == []


# MCP


def test_mcp_lists_the_tools(endpoint):
    listed = with_mcp(endpoint, lambda session: session.list_tools()).tools
    tools = {tool.name: tool for tool in listed}
    assert set(tools) == {"segment", "models"}
    assert tools["segment"].description.startswith("Segment a picture")
    properties = tools["segment"].inputSchema["properties"]
    assert properties["picture"]["type"] == "string"
    assert "data:image/png;base64," in properties["picture"]["description"]
    assert all(properties[name]["description"] for name in properties)
    assert tools["segment"].inputSchema["required"] == ["picture"]


def test_an_mcp_client_gets_what_rest_gives(server, endpoint, picture):
    answer = call_tool(endpoint, "segment", picture=data_url(picture), model="streets-scratch")
    assert not answer.isError, answer.content
    expected = {
        name: rest(server.url, picture, name, model="streets-scratch")
        for name in ("mask", "overlay")
    }
    mask, mask_address, overlay, overlay_address, found = answer.content
    for shown, address, content in (
        (mask, mask_address, expected["mask"]),
        (overlay, overlay_address, expected["overlay"]),
    ):
        assert shown.mimeType == "image/png"
        assert base64.b64decode(shown.data) == content
        url = address.text.partition(": ")[2]
        assert url.startswith(server.url)
        assert httpx.get(url).content == content
    classes = json.loads(rest(server.url, picture, "json", model="streets-scratch"))["classes"]
    assert json.loads(found.text)["classes"] == classes


def test_an_mcp_client_can_name_what_was_uploaded(server, endpoint, picture):
    files = {"files": (picture.name, picture.read_bytes())}
    (path,) = httpx.post(f"{server.url}/gradio_api/upload", files=files).json()
    answer = call_tool(endpoint, "segment", picture=f"{server.url}/gradio_api/file={path}")
    assert base64.b64decode(answer.content[0].data) == rest(server.url, picture, "mask")


def test_addresses_below_a_proxys_path(server, endpoint, picture):
    """Behind nginx itself: test_proxy.py."""
    behind = {"x-forwarded-prefix": "/studio", "x-forwarded-host": "example.org"}
    arguments = {"picture": data_url(picture)}
    answer = with_mcp(endpoint, lambda session: session.call_tool("segment", arguments), **behind)
    address = answer.content[1].text.partition(": ")[2]
    assert address.startswith("http://example.org/studio/gradio_api/file=")
    here = address.replace("http://example.org", server.url)
    assert httpx.get(here, headers=behind).content == rest(server.url, picture, "mask")


def test_mcp_lists_the_models(server, endpoint):
    answer = call_tool(endpoint, "models")
    listed = httpx.get(f"{server.url}/api/models").json()
    assert json.loads(answer.content[0].text) == listed


def test_large_results_have_an_address_only(endpoint, tmp_path):
    path = tmp_path / "noise.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), np.uint8)
    Image.fromarray(noise).save(path, quality=50)
    answer = call_tool(endpoint, "segment", picture=data_url(path), classes=["pet"])
    assert not answer.isError, answer.content
    kinds = [one.type for one in answer.content]
    assert kinds == ["image", "text", "text", "text"]
    url = answer.content[2].text.partition(": ")[2]
    assert Image.open(io.BytesIO(httpx.get(url).content)).size == (1300, 1300)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "cats"}, "There is no model 'cats'"),
        ({"picture": "data:image/png;base64,AAAA"}, "is not a picture"),
        ({"picture": "data:image/png;base64,AAAAA"}, "data URL is malformed"),
        ({"picture": "data:"}, "is not a picture"),
        ({"picture": "/etc/hostname"}, "not fetched"),
        ({"picture": "file:///etc/hostname"}, "not fetched"),
        ({"picture": "http://localhost/gradio_api/file=/etc/hostname"}, "not uploaded by a user"),
        ({"picture": {"path": "/etc/hostname"}}, "not of type 'string'"),
        ({"flips": "sideways"}, "'sideways'"),
        ({"tile": 1536, "zooms": [4]}, "Choose tile=384 or less"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_mcp_refusals_are_sentences(endpoint, picture, arguments, words):
    answer = call_tool(endpoint, "segment", **{"picture": data_url(picture), **arguments})
    assert answer.isError
    assert words in answer.content[0].text
    assert "Traceback" not in answer.content[0].text


def test_messages_are_bounded(server):
    text = b'{"data": ["' + bytes(MESSAGE_BYTES) + b'"]}'
    for route in ("mcp/", "run/segment", "queue/join", "mcp/gradio_api/upload"):
        answer = httpx.post(f"{server.url}/gradio_api/{route}", content=text, headers=JSON_RPC)
        assert answer.status_code == 413, route
        assert f"{MESSAGE_BYTES // 2**20} MiB" in answer.text


def test_only_messages_to_mcp_are_read(server):
    """The others have no bound: who sends one is answered before its body has come."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("PUT", "/gradio_api/mcp/")
    connection.putheader("Content-Length", str(2**40))
    connection.endheaders(b"x")
    assert connection.getresponse().status in (405, 413)
    connection.close()


def test_uploads_are_bounded_together(server):
    """A file alone is bounded by Gradio; many of them are not."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(UPLOAD_BYTES + 1))
    connection.endheaders(b"--x\r\n")
    answer = connection.getresponse()
    assert answer.status == 413
    assert f"{UPLOAD_BYTES // 2**20} MiB" in answer.read().decode()
    connection.close()


@pytest.mark.parametrize("wrong", [["cats", *OPTIONS[1:]], [*OPTIONS[:-1], 33]])
def test_refused_calls_leave_no_more_than_the_bound(monkeypatch, tmp_path, wrong):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(gradio_api, "trim", lambda folder: trim(folder, most_bytes=100))
    for number in range(3):
        path = tmp_path / f"{number}.png"
        path.write_bytes(bytes(90))
        with pytest.raises(Refused):
            run_apart(gradio_api.segment({"path": str(path)}, *wrong))
    assert [path.name for path in tmp_path.iterdir()] == ["2.png"]


def test_other_sites_cannot_call_it(server, endpoint):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    origin = {"Origin": "https://evil.example"}
    answer = httpx.post(endpoint, json=message, headers=JSON_RPC | origin)
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in answer.headers
    asked = {"Access-Control-Request-Method": "POST"}
    assert httpx.options(endpoint, headers=origin | asked).status_code == 400
    # What browsers send unasked is not read.
    for route in ("mcp/", "run/models", "call/models", "queue/join"):
        headers = JSON_RPC | origin | {"Content-Type": "text/plain"}
        text = json.dumps(message | {"data": []})
        answer = httpx.post(f"{server.url}/gradio_api/{route}", content=text, headers=headers)
        assert 400 <= answer.status_code < 500, route
