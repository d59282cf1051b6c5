"""Looks at a picture: mirrored, magnified, by several checkpoints, and their mean."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from model import writing
from model.checkpoints import folder
from model.data.preprocessing import Preprocessing
from model.errors import CheckpointError, ConfigError
from model.inference.augment import Look, softmax
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter
from tests.inference.logits import logits_of

OWN = Preprocessing(size_policy="pad")
WHOLE = slice(0, 40), slice(0, 50)


def image(height: int = 40, width: int = 50) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def skewed(batch: np.ndarray) -> np.ndarray:
    """Logits that depend on the pixel's colour and on its place."""
    y, x = np.indices(batch.shape[2:], np.float32) / 20
    return np.stack([batch[0, 0] + x, batch[0, 1] - y, batch[0, 2] * x * y])[None]


@pytest.mark.parametrize(
    ("flips", "axes"),
    [
        ("horizontal", [(), (1,)]),
        ("vertical", [(), (0,)]),
        ("both", [(), (1,), (0,), (0, 1)]),
    ],
)
def test_mirrored_looks_are_mirrored_back_and_averaged(flips, axes):
    picture = image()
    look = Look([skewed], OWN, picture, picture, SegmentOptions(flips=flips))
    expected = []
    for turned in axes:
        logits = skewed(OWN.network_input(np.flip(picture, turned)))[0, :, :40, :50]
        expected.append(np.flip(softmax(logits), [axis + 1 for axis in turned]))
    assert look.count == len(axes)
    assert np.abs(softmax(look.logits(*WHOLE)) - np.mean(expected, axis=0)).max() < 1e-6
    assert np.abs(expected[0] - expected[1]).max() > 0.1


def test_looks_at_both_mirror_images_make_a_symmetric_network():
    picture = image()
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    for flips, symmetric in (("horizontal", True), ("vertical", False)):
        options = SegmentOptions(flips=flips)
        one = Look([skewed], OWN, picture, picture, options).logits(*WHOLE)
        other = Look([skewed], OWN, mirrored, mirrored, options).logits(*WHOLE)
        assert np.allclose(one, other[:, :, ::-1], atol=1e-4) == symmetric


def test_a_single_look_is_the_networks_own():
    picture = image()
    expected = skewed(OWN.network_input(picture))[0, :, :40, :50]
    look = Look([skewed], OWN, picture, picture, SegmentOptions())
    assert np.array_equal(look.logits(*WHOLE), expected)


def test_a_magnified_look_sees_what_scaling_had_lost():
    """It is the picture itself made as large, not the reduced one made larger again."""
    picture = image(160, 200)
    fitted = Preprocessing(longest_side=50).fit_image(picture)
    seen = []

    def network(batch: np.ndarray) -> np.ndarray:
        seen.append(batch)
        return batch

    look = Look([network], OWN, picture, fitted, SegmentOptions(zooms=(2.0, 0.5)))
    logits = look.logits(*WHOLE)
    assert logits.shape == (3, 40, 50)
    for batch, side in zip(seen, (50, 100, 25), strict=True):
        assert np.array_equal(batch, Preprocessing(longest_side=side).network_input(picture))


@pytest.mark.parametrize("zoom", [0.5, 1.7, 2.0])
def test_windows_of_a_magnified_picture_fit_together(zoom):
    """Every window looks at its own part of the picture, half a pixel off at the most."""
    y, x = np.indices((160, 200))
    picture = np.stack([y, x, (x + y) // 2], axis=2).astype(np.uint8)
    fitted = Preprocessing(longest_side=100).fit_image(picture)

    def network(batch: np.ndarray) -> np.ndarray:
        return batch

    look = Look([network], OWN, picture, fitted, SegmentOptions(zooms=(zoom,)))
    alone = Look([network], OWN, picture, fitted, SegmentOptions())
    for rows, columns in itertools.product(
        (slice(0, 40), slice(32, 72), slice(60, 80)), (slice(0, 64), slice(50, 100))
    ):
        probabilities = softmax(look.logits(rows, columns))
        assert np.abs(probabilities - softmax(alone.logits(rows, columns))).max() < 0.02


@pytest.fixture(scope="module")
def folds(make_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("folds")
    checkpoints = [make_checkpoint(path / f"fold-{i}", seed=i) for i in range(2)]
    return [replace(checkpoint, preprocessing=OWN) for checkpoint in checkpoints]


def test_an_ensemble_is_the_mean_of_the_members_probabilities(folds):
    picture = image(90, 70)
    ensemble = Segmenter(folds, engine="torch")
    expected = np.mean(
        [softmax(logits_of(Segmenter(fold, engine="torch"), picture)) for fold in folds], axis=0
    )
    result = ensemble.segment(picture, confidence=True)
    assert np.abs(softmax(logits_of(ensemble, picture)) - expected).max() < 1e-6
    assert np.array_equal(result.labels, expected.argmax(0))
    assert np.abs(result.confidence - expected.max(0)).max() < 1e-3
    assert result.model == "fold-0 + fold-1"
    alone = Segmenter(folds[0], engine="torch")
    assert (alone.segment(picture).labels != result.labels).mean() > 0.05
    assert ensemble.memory_bytes > 1.5 * alone.memory_bytes


def test_a_checkpoint_can_list_its_members(make_checkpoint, tmp_path):
    whole = make_checkpoint(tmp_path / "whole", seed=0)
    make_checkpoint(whole.path / "fold-1", seed=1)
    picture = image()
    both = Segmenter([whole.path, whole.path / "fold-1"], engine="torch")
    expected = logits_of(both, picture)

    def listing(names) -> Segmenter:
        description = whole.description | {"members": names}
        writing.write_json(whole.path / folder.DESCRIPTION_FILE, description)
        return Segmenter(whole.path, engine="torch")

    segmenter = listing(["fold-1"])
    assert np.array_equal(logits_of(segmenter, picture), expected)
    assert segmenter.segment(picture).model == "whole"
    for names in ("fold-1", ["../whole"], [1], ["fold-2"]):
        with pytest.raises(CheckpointError, match=r"members|fold-2"):
            listing(names)


def test_what_does_not_go_together_is_refused(folds, make_checkpoint, tmp_path):
    four = make_checkpoint(tmp_path / "four", num_classes=4)
    with pytest.raises(ConfigError, match=r"four and fold-0 .* classes"):
        Segmenter([folds[0], replace(four, preprocessing=OWN)], engine="torch")
    with pytest.raises(ConfigError, match="preprocessing"):
        Segmenter([folds[0], replace(folds[1], preprocessing=Preprocessing(99))], engine="torch")
    with pytest.raises(ConfigError, match="at least one"):
        Segmenter([])
