"""Scaling, padding and normalising: one object for training and prediction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.data import streets
from model.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from model.errors import CheckpointError, ConfigError

SIDES = st.integers(1, 20_000)


@pytest.mark.parametrize(
    ("size", "fitted"),
    [
        ((300, 400), (192, 256)),
        ((400, 300), (256, 192)),
        ((256, 256), (256, 256)),
        ((1, 1), (256, 256)),
        ((100, 200), (128, 256)),
        ((1, 10_000), (1, 256)),
        ((10_000, 1), (256, 1)),
        ((375, 500), (192, 256)),
        ((333, 500), (170, 256)),  # 170.496
        ((335, 500), (172, 256)),  # 171.52
    ],
)
def test_the_longer_side_is_scaled_to_the_given_one(size, fitted):
    assert Preprocessing(longest_side=256).fitted_hw(*size) == fitted


@given(SIDES, SIDES, st.integers(1, 1024))
def test_fitted_sizes_keep_the_aspect_ratio_and_never_vanish(height, width, longest):
    h, w = Preprocessing(longest_side=longest).fitted_hw(height, width)
    assert max(h, w) == longest
    assert min(h, w) >= 1
    assert abs(min(h, w) - min(height, width) * longest / max(height, width)) <= 1


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([1, 16, 32]))
def test_padded_sizes_are_the_next_multiples(height, width, multiple):
    padded = Preprocessing(longest_side=8, multiple=multiple).padded_hw(height, width)
    for side, original in zip(padded, (height, width), strict=True):
        assert side % multiple == 0
        assert original <= side < original + multiple


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (10_000, 1), (33, 65), (7, 64)])
def test_any_size_becomes_a_network_input(size):
    preprocessing = Preprocessing(longest_side=64)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    batch = preprocessing.network_input(image)
    height, width = preprocessing.fitted_hw(*size)
    assert batch.shape == (1, 3, *preprocessing.padded_hw(height, width))
    assert batch.dtype == np.float32
    assert np.isfinite(batch).all()


def test_input_is_normalised_per_channel():
    image = np.full((64, 64, 3), (0, 128, 255), np.uint8)
    batch = Preprocessing(longest_side=64).network_input(image)
    expected = (np.float32([0, 128, 255]) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    assert batch[0].reshape(3, -1).mean(1) == pytest.approx(expected, abs=1e-5)
    assert batch[0].reshape(3, -1).std(1).max() < 1e-5


def test_padding_is_the_mean_colour_at_the_right_and_bottom():
    image = np.full((40, 64, 3), 255, np.uint8)
    batch = Preprocessing(longest_side=64, multiple=48).network_input(image)
    assert batch.shape == (1, 3, 48, 96)
    assert (batch[..., :40, :64] > 1).all()
    assert not batch[..., 40:, :].any()
    assert not batch[..., :, 64:].any()


def test_shrinking_averages_instead_of_skipping_pixels():
    board = np.indices((256, 256)).sum(0) % 2 * np.uint8(255)
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    shrunk = Preprocessing(longest_side=64).fit_image(image)
    assert shrunk.min() > 100
    assert shrunk.max() < 155


def test_shrinking_in_two_steps_is_indistinguishable_from_the_exact_way():
    image, _ = streets.draw(11, (1920, 1440))
    fast = Preprocessing(longest_side=256).fit_image(image)
    exact = np.asarray(Image.fromarray(image).resize((256, 192), Image.Resampling.BILINEAR))
    difference = np.abs(fast.astype(int) - exact)
    assert difference.mean() < 1
    assert np.quantile(difference, 0.99) <= 6


def test_pictures_of_the_right_size_are_left_alone(picture):
    preprocessing = Preprocessing(longest_side=81)
    assert np.array_equal(preprocessing.fit_image(picture), picture)


@pytest.mark.parametrize("size", [(30, 40), (300, 400), (61, 17)])
def test_scaled_labels_have_no_new_values_and_fit_the_picture(size):
    labels = np.full(size, 3, np.uint8)
    labels[:, size[1] // 2 :] = 200
    image = np.repeat(labels[..., None], 3, axis=2)
    preprocessing = Preprocessing(longest_side=64)
    scaled, picture = preprocessing.fit_labels(labels), preprocessing.fit_image(image)
    assert set(np.unique(scaled)) == {3, 200}
    assert scaled.shape == picture.shape[:2] == preprocessing.fitted_hw(*size)
    # The edge lies at the same place in both, to the pixel.
    differs = (picture[..., 0] > 101) != (scaled > 101)
    assert differs.any(0).sum() <= 1


def test_survives_the_way_through_json():
    preprocessing = Preprocessing(400, "resize", 512, 16, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    stored = {k: list(v) if isinstance(v, tuple) else v for k, v in preprocessing.to_json().items()}
    assert Preprocessing.from_json(stored) == preprocessing


def test_an_unknown_size_policy_is_refused():
    with pytest.raises(CheckpointError, match="size policy 'stretch'"):
        Preprocessing.from_json({"size_policy": "stretch", "longest_side": 64})


@pytest.mark.parametrize(
    "values",
    [
        {"longest_side": 0},
        {"longest_side": "256"},
        {"longest_side": 64.5},
        {"longest_side": 64, "multiple": 0},
        {"longest_side": 64, "multiple": 10**6},
        {"longest_side": 10**6},
        {"size_policy": "tile", "tile": 10**6},
        {"longest_side": 64, "mean": (0.5,)},
        {"longest_side": 64, "std": (1.0, 0.0, 1.0)},
        {"longest_side": 64, "mean": (0.5, float("nan"), 0.5)},
    ],
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(ConfigError):
        Preprocessing(**values)
