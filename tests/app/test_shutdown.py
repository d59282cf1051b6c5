"""SIGTERM finishes what runs and refuses new work; a killed server leaves nothing to the next."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from app.scratch import private_folder
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from tests.app.conftest import REPOSITORY, free_port
from tests.servers import answers


def slow_picture() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (800, 1200), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_runs_is_finished_and_new_work_refused(weights, free_server):
    content = slow_picture()

    def ask(url: str, path: str) -> httpx.Response:
        return httpx.post(
            f"{url}/api/{path}?scale=native&flips=both&model=streets-wide",
            files=[("files", content)] * (1 if path == "predict" else 2),
            timeout=60,
        )

    def queue(url: str) -> dict:
        return httpx.get(f"{url}/api/health").json()["queue"]

    with (
        free_server({WEIGHTS_VARIABLE: str(weights)}) as (url, process),
        ThreadPoolExecutor(3) as t,
    ):
        warm = {"files": {"file": content}, "timeout": 60}
        httpx.post(f"{url}/api/predict?model=streets-wide", **warm)
        one: Future[httpx.Response] = t.submit(ask, url, "predict")
        several: Future[httpx.Response] = t.submit(ask, url, "predict/batch")
        wait_until(lambda: queue(url)["running"] == 2)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not httpx.get(f"{url}/api/health").json()["ready"])
        refused = ask(url, "predict")
        assert refused.status_code == 503
        assert "stopping" in refused.json()["detail"]
        assert refused.headers["retry-after"]
        mask = one.result()
        masks = zipfile.ZipFile(io.BytesIO(several.result().content))
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "Traceback" not in output
    assert Image.open(io.BytesIO(mask.content)).size == (1200, 800)
    assert masks.namelist() == ["mask/upload.png", "mask/upload-2.png"]


ENDLESS = """
import sys, threading
from app import models, server, stopping

def segment():
    with models.QUEUE.job("page"), models.QUEUE.turn("page"):
        threading.Event().wait()

stopping.PATIENCE = float(sys.argv[2])
threading.Thread(target=segment).start()
server.serve("127.0.0.1", int(sys.argv[1]))
"""


@pytest.mark.parametrize(("patience", "signals"), [(3600, 2), (0.1, 1)], ids=["twice", "once"])
def test_what_takes_too_long_is_broken_off(tmp_path, patience, signals):
    """At a second SIGTERM, or once the patience is at its end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    empty = tmp_path / "weights"
    empty.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(port), str(patience)],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path), WEIGHTS_VARIABLE: str(empty)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or answers(f"{url}/health"), 90)
        process.send_signal(signal.SIGTERM)
        if signals == 2:
            png = {"headers": {"content-type": "image/png"}, "content": b"x"}
            wait_until(lambda: "stopping" in httpx.post(f"{url}/predict", **png).text)
            process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, output
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == [empty], "its temporary folder is left"


def test_a_page_that_is_looked_at_is_no_error(weights, free_server):
    with (
        free_server({WEIGHTS_VARIABLE: str(weights)}) as (url, process),
        httpx.stream("GET", f"{url}/gradio_api/heartbeat/someone", timeout=60) as heartbeat,
    ):
        assert heartbeat.status_code == 200
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.count("\n") == 1, "more is said than where the app is"


def test_a_killed_server_leaves_nothing_to_the_next(tmp_path, weights, free_server):
    environment = {"TMPDIR": str(tmp_path), WEIGHTS_VARIABLE: str(weights)}
    with free_server(environment) as (url, process):
        httpx.post(f"{url}/gradio_api/upload", files={"files": ("secret.png", b"12345")})
        process.kill()
        process.wait()
    assert list(tmp_path.rglob("secret.png"))
    with free_server(environment) as (url, process):
        assert not list(tmp_path.rglob("secret.png"))
        answer = httpx.post(f"{url}/api/predict", files={"file": slow_picture()}, timeout=60)
        assert answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_folders_of_servers_that_run_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with private_folder() as first:
        (first / "a").write_text("a")
        with private_folder() as second:
            assert second != first
            assert (first / "a").exists()
            assert second.stat().st_mode & 0o777 == 0o700
        assert not second.exists()
    assert list(tmp_path.iterdir()) == []
