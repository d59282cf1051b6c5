"""Who converts a network: a process of its own, where PyTorch is not there already."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from model.errors import CheckpointError
from model.inference.engines import conversion
from model.inference.engines.openvino import OpenVinoEngine
from model.inference.engines.pytorch import TorchEngine
from model.user_cache import CACHE_VARIABLE


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("conversion") / "tiny")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def without_torch(monkeypatch):
    """As in a process that has not imported PyTorch."""
    modules = {name: module for name, module in sys.modules.items() if name != "torch"}
    system = SimpleNamespace(executable=sys.executable, modules=modules)
    monkeypatch.setattr(conversion, "sys", system)


def logits_agree(checkpoint) -> bool:
    batch = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    ours, reference = OpenVinoEngine(checkpoint), TorchEngine(checkpoint)
    return np.abs(ours.logits(batch) - reference.logits(batch)).max() < 1e-3


def test_another_process_converts(checkpoint, without_torch, monkeypatch):
    monkeypatch.setattr(conversion, "converted", lambda _: pytest.fail("converted here"))
    assert logits_agree(checkpoint)


def test_where_none_can_be_started_this_one_converts(checkpoint, without_torch, monkeypatch):
    def fail(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "run", fail)
    assert logits_agree(checkpoint)


def test_what_the_other_could_not_read_is_said_here(make_checkpoint, tmp_path, without_torch):
    checkpoint = make_checkpoint(tmp_path / "broken")
    content = checkpoint.weights_path.read_bytes()
    checkpoint.weights_path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="broken"):
        OpenVinoEngine(checkpoint)


def test_where_torch_is_there_already_nothing_is_started(checkpoint, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("started a process"))
    assert logits_agree(checkpoint)
