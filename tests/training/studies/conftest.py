"""A small part of the drawn streets, on which a training takes a second."""

from pathlib import Path

import pytest

from model.data import datasets, split_file


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> dict:
    """Settings of a tiny training on sixteen pictures, four of which are for testing."""
    data = datasets.load("streets")
    names = data.names("train")
    path: Path = tmp_path_factory.mktemp("split") / "small.json"
    split = {"train": names[:9], "validation": names[9:12], "test": names[12:16]}
    split_file.write(path, split, data="streets", rule="a few of them")
    return {
        **{"data": "streets", "split": path, "network": "unet", "base_width": 8, "depth": 2},
        **{"longest_side": 64, "crop": 32, "batch_size": 3, "epochs": 2, "device": "cpu"},
        **{"samples_every": 0, "skip_check": True},
    }
