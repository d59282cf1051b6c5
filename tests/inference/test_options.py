"""What each option changes about a segmentation, and which values are refused."""

from dataclasses import replace

import numpy as np
import pytest

from model.data.preprocessing import Preprocessing
from model.errors import ConfigError
from model.inference.components import without_small
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter


@pytest.fixture(scope="module")
def segmenter(make_checkpoint, tmp_path_factory) -> Segmenter:
    return Segmenter(make_checkpoint(tmp_path_factory.mktemp("options") / "tiny"), engine="torch")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"flips": "left"}, "flips"),
        ({"scale": "double"}, "scale"),
        ({"zooms": (0.1,)}, "zooms"),
        ({"zooms": (float("nan"),)}, "zooms"),
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": 1.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"minimum_area": -1}, "area"),
        ({"minimum_areas": (("sky", -1),)}, "area"),
        ({"tile": 100}, "tile"),
        ({"tile": 0}, "tile"),
        ({"overlap": -32}, "overlap"),
        ({"tile": 96, "overlap": 64}, "at most half of tile"),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(values, named):
    with pytest.raises(ConfigError, match=named):
        SegmentOptions(**values)


def test_options_that_do_not_suit_the_classes_are_refused(segmenter, picture):
    for options, named in (
        (SegmentOptions(threshold=0.3), "two classes; this one has 3"),
        (SegmentOptions(minimum_areas=(("sky", 3),)), "'sky'.* class 0, class 1, class 2"),
    ):
        with pytest.raises(ConfigError, match=named):
            segmenter.segment(picture, options)
    with pytest.raises(ConfigError, match="overlap"):
        segmenter.segment(picture, SegmentOptions(tile=32, overlap=32))


def test_a_lower_threshold_finds_more_of_the_second_class(make_checkpoint, tmp_path, picture):
    checkpoint = make_checkpoint(tmp_path / "two", num_classes=2)
    two = Segmenter(checkpoint, engine="torch")
    thresholds = (0.45, 0.48, 0.5, 0.52, 0.55)
    results = [
        two.segment(picture, SegmentOptions(threshold=t, confidence=True)) for t in thresholds
    ]
    shares = [result.shares()[1] for result in results]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[2] > shares[-1]
    assert np.array_equal(results[2].labels, two.segment(picture).labels)
    for threshold, result in zip(thresholds, results, strict=True):
        second = np.where(result.labels, result.confidence, 1 - result.confidence)
        assert np.abs(second - threshold).min() < 0.02
        assert second[result.labels == 1].min() > threshold - 1e-3
        assert second[result.labels == 0].max() < threshold + 1e-3


def test_small_regions_are_removed_after_all_else(segmenter, picture):
    plain = segmenter.segment(picture, confidence=True)
    options = SegmentOptions(minimum_area=60, confidence=True)
    cleaned = segmenter.segment(picture, options)
    assert np.array_equal(cleaned.labels, without_small(plain.labels, [60, 60, 60]))
    assert not np.array_equal(cleaned.labels, plain.labels)
    assert np.array_equal(cleaned.confidence, plain.confidence)


def test_least_areas_are_by_class(segmenter):
    options = SegmentOptions(minimum_area=5, minimum_areas=(("class 1", 9), ("class 2", 0)))
    assert options.least_areas(segmenter.classes) == [5, 9, 0]


def test_the_native_scale_looks_at_every_pixel(segmenter):
    image = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    own = replace(segmenter.checkpoint, preprocessing=Preprocessing(size_policy="pad"))
    expected = Segmenter(own, engine="torch").segment(image).labels
    native = segmenter.segment(image, SegmentOptions(scale="native")).labels
    assert np.array_equal(native, expected)
    assert not np.array_equal(native, segmenter.segment(image).labels)


def test_entropy_is_zero_where_certain_and_one_where_not(segmenter, picture):
    result = segmenter.segment(picture, SegmentOptions(entropy=True, confidence=True))
    assert result.entropy.dtype == np.float16
    assert result.entropy.shape == picture.shape[:2]
    certain, torn = result.confidence.argmax(), result.confidence.argmin()
    assert result.entropy.ravel()[certain] < 0.4 < 0.7 < result.entropy.ravel()[torn]
    # With p the largest of three probabilities, entropy is between that of (p, 1 - p, 0) and
    # that of (p, (1 - p) / 2, (1 - p) / 2).
    p = result.confidence.astype(np.float64).clip(1e-9, 1 - 1e-9)
    pair = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert (result.entropy < (pair + (1 - p) * np.log(2)) / np.log(3) + 5e-3).all()


def test_augmentation_changes_little_and_something(segmenter, picture):
    plain = segmenter.segment(picture).labels
    for options in (SegmentOptions(flips="both"), SegmentOptions(zooms=(1.5,))):
        changed = (segmenter.segment(picture, options).labels != plain).mean()
        assert 0 < changed < 0.6


def test_options_can_be_keys():
    assert len({SegmentOptions(), SegmentOptions(zooms=(2.0,)), SegmentOptions(zooms=(2.0,))}) == 2
