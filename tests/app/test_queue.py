"""The queue in front of the networks: bounded, fair, closed at the end; under load over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from app import models
from app.api.application import create_api
from app.limits import TooLongError
from app.priority import NICE
from app.queue import BusyError, GoneError, InferenceQueue, QueuedSegmenter, turns_at_once
from model.errors import StudioError
from model.inference.segmenter import Cancelled
from tests.app.conftest import REPOSITORY
from tests.loops import run_apart

PLACES = {"page": 2, "api": 3, "batch": 1}


@pytest.fixture
def queue() -> InferenceQueue:
    return InferenceQueue(turns=1, places=PLACES)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lane_takes_as_many_jobs_as_it_has_places(queue):
    with queue.job("api"), queue.job("api"), queue.job("api"):
        with pytest.raises(BusyError, match="busy") as caught, queue.job("api"):
            pass
        assert caught.value.retry_after >= 1
        with queue.job("page"):
            assert queue.jobs() == {"page": 1, "api": 3, "batch": 0}
    assert queue.refused == 1
    assert queue.idle
    with queue.job("api"):
        pass


def test_who_asks_during_a_long_queue_is_told_to_stay_away_longer():
    asked = []
    for seconds in (0.0, 30.0):
        queue = InferenceQueue(turns=1, places=PLACES)
        for _ in range(60):
            queue._ask("api")
            queue._pass_on(seconds)
        with queue.job("api"), queue.job("api"), queue.job("api"):  # noqa: SIM117
            with pytest.raises(BusyError) as caught, queue.job("api"):
                pass
        asked.append(caught.value.retry_after)
    assert asked == [1, 60]


def test_no_more_turns_than_there_are():
    queue = InferenceQueue(turns=2, places={"page": 50})
    most, now, lock = 0, 0, threading.Lock()

    def work(_) -> None:
        nonlocal most, now
        with queue.job("page"), queue.turn("page"):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(50)))
    assert most == 2
    assert queue.running == 0


def test_lanes_take_turns(queue):
    order = []
    first = queue._ask("page")
    assert first.done()
    asked = [("api", 1), ("api", 2), ("api", 3), ("page", 1), ("batch", 1), ("page", 2)]
    for lane, number in asked:
        turn = queue._ask(lane)
        turn.add_done_callback(lambda _, entry=(lane, number): order.append(entry))
    assert queue.waiting() == {"page": 2, "api": 3, "batch": 1}
    for _ in asked:
        queue._pass_on(0.1)
    # The longest waiting of each lane, lane by lane.
    assert [lane for lane, _ in order[:3]] in (
        ["page", "api", "batch"], ["api", "batch", "page"], ["batch", "page", "api"],
    )  # fmt: skip
    for lane in PLACES:
        numbers = [number for at, number in order if at == lane]
        assert numbers == sorted(numbers)


def test_who_gives_up_while_waiting_takes_nobodys_turn(queue):
    with queue.turn("page"):
        with pytest.raises(Cancelled), queue.turn("page", cancelled=lambda: True):
            pass
        assert queue.waiting()["page"] == 0
    with queue.turn("page"):
        assert queue.running == 1
    assert queue.running == 0


def test_who_takes_too_long_while_waiting_takes_nobodys_turn(queue):
    def too_long() -> bool:
        raise StudioError("This took longer than it may.")

    with queue.turn("page"), pytest.raises(StudioError), queue.turn("page", cancelled=too_long):
        pass
    assert queue.running == 0
    assert queue.waiting()["page"] == 0


def test_a_cancelled_request_passes_its_turn_on(queue):
    async def scene() -> None:
        with queue.turn("page"):
            task = asyncio.create_task(queue.run("api", lambda: "never", 5))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await queue.run("api", lambda: "done", 5) == "done"

    run_apart(scene())
    assert queue.idle


def test_nothing_is_computed_for_a_client_that_has_gone(queue):
    async def gone() -> bool:
        return True

    async def scene() -> None:
        with pytest.raises(GoneError):
            await queue.run("api", lambda: pytest.fail("computed"), 5, gone)

    run_apart(scene())
    assert queue.idle


def test_work_over_its_time_is_given_up_but_holds_its_turn(queue):
    finish = threading.Event()

    async def scene() -> None:
        with pytest.raises(TooLongError, match=r"limit of 0\.05 s"):
            await queue.run("api", finish.wait, 0.05)

    run_apart(scene())
    assert queue.running == 1
    finish.set()
    wait_until(lambda: queue.idle)


def test_errors_of_the_work_come_through_and_free_the_turn(queue):
    async def scene() -> None:
        with pytest.raises(ZeroDivisionError):
            await queue.run("api", lambda: 1 / 0, 5)

    run_apart(scene())
    assert queue.idle


def test_a_closed_queue_finishes_what_it_has(queue):
    with queue.job("api"):
        queue.close()
        with pytest.raises(BusyError, match="stopping"), queue.job("page"):
            pass
        with queue.turn("api"):
            assert not queue.idle
    assert queue.idle


def test_pages_wait_in_the_same_queue(queue):
    class Plain:
        name = "plain"

        def segment(self, picture, options, *, cancelled, confidence):
            assert queue.running == 1
            assert confidence
            return "labels"

    segmenter = QueuedSegmenter(Plain(), queue)
    assert segmenter.name == "plain"
    assert segmenter.segment(None, confidence=True) == "labels"
    with queue.job("page"), queue.job("page"), pytest.raises(BusyError):
        segmenter.segment(None, confidence=True)


def test_networks_let_the_event_loop_go_first(queue):
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def in_turn() -> int:
        with queue.turn("page"):
            return nice()

    least = max(NICE, nice())
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(in_turn).result() == least
    assert run_apart(queue.run("api", nice, 5)) == least


def test_all_but_the_event_loop_step_back():
    """Threads that a library started before, too."""
    script = """
import os, threading, time
from app import priority
before = os.getpriority(os.PRIO_PROCESS, 0)
priority.NICE = before + 3
other = threading.Thread(target=time.sleep, args=(1,))
other.start()
priority.others_step_back()
mine, its = (os.getpriority(os.PRIO_PROCESS, id) for id in (0, other.native_id))
assert (mine, its) == (before, before + 3), (mine, its)
"""
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("path", ["predict", "predict/batch"])
def test_without_a_place_nobody_reads_the_picture(monkeypatch, path):
    """The answer comes before the body has, and the connection is good for another request."""
    for lane in models.QUEUE.places:
        monkeypatch.setitem(models.QUEUE.places, lane, 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_api(), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        connection = http.client.HTTPConnection(*listener.getsockname(), timeout=30)
        body = b"x" * 300_000
        connection.putrequest("POST", f"/{path}")
        connection.putheader("Content-Type", "image/png")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:1000])
        try:
            refusal = answer(connection)
            assert refusal.status == 503
            assert refusal.headers["Retry-After"]
            connection.sock.sendall(body[1000:] + b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
            assert answer(connection).status == 200
        finally:
            connection.close()
            server.should_exit = True
            thread.join()


def answer(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """The next whole answer, before or after its request was sent in full."""
    response = http.client.HTTPResponse(connection.sock)
    response.begin()
    response.read()
    return response


def test_turns_match_the_cores():
    assert 2 <= turns_at_once() <= 4


def test_more_callers_than_places_get_503_or_their_mask(server):
    """Nobody gets anything else, and health is answered meanwhile."""
    noise = np.random.default_rng(0).integers(0, 256, (350, 500, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    content = buffer.getvalue()
    healths, over = [], threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=server.url) as client:
            while not over.is_set():
                healths.append(client.get("/api/health").json())
                time.sleep(0.02)

    def ask(_) -> httpx.Response:
        return httpx.post(
            f"{server.url}/api/predict?scale=native&flips=both",
            files={"file": content},
            timeout=60,
        )

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(48) as threads:
        answers = list(threads.map(ask, range(48)))
    over.set()
    watcher.join()
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 503}
    assert codes.count(200) >= 24
    for answer in answers:
        if answer.status_code == 503:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert "busy" in answer.json()["detail"]
    masks = {answer.content for answer in answers if answer.status_code == 200}
    assert len(masks) == 1
    assert max(health["queue"]["waiting"]["api"] for health in healths) > 0
    assert all(health["ready"] for health in healths)
