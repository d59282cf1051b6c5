"""Starting and stopping: quick help, errors in a sentence, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from model.checkpoints.zoo import WEIGHTS_VARIABLE

APP = Path(__file__).resolve().parents[2] / "app.py"


def run(*arguments: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(APP), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | environment,
    )


def test_help_lists_the_arguments_and_loads_no_web_framework():
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(APP), "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0
    for argument in ("--host", "--port", "--model", "--open", "--no-open", "--desktop"):
        assert argument in result.stdout
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert not loaded & {"gradio", "streamlit", "fastapi", "torch", "openvino", "numpy"}


def test_port_of_the_environment_is_the_default():
    assert "(default: 4321)" in run("--help", PORT="4321").stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("--model", "nobody"), {}, "There is no model 'nobody'. Bundled: broken, pets-scratch"),
        (("--model", "broken"), {}, "has no config.json"),
        ((), {"PORT": "many"}, "PORT is 'many'"),
        ((), {"PORT": "70000"}, "--port 70000: a port is a number from 0 to 65535"),
    ],
)
def test_wrong_arguments_get_a_sentence(weights, arguments, environment, words):
    environment = {WEIGHTS_VARIABLE: str(weights), "PORT": "0"} | environment
    result = run(*arguments, **environment)
    assert result.returncode not in (0, -signal.SIGTERM)
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_busy_port_gets_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("--port", str(port))
    assert result.returncode == 2
    assert f"--port {port} cannot be used: Address already in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_without_models_starts_and_says_so(tmp_path, free_server):
    with free_server({WEIGHTS_VARIABLE: str(tmp_path)}) as (url, process):
        assert httpx.get(f"{url}/api/health").json()["ready"] is False
        assert httpx.get(f"{url}/api/models").json() == {"models": []}
        answer = httpx.post(f"{url}/api/predict", files={"file": b"x"})
        assert answer.status_code == 404
        assert "train one" in answer.json()["detail"]
        assert httpx.get(url).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_model_folder_can_be_served_and_is_the_default(weights, free_server):
    arguments = ("--model", str(weights / "streets-wide"))
    with free_server({}, *arguments) as (url, process):
        health = httpx.get(f"{url}/api/health").json()
        assert health["ready"] is True
        assert health["open_models"] == ["streets-wide"]
        defaults = [
            m["name"] for m in httpx.get(f"{url}/api/models").json()["models"] if m["default"]
        ]
        assert defaults == ["streets-wide"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_nothing_is_left_behind_after_stopping(tmp_path, weights, free_server):
    environment = {"TMPDIR": str(tmp_path), WEIGHTS_VARIABLE: str(weights)}
    with free_server(environment) as (url, process):
        httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.png", b"12345")})
        assert any(path.name == "a.png" for path in tmp_path.rglob("*"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_addresses_are_printed_in_one_line(weights, free_server):
    with free_server({WEIGHTS_VARIABLE: str(weights)}) as (url, process):
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    # Also while the default model is still being opened.
    assert process.returncode == 0
    assert output.count("\n") == 1, output
    for address in (f"{url}/ ", f"{url}/compare/ ", f"{url}/api/docs\n"):
        assert address in output


def test_answers_do_not_wait_for_acknowledgements():
    """Both parts of an answer, head and body, are sent at once."""
    from app.server import _listen

    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
