"""OpenVINO: one conversion per checkpoint, and a cache that never gives other labels."""

import dataclasses
import logging
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model.checkpoints import folder
from model.errors import CheckpointError
from model.inference.engines import cache as network_cache
from model.inference.engines import openvino
from model.inference.engines.openvino import OpenVinoEngine, converted_network
from model.inference.engines.pytorch import TorchEngine
from model.user_cache import CACHE_VARIABLE


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("engines") / "tiny")


@pytest.fixture(scope="module")
def converted(checkpoint):
    """The converted network in the tests' common cache."""
    return converted_network(checkpoint)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    path = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(path))
    return path


def batch(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, height, width)).astype(np.float32)


def test_conversion_happens_once(checkpoint, cache, monkeypatch):
    path = converted_network(checkpoint)
    assert path.is_relative_to(cache)
    monkeypatch.setattr(openvino, "_write", lambda *_, **__: pytest.fail("converted again"))
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


def test_a_copy_of_a_checkpoint_shares_its_conversion(checkpoint, cache, tmp_path):
    copy = folder.read(shutil.copytree(checkpoint.path, tmp_path / "copy"))
    assert converted_network(copy) == converted_network(checkpoint)


def written(path) -> None:
    path.write_text("<net/>")
    path.with_suffix(".bin").touch()


def test_conversions_can_be_read_by_all_who_may_read_the_cache(cache):
    before = os.umask(0o022)
    try:
        path = network_cache.network("shared", written)
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_a_conversion_that_another_process_makes_meanwhile_is_not_damaged(
    cache, monkeypatch, caplog
):
    is_whole = network_cache._is_whole

    def slowly(path) -> bool:
        found = is_whole(path)
        monkeypatch.setattr(network_cache, "_is_whole", is_whole)
        network_cache.network(path.name, written)
        return found

    monkeypatch.setattr(network_cache, "_is_whole", slowly)
    with caplog.at_level(logging.WARNING):
        path = network_cache.network("shared", written)
    assert not caplog.records
    assert is_whole(path.parent)


def test_conversions_that_were_not_used_for_long_go(cache):
    def age(path, days: float) -> None:
        then = time.time() - days * 86400
        os.utime(path, (then, then))

    names = ("used", "unused", "recent")
    used, unused, recent = (network_cache.network(name, written).parent for name in names)
    left, begun, other = (cache / name for name in (".part-left", ".part-begun", "reports"))
    for path in (left, begun, other):
        path.mkdir()
    for path, days in {used: 31, unused: 31, recent: 29, left: 2, begun: 0.1, other: 99}.items():
        age(path, days)
    assert network_cache.network("used", written).exists()
    assert unused.exists()  # until another is written
    new = network_cache.network("new", written).parent
    assert set(cache.iterdir()) == {used, recent, begun, other, new}


def flip_a_bit(path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x40
    path.write_bytes(content)


def cut_in_half(path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "empty network": lambda xml, _: xml.write_bytes(b""),
    "half a network": lambda xml, _: cut_in_half(xml),
    "other network": lambda xml, _: xml.write_text("<net/>"),
    "a bit of the network": lambda xml, _: flip_a_bit(xml, 0.5),
    "no network": lambda xml, _: xml.unlink(),
    "no weights": lambda _, weights: weights.unlink(),
    "half the weights": lambda _, weights: cut_in_half(weights),
    # These open without complaint, and give other labels.
    "a bit of the first weights": lambda _, weights: flip_a_bit(weights, 0.001),
    "a bit of the middle weights": lambda _, weights: flip_a_bit(weights, 0.5),
    "a bit of the last weights": lambda _, weights: flip_a_bit(weights, 0.999),
    "weights of nothing": lambda _, weights: weights.write_bytes(bytes(weights.stat().st_size)),
    "no digests": lambda xml, _: (xml.parent / network_cache.DIGESTS_FILE).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_conversion_is_made_again(checkpoint, converted, cache, caplog, damage):
    shutil.copytree(converted.parent, cache / converted.parent.name)
    path = converted_network(checkpoint)
    assert path.is_relative_to(cache)
    good = path.with_suffix(".bin").read_bytes()
    DAMAGE[damage](path, path.with_suffix(".bin"))
    with caplog.at_level(logging.WARNING):
        opened = OpenVinoEngine(checkpoint)
    assert "made again" in caplog.text
    reference = TorchEngine(checkpoint).logits(batch(64, 64))
    assert np.abs(opened.logits(batch(64, 64)) - reference).max() < 1e-3
    assert path.with_suffix(".bin").read_bytes() == good


def test_a_network_that_openvino_cannot_read_is_made_again(checkpoint, cache, caplog):
    path = converted_network(checkpoint)
    path.write_text("<net/>")
    digests = network_cache._digests(path.parent)
    (path.parent / network_cache.DIGESTS_FILE).write_text(digests)  # whole, but of no use
    with caplog.at_level(logging.WARNING):
        opened = OpenVinoEngine(checkpoint)
    assert "cannot be read" in caplog.text
    assert opened.logits(batch(32, 32)).shape == (1, 3, 32, 32)


def test_without_a_place_for_the_cache_it_still_works(checkpoint, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        opened = OpenVinoEngine(checkpoint)
    assert opened.logits(batch(32, 32)).shape == (1, 3, 32, 32)
    assert "cannot be kept" in caplog.text


def test_a_failed_conversion_leaves_nothing_behind(checkpoint, cache, monkeypatch):
    def fail(*_, **__):
        raise CheckpointError("no")

    monkeypatch.setattr(openvino, "_write", fail)
    with pytest.raises(CheckpointError, match="no"):
        OpenVinoEngine(checkpoint)
    assert list(cache.iterdir()) == []


def test_different_networks_can_be_converted_at_the_same_time(make_checkpoint, cache, tmp_path):
    checkpoints = [make_checkpoint(tmp_path / f"tiny-{seed}", seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(len(checkpoints)) as threads:
        opened = list(threads.map(OpenVinoEngine, checkpoints))
    for engine, checkpoint in zip(opened, checkpoints, strict=True):
        reference = TorchEngine(checkpoint).logits(batch(32, 32))
        assert np.abs(engine.logits(batch(32, 32)) - reference).max() < 1e-3


def test_damaged_weights_are_refused(checkpoint, cache, tmp_path):
    broken = shutil.copytree(checkpoint.path, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        OpenVinoEngine(dataclasses.replace(checkpoint, path=broken))
    assert not cache.exists() or list(cache.iterdir()) == []


def test_memory_grows_with_the_network_and_with_the_largest_picture(make_checkpoint, tmp_path):
    narrow = OpenVinoEngine(make_checkpoint(tmp_path / "narrow", base_width=4))
    wide = OpenVinoEngine(make_checkpoint(tmp_path / "wide", base_width=16))
    assert narrow.memory_bytes < wide.memory_bytes
    before = narrow.memory_bytes
    narrow.logits(batch(256, 256))
    grown = narrow.memory_bytes
    assert grown >= before + 256 * 256 * 4 * 3  # its logits alone
    narrow.logits(batch(32, 32))
    assert narrow.memory_bytes == grown


SHAPES = """
import sys
import numpy as np
from model.checkpoints import folder
from model.inference.engines.openvino import OpenVinoEngine

def executable() -> int:
    "Bytes of code that no file holds: kernels."
    regions = [line.split() for line in open("/proc/self/maps")]
    spans = [r[0].split("-") for r in regions if "x" in r[1] and len(r) < 6]
    return sum(int(end, 16) - int(start, 16) for start, end in spans)

engine = OpenVinoEngine(folder.read(sys.argv[1]))
shapes = [(32 * h, 32 * w) for h in range(1, 10) for w in range(1, 11)]
sizes = []
for shape in shapes:
    engine.logits(np.zeros((1, 3, *shape), np.float32))
    sizes.append(executable())
print(sizes[29] - sizes[9], sizes[89] - sizes[69])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
def test_kernels_for_shapes_of_long_ago_are_not_kept(checkpoint, converted):
    """Some kinds, of which a shape needs few, are kept for more than these 90 shapes."""
    words = [sys.executable, "-c", SHAPES, str(checkpoint.path)]
    # Its own cache of kernels, which all engines share, has a limit already.
    environment = {**os.environ, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    first, last = map(int, done.stdout.split())
    assert last < 0.75 * first


SIGNALLED = """
import os, signal, sys
from model.checkpoints import folder
from model.inference.engines.openvino import OpenVinoEngine

seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append("handled"))
first, second = (OpenVinoEngine(folder.read(sys.argv[1]), p) for p in ("f32", "bf16"))
del first
del second
os.kill(os.getpid(), signal.SIGUSR1)
print(*seen)
"""


def test_a_process_that_has_dropped_engines_survives_signals(checkpoint, converted):
    """Each runtime of OpenVINO's own replaced the stack that signals are handled on."""
    words = [sys.executable, "-c", SIGNALLED, str(checkpoint.path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["handled"]
