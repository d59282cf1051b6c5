"""Engines: OpenVINO computes what PyTorch computes, and its cache mends itself."""

import logging
import shutil

import numpy as np
import pytest

from model.errors import CheckpointError, ConfigError
from model.inference import engines
from model.inference.engines import OpenVinoEngine, TorchEngine, converted_network, make_engine


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("engines") / "tiny")


@pytest.fixture(scope="module")
def converted(checkpoint):
    """The converted network in the tests' common cache."""
    return converted_network(checkpoint)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv(engines.CACHE_VARIABLE, str(folder))
    return folder


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


@pytest.mark.parametrize(
    ("machine", "name"), [("x86_64", "openvino"), ("AMD64", "openvino"), ("arm64", "torch")]
)
def test_auto_takes_openvino_on_x86_only(checkpoint, monkeypatch, machine, name):
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert make_engine(checkpoint).name == name


def test_an_unknown_engine_lists_those_there_are(checkpoint):
    with pytest.raises(ConfigError, match=r"no engine 'tpu'.*openvino.*torch"):
        make_engine(checkpoint, "tpu")


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_damaged_weights_are_refused_by_each_engine(checkpoint, cache, tmp_path, engine):
    broken = shutil.copytree(checkpoint.path, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    damaged = type(checkpoint)(**{**vars(checkpoint), "path": broken})
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        make_engine(damaged, engine)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_conversion_happens_once(checkpoint, cache, monkeypatch):
    path = converted_network(checkpoint)
    assert path.is_relative_to(cache)
    monkeypatch.setattr(engines, "_convert", lambda *_: pytest.fail("converted again"))
    assert converted_network(checkpoint) == path
    OpenVinoEngine(checkpoint)
    assert [entry.name for entry in cache.iterdir()] == [path.parent.name]


def test_other_weights_of_the_same_name_have_their_own_conversion(
    make_checkpoint, checkpoint, cache, tmp_path
):
    other = make_checkpoint(tmp_path / checkpoint.name, seed=1)
    assert converted_network(other) != converted_network(checkpoint)
    ours, theirs = OpenVinoEngine(checkpoint), OpenVinoEngine(other)
    assert np.abs(ours.logits(batch(32, 32)) - theirs.logits(batch(32, 32))).max() > 0.01


DAMAGE = {
    "empty network": lambda xml, _: xml.write_bytes(b""),
    "half a network": lambda xml, _: xml.write_bytes(xml.read_bytes()[: xml.stat().st_size // 2]),
    "other network": lambda xml, _: xml.write_text("<net/>"),
    "no network": lambda xml, _: xml.unlink(),
    "no weights": lambda _, weights: weights.unlink(),
    "half the weights": lambda _, weights: weights.write_bytes(
        weights.read_bytes()[: weights.stat().st_size // 2]
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_conversion_is_made_again(checkpoint, converted, cache, damage):
    shutil.copytree(converted.parent, cache / converted.parent.name)
    path = converted_network(checkpoint)
    assert path.is_relative_to(cache)
    good = path.with_suffix(".bin").read_bytes()
    DAMAGE[damage](path, path.with_suffix(".bin"))
    opened = OpenVinoEngine(checkpoint)
    reference = TorchEngine(checkpoint).logits(batch(64, 64))
    assert np.abs(opened.logits(batch(64, 64)) - reference).max() < 1e-3
    assert path.with_suffix(".bin").read_bytes() == good
    assert path.stat().st_size > 1000


def test_without_a_place_for_the_cache_it_still_works(checkpoint, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(engines.CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        opened = OpenVinoEngine(checkpoint)
    assert opened.logits(batch(32, 32)).shape == (1, 3, 32, 32)
    assert "cannot be kept" in caplog.text


def test_a_failed_conversion_leaves_nothing_behind(checkpoint, cache, monkeypatch):
    def fail(*_):
        raise CheckpointError("no")

    monkeypatch.setattr(engines, "_convert", fail)
    with pytest.raises(CheckpointError, match="no"):
        OpenVinoEngine(checkpoint)
    assert list(cache.iterdir()) == []
