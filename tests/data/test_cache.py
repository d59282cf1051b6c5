"""The cache gives back what was kept, wherever that is, and never fills the disk."""

import logging
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data import cache as cache_module
from model.data.cache import SampleCache


def sample(number: int, height: int = 20, width: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    return (
        rng.integers(0, 256, (height, width, 3), np.uint8),
        rng.integers(0, 256, (height, width), np.uint8),
    )


def assert_kept(cache: SampleCache, number: int, height: int = 20, width: int = 30) -> None:
    for found, expected in zip(cache.get(number), sample(number, height, width), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=8),
    memory_limit=st.sampled_from([0, 3_000, 2**30]),
)
def test_samples_of_any_size_come_back(sizes, memory_limit):
    cache = SampleCache(memory_limit)
    for number, size in enumerate(sizes):
        cache.keep(number, *sample(number, *size))
    for number, size in enumerate(sizes):
        assert_kept(cache, number, *size)
    assert cache.get(len(sizes)) is None


@pytest.mark.parametrize("memory_limit", [0, 2**30])
def test_a_sample_does_not_follow_the_array_that_it_came_from(memory_limit):
    cache = SampleCache(memory_limit)
    image, labels = sample(1)
    cache.keep(1, image, labels)
    image[:] = 0
    assert_kept(cache, 1)


def test_changing_a_sample_from_the_file_does_not_change_the_file():
    cache = SampleCache(0)
    cache.keep(1, *sample(1))
    image, _ = cache.get(1)
    image[:] = 0
    assert_kept(cache, 1)


def test_the_file_has_no_name_that_could_be_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module.tempfile, "gettempdir", lambda: str(tmp_path))
    cache = SampleCache(0)
    cache.keep(1, *sample(1))
    assert_kept(cache, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_once_and_the_rest_not_kept(monkeypatch, caplog):
    free = shutil.disk_usage("/")._replace(free=cache_module.DISK_RESERVE)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: free)
    cache = SampleCache(5_000)  # room for two
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            given_back = cache.keep(number, *sample(number))
            np.testing.assert_array_equal(given_back[0], sample(number)[0])
    assert [cache.get(number) is not None for number in range(5)] == [True] * 2 + [False] * 3
    assert len(caplog.records) == 1
    assert "set TMPDIR to another folder" in caplog.text


def test_a_pickled_cache_arrives_empty_with_its_limit():
    cache = SampleCache(123)
    cache.keep(1, *sample(1))
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.get(1) is None
    assert copy.memory_limit == 123


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
def test_a_forked_process_reads_and_never_writes_the_file():
    cache = SampleCache(0)
    cache.keep(1, *sample(1))

    def read_and_keep(results) -> None:
        same = bool((cache.get(1)[0] == sample(1)[0]).all())
        cache.keep(2, *sample(2))
        results.put((same, cache.get(2) is None))

    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=read_and_keep, args=(results,))
    process.start()
    assert results.get(timeout=60) == (True, True)
    process.join()
    cache.keep(3, *sample(3))
    assert_kept(cache, 1)
    assert_kept(cache, 3)
