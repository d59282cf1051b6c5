"""Pulling from `olah`, a server of the Hub's protocol that other people wrote.

It serves git repositories in a folder, large files as git-lfs keeps them, and lives in an
environment of its own, outside of this repository, made at the first run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from huggingface_hub import constants

from model.checkpoints import folder, zoo
from model.checkpoints import hub as hub_module
from model.checkpoints.folder import WEIGHTS_FILE
from model.checkpoints.hub import pull
from model.checkpoints.hub_id import HubId
from model.checkpoints.weights import load_network
from model.errors import StudioError
from model.inference.segmenter import Segmenter
from tests.hub_server import Relay, record_waits, serving
from tests.servers import wait_until_all_answer

pytestmark = pytest.mark.olah

OLAH = "olah==0.5"
OURS, PLAIN = "owner/streets-tiny", "other/plain-smp"
WEIGHTS = rf"^GET /{OURS}/resolve/.*/model\.safetensors"


@pytest.fixture(scope="session")
def olah_python() -> Path:
    """The interpreter of an environment that has olah, kept for the next run."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    environment = cache / "unet-studio-tests" / OLAH.replace("==", "-")
    python, ready = environment / "bin" / "python", environment / ".installed"
    if not ready.exists():
        venv.create(environment, clear=True, with_pip=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", OLAH], capture_output=True, text=True
        )
        if done.returncode:
            shutil.rmtree(environment)
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"needs {OLAH}, which cannot be installed here: {reason}")
        ready.touch()
    return python


@pytest.fixture(scope="module")
def original(make_checkpoint, tmp_path_factory) -> folder.Checkpoint:
    return make_checkpoint(tmp_path_factory.mktemp("trained") / "streets-tiny", base_width=16)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A network as smp itself saves it, and its folder."""
    torch.manual_seed(0)
    network = smp.Unet("mobilenet_v2", encoder_weights=None, classes=3).eval()
    path = tmp_path_factory.mktemp("plain")
    network.save_pretrained(path)
    return network, path


@pytest.fixture(scope="module")
def olah(olah_python, original, plain, tmp_path_factory) -> Iterator[str]:
    """The address of a running olah that serves both checkpoints."""
    root = tmp_path_factory.mktemp("olah")
    make_repository(root / "mirrors" / "models" / OURS, original.path)
    make_repository(root / "mirrors" / "models" / PLAIN, plain[1])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (root / "olah.toml").write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{root / "cache"}"\n'
        f'mirrors-path = ["{root / "mirrors"}"]\n[accessibility]\noffline = true\n'
    )
    start = "from olah.server import cli; cli()"
    arguments = [olah_python, "-c", start, "--config", "olah.toml", "--log-path", "logs"]
    with open(root / "log", "w") as log:
        process = subprocess.Popen(arguments, cwd=root, stdout=log, stderr=log)
    try:
        wait_until_all_answer([f"http://127.0.0.1:{port}/"], process, root / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def make_repository(path: Path, source: Path) -> None:
    """A git repository with the folder's files on the branch `main`, the weights as git-lfs
    keeps them.
    """
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    for file in source.iterdir():
        content = file.read_bytes()
        if file.name == WEIGHTS_FILE:
            digest = hashlib.sha256(content).hexdigest()
            stored = path / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
            stored.parent.mkdir(parents=True)
            stored.write_bytes(content)
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\n"
            content = f"{pointer}size {len(content)}\n".encode()
        (path / file.name).write_bytes(content)
    git(path, "add", ".")
    git(path, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "first")


def git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", path, *arguments], check=True)


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    return record_waits(monkeypatch)


@pytest.fixture
def hub(olah, monkeypatch, tmp_path) -> Iterator[Relay]:
    """What the client talks to: olah, and the faults on the way there."""
    monkeypatch.setattr(hub_module, "_found", {})
    with serving(monkeypatch, tmp_path / "home", Relay(olah)) as relay:
        # It runs git for what it is asked, which takes its time on a loaded machine.
        for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
            monkeypatch.setattr(constants, name, 60)
        yield relay


def test_our_checkpoint_segments_as_the_original(hub, original, picture):
    pulled = pull(HubId(OURS))
    assert pulled.description["hub"]["commit"] == pulled.path.name
    labels = [Segmenter(c, engine="torch").segment(picture).labels for c in (original, pulled)]
    assert np.array_equal(*labels)


def test_a_plain_smp_checkpoint_computes_the_same(hub, plain):
    network, _ = plain
    pulled = pull(HubId(PLAIN))
    assert "numbered" in pulled.description["guessed"]
    batch = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(load_network(pulled)(batch), network(batch), atol=1e-5)


def test_the_command_pulls_from_hf_endpoint(olah, original, command, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", olah)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name, target in ((OURS, tmp_path / "ours"), (PLAIN, tmp_path / "plain")):
        done = command("pull", name, "--output", target)
        assert done.returncode == 0, done.stderr
        assert ("note: its classes have no names" in done.stdout) == (name == PLAIN)
    assert (tmp_path / "ours" / WEIGHTS_FILE).read_bytes() == original.weights_path.read_bytes()


def test_a_connection_dropped_in_mid_file_is_begun_anew(hub, original, waits, monkeypatch):
    """olah answers a request for the rest with the whole."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    for bytes_sent in (10_000, 20_000):
        hub.fail(WEIGHTS, drop_after=bytes_sent)
    assert pull(HubId(OURS)).weights_path.read_bytes() == original.weights_path.read_bytes()
    ranges = [headers.get("range") for headers in hub.seen(WEIGHTS)]
    assert ranges[0] is None
    assert all(ranges[1:])
    assert len(ranges) == 3


def test_retry_after_is_obeyed(hub, waits):
    hub.fail(WEIGHTS, status=429, headers={"Retry-After": "7"})
    pull(HubId(OURS))
    assert max(waits) >= 7


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"pattern": "GET /api/models", "status": 503}, r"has a problem \(status 503\)"),
        ({"pattern": WEIGHTS, "status": 500}, r"has a problem \(status 500\)"),
        ({"pattern": WEIGHTS, "corrupt": True}, "model.safetensors has the wrong hash"),
        ({"pattern": r"HEAD.*/model\.safetensors", "headers": {"ETag": "0" * 64}},
         "model.safetensors has the wrong hash"),
        ({"pattern": r"HEAD.*/config\.json", "headers": {"ETag": "0" * 40}},
         "config.json has the wrong hash"),
    ],
)  # fmt: skip
def test_fault_becomes_a_sentence_and_a_second_pull_works(hub, original, waits, fault, sentence):
    hub.fail(**fault)
    with pytest.raises(StudioError, match=sentence) as caught:
        zoo.find(OURS)
    assert "\n" not in str(caught.value)
    assert zoo.find(OURS).weights_path.read_bytes() == original.weights_path.read_bytes()


def test_a_name_that_it_does_not_serve_becomes_a_sentence(hub):
    with pytest.raises(StudioError, match="has no owner/nobody, or it is private"):
        zoo.find("owner/nobody")
