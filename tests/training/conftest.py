"""Runs as small as they can be: sixteen small drawn scenes and a network of few weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from model.data import datasets, split_file, streets
from model.data.datasets.driving import Streets
from model.training.config import TrainConfig

_drawn = functools.lru_cache(512)(streets.draw)


@pytest.fixture(scope="module", autouse=True)
def drawn_once():
    """Scenes are drawn once and copied after, which takes a thousandth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streets, "draw", lambda *which: tuple(part.copy() for part in _drawn(*which)))
        yield


class FewStreets(Streets):
    """Eight training, four validation and four test scenes of 64 x 48 pixels."""

    longest_side = 64

    def __init__(self) -> None:
        names = [f"{seed:06d}" for seed in range(16)]
        self._split = {"train": names[:8], "validation": names[8:12], "test": names[12:]}

    def image(self, name: str):
        return self.pair(name)[0]

    def labels(self, name: str):
        return self.pair(name)[1]

    def pair(self, name: str):
        return streets.draw(int(name), (64, 48))


@pytest.fixture
def few_streets() -> FewStreets:
    """A data set that is read in a moment."""
    return FewStreets()


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., TrainConfig]:
    """A function that gives the settings of a run that takes a second, some of them changed."""

    def settings(**changes) -> TrainConfig:
        plain = {
            "output": tmp_path / "run", "crop": 32, "batch_size": 4, "epochs": 3,
            "samples_every": 0, "precision": "f32", "device": "cpu",
        }  # fmt: skip
        if "network" not in changes:
            plain |= {"base_width": 4, "depth": 2}
        return TrainConfig(**plain | changes)

    return settings


@pytest.fixture(scope="session")
def few_arguments(tmp_path_factory) -> tuple[str, ...]:
    """A training on a part of the drawn streets, as words of the command line: 26 training,
    7 validation and 2 test pictures."""
    names = datasets.load("streets").names("train")
    path = tmp_path_factory.mktemp("split") / "few.json"
    split = {"train": names[:26], "validation": names[26:33], "test": names[33:35]}
    split_file.write(path, split, data="streets", rule="a few of them")
    return (
        *("--data", "streets", "--split-file", str(path), "--base-width", "8", "--depth", "2"),
        *("--longest-side", "64", "--crop", "32", "--device", "cpu", "--samples-every", "0"),
    )
