"""The real app as a subprocess on a free port, with small checkpoints made on the fly.

`server` answers over HTTP; `page` is a page in headless Chromium that fails its test if it
asks any other host for anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import torch

from model import writing
from model.checkpoints import folder
from model.checkpoints.weights import save_network
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data import datasets, splits
from model.data.datasets import DATA_SETS
from model.data.preprocessing import Preprocessing
from model.data.streets import draw
from model.evaluation.evaluate import evaluate
from model.inference.segmenter import Segmenter
from model.networks.registry import architecture, construct, parameter_count
from model.user_cache import CACHE_VARIABLE

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
EPOCHS = 3
STREETS_SPLIT = splits.digest(datasets.load("streets").split)


@dataclass(frozen=True)
class Server:
    """The running app: its address, and the folder that it has for temporary files."""

    url: str
    temporary: Path


def make_checkpoint(path: Path, *, data: str, seed: int, base_width: int = 4) -> Path:
    """A checkpoint folder as training leaves it, with a network of random features.

    Only the head is fitted, by least squares on drawn scenes: that takes milliseconds and
    gives several classes per picture. `data` names the set whose classes it pretends to know.
    """
    classes = DATA_SETS[data].classes
    preprocessing = Preprocessing(longest_side=160)
    plan = architecture("unet", len(classes), base_width=base_width, depth=2)
    torch.manual_seed(seed)
    network = construct(plan).eval()
    _fit_head(network, preprocessing, len(classes))
    path.mkdir(parents=True)
    save_network(network, path / folder.WEIGHTS_FILE)
    writing.write_json(path / folder.CONFIG_FILE, plan.to_json())
    kind = DATA_SETS[data]
    description = {
        "schema_version": folder.SCHEMA_VERSION,
        "classes": classes.to_json(),
        "preprocessing": preprocessing.to_json(),
        "network": {"name": plan.name, "parameters": parameter_count(network)},
        "encoder": {"name": None, "pretrained": False, "origin": "none"},
        "data": {
            "name": kind.name,
            "title": kind.title,
            "digest": "0" * 16,
            "licence": kind.licence,
            "source": kind.source,
            "split_rule": kind.split_rule,
            "split_digest": STREETS_SPLIT if data == "streets" else "0" * 16,
            "split_sizes": {"train": 4, "validation": 2, "test": 2},
        },
        "training": {"epochs": EPOCHS, "epochs_done": EPOCHS, "best_epoch": EPOCHS, "seconds": 3.0},
        "versions": {},
    }
    writing.write_json(path / folder.DESCRIPTION_FILE, description)
    _write_figures(path, data, seed)
    return path


def _fit_head(network: torch.nn.Module, preprocessing: Preprocessing, num_classes: int) -> None:
    features: list[torch.Tensor] = []
    hook = network.head.register_forward_pre_hook(lambda _, inputs: features.append(inputs[0]))
    labels = []
    with torch.inference_mode():
        for scene in range(4):
            image, truth = draw(scene, (160, 120))
            batch = torch.from_numpy(preprocessing.network_input(image))
            network(batch)
            height, width = truth.shape
            features[-1] = features[-1][0, :, :height, :width].flatten(1).T  # (H * W, C)
            labels.append(torch.from_numpy(truth.astype(np.int64).ravel() % num_classes))
    hook.remove()
    inputs = torch.cat(features)
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
    targets = torch.nn.functional.one_hot(torch.cat(labels), num_classes).float()
    # Classes count alike, however rare: else the commonest one wins nearly everywhere.
    weights = (1 / targets.sum(0).clamp(min=1)).sqrt()[torch.cat(labels)][:, None]
    solution = torch.linalg.lstsq(weights * inputs, weights * 4 * targets).solution
    with torch.no_grad():
        network.head.weight.copy_(solution[:-1].T[..., None, None])
        network.head.bias.copy_(solution[-1])


def _write_figures(path: Path, data: str, seed: int) -> None:
    columns = ("loss", "dice", "iou", "accuracy")
    lines = ["epoch,lr," + ",".join(f"train_{c},val_{c}" for c in columns) + ",seconds"]
    for epoch in range(1, EPOCHS + 1):
        loss, score = 1 / (epoch + seed), 1 - 1 / (epoch + 1 + seed)
        values = [epoch, 0.001, loss, 1.1 * loss, *[score, 0.9 * score] * 3, 1.0]
        lines.append(",".join(f"{value:.6g}" for value in values))
    writing.write_text(path / folder.HISTORY_FILE, "\n".join(lines) + "\n")
    if data != "streets":
        return  # a checkpoint without figures is a real case
    result = evaluate(
        Segmenter(path, engine="torch"), datasets.load("streets"), ["000480", "000481"]
    )
    figures = {"f32": result.to_json()}
    rounded = {**figures["f32"], "precision": "bf16"}
    rounded["mean_iou"] -= 0.0004
    splits = {"validation": figures | {"bf16": rounded}, "test": figures}
    metrics = {"data": data, "splits": splits}
    writing.write_json(path / folder.METRICS_FILE, metrics)
    rows = [",".join(str(value) for value in row.values()) for row in result.per_image]
    header = ",".join(result.per_image[0])
    writing.write_text(path / folder.PER_IMAGE_FILE, "\n".join([header, *rows]) + "\n")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A `weights/` folder: two `streets` models with figures, one `pets` without, one damaged, and
    one whose figures are reported without its weights."""
    root = tmp_path_factory.mktemp("weights")
    make_checkpoint(root / "streets-scratch", data="streets", seed=0)
    make_checkpoint(root / "streets-wide", data="streets", seed=1, base_width=6)
    make_checkpoint(root / "pets-scratch", data="pets", seed=2)
    shutil.copytree(root / "pets-scratch", root / "broken")
    (root / "broken" / folder.CONFIG_FILE).unlink()
    shutil.copytree(root / "streets-wide", root / "reported" / "streets-large")
    (root / "reported" / "streets-large" / folder.WEIGHTS_FILE).unlink()
    (root / "studies").mkdir()
    for name in ("streets-scratch", "streets-wide", "pets-scratch"):
        Segmenter(root / name)  # is converted here, where torch is imported already
    return root


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where converted networks go, for the tests and for the server that they start."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(path))
        yield path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def start(environment: dict[str, str], *arguments: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Starts the app as users do, but from another working directory; stops it at the end.

    Yields: its address once it answers, and the process with stdout and stderr in one pipe.
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "app.py"), "--port", str(port), *arguments],
        cwd=tempfile.gettempdir(),
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _wait_for(url: str, process: subprocess.Popen, *, ready: bool = False) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, f"The app stopped:\n{process.stdout.read()}"
        try:
            if httpx.get(f"{url}/api/health", timeout=5).json()["ready"] or not ready:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("The app was not ready in time")


@pytest.fixture(scope="session")
def free_server():
    """`start`, for tests that want a server of their own."""
    return start


@pytest.fixture(scope="session")
def server(
    weights: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The app with the made-up models; it must end cleanly and without a traceback."""
    temporary = tmp_path_factory.mktemp("temporary")
    environment = {WEIGHTS_VARIABLE: str(weights), "TMPDIR": str(temporary)}
    with start(environment) as (url, process):
        _wait_for(url, process, ready=True)
        yield Server(url, temporary)
        process.send_signal(signal.SIGTERM)
        log, _ = process.communicate(timeout=20)
        assert process.returncode == 0, f"The app did not stop cleanly:\n{log}"
        # Gradio logs one where it refuses a forged path, which one test sends.
        refused = log.count("\ngradio.exceptions.InvalidPathError")
        assert log.count("Traceback (most recent call last)") == refused, log


@pytest.fixture(scope="session")
def driver():
    """Playwright; there can be but one in a process."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(driver):
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(executable).exists():
        pytest.skip(f"needs Chromium at {executable}, or its path in CHROMIUM")
    browser = driver.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def page(browser, server: Server):
    """A fresh page, 1440x900; the test fails if it asks another host for anything."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, base_url=server.url, accept_downloads=True
    )
    page = context.new_page()
    # A network that no other test opened yet is converted first: half a minute on a busy machine.
    page.set_default_timeout(120_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    here = urlsplit(server.url).netloc
    foreign = [url for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")]
    foreign = [url for url in foreign if urlsplit(url).netloc != here]
    assert not foreign, f"The page asked other hosts: {foreign}"
