"""Visitors of the page wait in the one queue, hold up nobody else, and are told when it is full."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import gradio_client
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image

from app import mcp_endpoint, models, segment_page
from app.queue import InferenceQueue
from app.segment.appearance import page_options
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data.streets import draw
from tests.app.conftest import free_port

PLACES = {"page": 4, "api": 2, "batch": 1}


@pytest.fixture
def queue(monkeypatch) -> InferenceQueue:
    """One turn at a time, few places."""
    queue = InferenceQueue(1, PLACES)
    monkeypatch.setattr(models, "QUEUE", queue)
    segment_page._render_example.cache_clear()
    return queue


@pytest.fixture
def url(queue, weights, monkeypatch, tmp_path) -> Iterator[str]:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    mcp_endpoint.install()
    app, port = FastAPI(), free_port()
    page = segment_page.SegmentPage(tmp_path).blocks
    gr.mount_gradio_app(app, page, path="/", **page_options())
    config = uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def visit(url: str, name: str) -> dict:
    """Opens the page as a browser does. Returns Gradio's last message."""
    dependencies = httpx.get(f"{url}/config", timeout=60).json()["dependencies"]
    (load,) = [d["id"] for d in dependencies if "load" in [event for _, event in d["targets"]]]
    request = {"data": [{}], "fn_index": load, "session_hash": name}
    httpx.post(f"{url}/gradio_api/queue/join", json=request, timeout=60).raise_for_status()
    address = f"{url}/gradio_api/queue/data?session_hash={name}"
    with httpx.stream("GET", address, timeout=60) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        return next(event for event in events if event["msg"] == "process_completed")


def is_refused(end: dict) -> bool:
    return "The server is busy" in json.dumps(end["output"])


def until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_visitors_wait_in_the_one_queue_and_hold_up_nobody(url, queue, tmp_path):
    picture: Path = tmp_path / "street.png"
    Image.fromarray(draw(1, (64, 48))[0]).save(picture)
    client = gradio_client.Client(url, verbose=False)
    with ThreadPoolExecutor(9) as threads:
        with queue.turn("page"):
            visits = [threads.submit(visit, url, f"visitor{i}") for i in range(7)]
            until(lambda: queue.refused == 7 - PLACES["page"])
            until(lambda: queue.waiting()["page"] == PLACES["page"])
            # All places of the page are taken; a program still gets one, and the next turn.
            asked = threads.submit(
                client.predict, gradio_client.handle_file(picture), api_name="/segment"
            )
            until(lambda: queue.waiting()["api"] == 1)
            assert all(is_refused(one.result()) for one in visits if one.done())
        mask, *_ = asked.result()
        ends = [one.result() for one in visits]
    assert Image.open(mask).size == (64, 48)
    assert all(end["success"] for end in ends), "who is refused gets the page, and may try again"
    assert sum(map(is_refused, ends)) == 7 - PLACES["page"]
    assert queue.idle


def test_events_of_all_lanes_fit_beside_each_other():
    assert sum(models.QUEUE.places.values()) < segment_page.MOST_EVENTS
