"""Opened segmenters are shared, and the least recently used ones go."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model.checkpoints import folder, zoo
from model.errors import CheckpointError, UnknownModelError
from model.inference.pool import SegmenterPool
from tests.inference.logits import logits_of


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def bundled(make_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundled")
    for seed, name in enumerate("abc"):
        make_checkpoint(path / name, seed=seed)
    return path


@pytest.fixture
def weights(bundled, tmp_path, monkeypatch):
    """A folder of bundled checkpoints: a, b and c."""
    shutil.copytree(bundled, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(tmp_path))
    return tmp_path


def test_the_pool_shares_what_is_open(weights):
    pool = SegmenterPool(engine="torch")
    assert pool.get("a") is pool.get("a")
    assert pool.get(str(weights / "a")) is pool.get("a")
    assert pool.get("a") is not pool.get("b")


def test_the_pool_opens_once_for_many_threads(weights):
    pool = SegmenterPool(engine="torch")
    with ThreadPoolExecutor(4) as threads:
        opened = set(threads.map(pool.get, ["a"] * 8))
    assert len(opened) == 1


def test_the_pool_closes_the_least_recently_used_when_memory_is_short(weights):
    size = SegmenterPool(engine="torch").get("a").memory_bytes
    pool = SegmenterPool(int(2.5 * size), engine="torch")
    first = pool.get("a")
    pool.get("b")
    pool.get("a")
    pool.get("c")
    assert pool.open_models() == ["a", "c"]
    assert pool.get("a") is first
    pool.get("b")
    assert pool.open_models() == ["a", "b"]


def test_the_last_one_stays_whatever_it_needs(weights):
    pool = SegmenterPool(1, engine="torch")
    first = pool.get("a")
    assert pool.get("a") is first
    pool.get("b")
    assert pool.open_models() == ["b"]


def test_precisions_of_a_model_are_different_segmenters(weights):
    pool = SegmenterPool()
    exact = pool.get("a", precision="f32")
    assert exact.precision == "f32"
    assert pool.get("a", precision="f32") is exact
    assert pool.get("a") is not exact


def test_the_pool_notices_replaced_weights(weights):
    pool = SegmenterPool(engine="torch")
    before = logits_of(pool.get("a"), noise(20, 20))
    shutil.copy(weights / "b" / folder.WEIGHTS_FILE, weights / "a" / folder.WEIGHTS_FILE)
    os.utime(weights / "a" / folder.WEIGHTS_FILE, ns=(1, 1))
    after = logits_of(pool.get("a"), noise(20, 20))
    assert np.abs(after - before).max() > 0.01
    assert np.array_equal(after, logits_of(pool.get("b"), noise(20, 20)))


@pytest.mark.parametrize("name", [folder.INT8_FILE, folder.METRICS_FILE, folder.DESCRIPTION_FILE])
def test_the_pool_notices_whatever_decides_the_answer(weights, name):
    pool = SegmenterPool(engine="torch")
    before = pool.get("a")
    path = weights / "a" / name
    path.write_text(path.read_text() + " " if path.exists() else "{}")
    assert pool.get("a") is not before
    assert pool.get("a") is pool.get("a")


def test_the_pool_notices_a_replaced_member_of_an_ensemble(weights):
    shutil.copytree(weights / "b", weights / "a" / "fold-1")
    description = json.loads((weights / "a" / folder.DESCRIPTION_FILE).read_text())
    text = json.dumps(description | {"members": ["fold-1"]})
    (weights / "a" / folder.DESCRIPTION_FILE).write_text(text)
    pool = SegmenterPool(engine="torch")
    before = pool.get("a")
    assert len(before.members) == 2
    assert pool.get("a") is before
    shutil.copy(weights / "c" / folder.WEIGHTS_FILE, weights / "a" / "fold-1")
    assert pool.get("a") is not before


def test_the_pool_refuses_what_cannot_be_opened_and_goes_on(weights):
    (weights / "b" / folder.WEIGHTS_FILE).write_bytes(b"nothing")
    pool = SegmenterPool(engine="torch")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        pool.get("b")
    with pytest.raises(UnknownModelError):
        pool.get("d")
    pool.get("a")
    assert pool.open_models() == ["a"]
