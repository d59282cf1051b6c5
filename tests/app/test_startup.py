"""A mask is served without the libraries that only training needs."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
from PIL import Image

from app.models import ENGINE_VARIABLE
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data.masks import read_index
from model.data.streets import draw
from model.user_cache import CACHE_VARIABLE

REPOSITORY = Path(__file__).resolve().parents[2]

NEVER = ("lightning", "optuna", "ray")
NOT_FOR_A_MASK = (
    "torch",
    "torchvision",
    "torchmetrics",
    "segmentation_models_pytorch",
    "timm",
    "nncf",
    "sklearn",
    "onnxruntime",
)

# Prints what was imported when the server has been told to stop.
PROGRAM = """
import atexit, sys
atexit.register(lambda: print("IMPORTED", *sorted({name.split(".")[0] for name in sys.modules})))
from app.server import serve
serve("127.0.0.1", int(sys.argv[1]))
"""


def imported_while_serving(weights: Path, engine: str) -> set[str]:
    """Packages that the server has imported once it has shown its page and served a mask."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port)],
        cwd=REPOSITORY,
        env=os.environ | {WEIGHTS_VARIABLE: str(weights), ENGINE_VARIABLE: engine},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        # Connections are accepted at once, and answered when the server is up.
        assert process.stdout.readline().startswith("U-Net Studio")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert client.get("/api/health").json()["version"]
            assert "gradio" in client.get("/").text
            picture = io.BytesIO()
            Image.fromarray(draw(1, (80, 60))[0]).save(picture, "PNG")
            form = {"files": {"file": picture.getvalue()}, "data": {"model": "streets-wide"}}
            answer = client.post("/api/predict", **form)
            assert answer.status_code == 200, answer.text
            assert read_index(io.BytesIO(answer.content)).shape == (60, 80)
        process.terminate()
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    (line,) = [line for line in output.splitlines() if line.startswith("IMPORTED")]
    return set(line.split())


def test_a_mask_needs_no_torch_in_the_server_not_even_the_first(weights, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    imported = imported_while_serving(weights, "openvino")
    assert list(tmp_path.glob("f32-*/network.xml"))
    assert {"openvino", "gradio", "streamlit"} <= imported
    assert not imported & {*NEVER, *NOT_FOR_A_MASK}


def test_the_environment_can_name_the_engine(weights):
    imported = imported_while_serving(weights, "torch")
    assert "torch" in imported
    assert not imported & {*NEVER, "openvino"}
