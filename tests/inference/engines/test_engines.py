"""Engines compute what PyTorch computes, in the precision that they name."""

import dataclasses
import shutil

import numpy as np
import pytest

from model import processor
from model.errors import CheckpointError, ConfigError
from model.inference.engines import make_engine
from model.inference.engines import precision as precisions
from model.inference.engines.openvino import OpenVinoEngine
from model.inference.engines.pytorch import TorchEngine


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("engines") / "tiny")


@pytest.fixture
def native(monkeypatch):
    """A function that makes this processor have the precisions that are given."""

    def set_native(*names: str) -> None:
        monkeypatch.setattr(precisions, "native", lambda: frozenset(names))

    return set_native


def batch(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("network", ["unet", "unet-mobilenet_v2"])
def test_openvino_and_torch_compute_the_same_logits(make_checkpoint, tmp_path, network):
    checkpoint = make_checkpoint(tmp_path / "tiny", network)
    fast, exact = OpenVinoEngine(checkpoint), TorchEngine(checkpoint)
    for size in ((32, 32), (64, 96), (128, 32)):
        ours, reference = fast.logits(batch(*size)), exact.logits(batch(*size))
        assert ours.shape == reference.shape == (1, 3, *size)
        assert ours.dtype == reference.dtype == np.float32
        assert reference.std() > 0.1
        assert np.abs(ours - reference).max() < 1e-3
        assert (ours.argmax(1) == reference.argmax(1)).mean() > 0.999


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_results_are_not_overwritten_by_the_next_call(checkpoint, engine):
    opened = make_engine(checkpoint, engine)
    first = opened.logits(batch(32, 32))
    kept = first.copy()
    opened.logits(batch(32, 32, seed=1))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_engines_say_what_they_are(checkpoint, engine):
    opened = make_engine(checkpoint, engine)
    assert (opened.name, opened.precision) == (engine, "f32")
    assert opened.memory_bytes > checkpoint.weights_path.stat().st_size


@pytest.mark.parametrize(
    ("machine", "name"), [("x86_64", "openvino"), ("AMD64", "openvino"), ("arm64", "torch")]
)
def test_auto_takes_openvino_on_x86_only(checkpoint, monkeypatch, machine, name):
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert make_engine(checkpoint).name == name


def test_unknown_engines_and_precisions_list_those_there_are(checkpoint):
    with pytest.raises(ConfigError, match=r"no engine 'tpu'.*openvino.*torch"):
        make_engine(checkpoint, "tpu")
    with pytest.raises(ConfigError, match=r"no precision 'fp4'.*f32.*bf16.*int8"):
        make_engine(checkpoint, precision="fp4")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_what_the_processor_lacks_is_refused(checkpoint, native, precision):
    native("f32")
    with pytest.raises(ConfigError, match=f"no instructions for {precision}; it has f32"):
        make_engine(checkpoint, "openvino", precision)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_pytorch_computes_in_float32_only(checkpoint, precision):
    with pytest.raises(ConfigError, match="engine openvino"):
        make_engine(checkpoint, "torch", precision)


def test_damaged_weights_are_refused_by_pytorch(checkpoint, tmp_path):
    broken = shutil.copytree(checkpoint.path, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        make_engine(dataclasses.replace(checkpoint, path=broken), "torch")


@pytest.mark.skipif("bf16" not in precisions.native(), reason="this processor has no bf16")
def test_bf16_is_near_float32_and_not_the_same(checkpoint):
    rounded = make_engine(checkpoint, "openvino", "bf16")
    assert rounded.precision == "bf16"
    exact = make_engine(checkpoint, "openvino", "f32").logits(batch(64, 64))
    error = np.abs(rounded.logits(batch(64, 64)) - exact)
    # 8 bits of mantissa; float32's own rounding stays below 1e-4.
    assert 1e-4 < error.mean() < 0.05 * exact.std()


@pytest.mark.parametrize(
    ("flags", "has"),
    [("fpu avx512f avx512_vnni", True), ("fpu avx_vnni", True), ("fpu avx512f avx2", False)],
)
def test_int8_is_native_with_vnni_only(monkeypatch, tmp_path, flags, has):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: {flags} xsave\n")
    monkeypatch.setattr(processor, "CPU_INFO", path)
    assert ("int8" in precisions.native.__wrapped__()) == has


def test_without_the_kernels_word_int8_counts_as_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "none")
    assert "int8" not in precisions.native.__wrapped__()
    assert "f32" in precisions.native.__wrapped__()
