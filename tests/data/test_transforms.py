"""Augmentation keeps picture and mask aligned; batches look as prediction will see pictures."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchvision import tv_tensors
from torchvision.transforms import v2

from model.data.classes import VOID, default_classes
from model.data.preprocessing import Preprocessing
from model.data.statistics import histogram
from model.data.transforms import (
    Collate,
    RandomColour,
    RandomScaledCrop,
    RandomTurn,
    SampleDataset,
    Tiles,
    augmentation,
)
from model.errors import ConfigError

PREPROCESSING = Preprocessing(longest_side=96)


class Pictures:
    """In place of a data set: says how often each picture was read."""

    classes = default_classes(["red", "green", "blue"])

    def __init__(self, pairs) -> None:
        self.pairs = pairs
        self.read: list[str] = []

    def pair(self, name):
        self.read.append(name)
        return self.pairs[name]


def coloured(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Random blocks of pure red, green and blue, and labels that say which of the three.

    Changes of brightness, contrast and saturation leave the strongest channel the strongest.
    """
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (-(-height // 16), -(-width // 16)), np.uint8)
    labels = labels.repeat(16, 0).repeat(16, 1)[:height, :width]
    return np.eye(3, dtype=np.uint8)[labels] * 200, labels


def interior(labels: torch.Tensor) -> torch.Tensor:
    """True where all labels within 2 pixels are the same."""
    padded = torch.nn.functional.pad(labels.int(), (2,) * 4, value=-1)
    windows = padded.unfold(0, 5, 1).unfold(1, 5, 1).reshape(*labels.shape, 25)
    return windows.amin(-1) == windows.amax(-1)


def agreement(image: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of interior pixels whose colour is that of their label; grey stands for void."""
    inside = interior(labels)
    strongest = image.float().argmax(0)
    known = inside & (labels != VOID)
    assert known.any()
    return float((strongest[known] == labels[known]).float().mean())


def sample(height: int = 72, width: int = 96):
    image, labels = coloured(height, width)
    return (
        tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1).contiguous()),
        tv_tensors.Mask(torch.from_numpy(labels)),
    )


@pytest.mark.parametrize("seed", range(40))
def test_augmentation_keeps_picture_and_mask_aligned(seed):
    torch.manual_seed(seed)
    image, labels = augmentation(PREPROCESSING, 64)(*sample())
    assert image.shape == (3, 64, 64)
    assert labels.shape == (64, 64)
    assert agreement(image, labels) > 0.999


def test_the_check_of_alignment_notices_a_flip_and_a_shift():
    image, labels = sample()
    assert agreement(image, labels) == 1
    assert agreement(v2.functional.horizontal_flip(image), labels) < 0.6
    assert agreement(image.roll(8, -1), labels) < 0.9


def test_labels_are_not_shifted_against_the_picture():
    transform = augmentation(PREPROCESSING, 96)
    shifts = []
    for seed in range(60):
        torch.manual_seed(seed)
        labels = torch.zeros(96, 96, dtype=torch.uint8)
        labels[37:] = 1
        image = 50 + 100 * labels.expand(3, -1, -1)
        image, labels = transform(tv_tensors.Image(image), tv_tensors.Mask(labels))
        column = image[0, :, 48][labels[:, 48] != VOID]
        lower = (column - column.min()) / (column.max() - column.min())
        rows = labels[:, 48][labels[:, 48] != VOID]
        shifts.append(float(lower.sum() - rows.sum()))
    assert np.abs(shifts).max() < 0.8
    assert abs(np.mean(shifts)) < 0.15


def test_the_thinnest_picture_survives_augmentation():
    for seed in range(10):
        torch.manual_seed(seed)
        image, labels = augmentation(PREPROCESSING, 64)(*sample(1, 96))
        assert image.shape == (3, 64, 64)
        assert (labels != VOID).any()


def test_augmentation_flips_scales_and_recolours():
    transform = augmentation(PREPROCESSING, 64)
    ramp = torch.arange(96, dtype=torch.uint8).expand(72, 96)
    slopes, brightest = [], []
    for seed in range(30):
        torch.manual_seed(seed)
        image, labels = transform(
            tv_tensors.Image(torch.full((3, 72, 96), 128, dtype=torch.uint8)), tv_tensors.Mask(ramp)
        )
        row = labels[labels.shape[0] // 2].int()
        row = row[row != VOID]
        slopes.append(float(row[-1] - row[0]) / len(row))
        brightest.append(float(image.max()))
    assert min(slopes) < 0 < max(slopes)
    # A scale of 0.75 to 1.5 makes the ramp 1 / 0.75 to 1 / 1.5 steep.
    steepness = np.abs(slopes)
    assert 0.6 < steepness.min() < 0.8
    assert 1.1 < steepness.max() < 1.4
    assert len(set(brightest)) > 10


def test_a_picture_smaller_than_the_crop_is_padded_with_void():
    torch.manual_seed(0)
    image, labels = augmentation(PREPROCESSING, 160)(*sample(40, 96))
    assert labels.shape == (160, 160)
    void = labels == VOID
    assert 0.5 < void.float().mean() < 0.95
    assert agreement(image, labels) > 0.999
    # The mean colour, whose channels differ by less than those of any class, is behind void.
    spread = image.amax(0) - image.amin(0)
    assert spread[void & interior(labels)].max() < 60 / 255


def test_augmentation_repeats_with_the_seed():
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(augmentation(PREPROCESSING, 64)(*sample()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_samples_are_scaled_once_and_then_cached():
    data = Pictures({"a": coloured(300, 400), "b": coloured(48, 20)})
    dataset = SampleDataset(data, ["a", "b"], PREPROCESSING)
    for _ in range(3):
        image, labels = dataset[0]
        assert image.shape == (3, 72, 96)
        assert labels.shape == (72, 96)
        assert image.dtype == labels.dtype == torch.uint8
    assert dataset[1][1].shape == (96, 40)
    assert data.read == ["a", "b"]
    assert len(dataset) == 2


def test_augmenting_a_sample_leaves_the_cache_alone():
    data = Pictures({"a": coloured(72, 96)})
    dataset = SampleDataset(data, ["a"], PREPROCESSING, augmentation(PREPROCESSING, 64))
    for _ in range(5):
        dataset[0]
    dataset.transform = None
    image, labels = dataset[0]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), data.pairs["a"][0])
    assert np.array_equal(labels.numpy(), data.pairs["a"][1])


@pytest.mark.parametrize("size", [(300, 400), (96, 96), (20, 31)])
def test_a_batch_of_one_is_what_prediction_feeds_the_network(size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    data = Pictures({"a": (image, np.zeros(size, np.uint8))})
    images, _ = Collate(PREPROCESSING)([SampleDataset(data, ["a"], PREPROCESSING)[0]])
    expected = PREPROCESSING.network_input(image)
    assert images.shape == expected.shape
    assert images.numpy() == pytest.approx(expected, abs=1e-5)


def test_pictures_of_different_sizes_are_padded_with_zeros_and_void():
    images, targets = Collate(PREPROCESSING)([sample(40, 96), sample(72, 50)])
    assert images.shape == (2, 3, 96, 96)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert targets.dtype == torch.int64
    for index, (height, width) in enumerate([(40, 96), (72, 50)]):
        inside = torch.zeros(96, 96, dtype=torch.bool)
        inside[:height, :width] = True
        assert (targets[index][~inside] == VOID).all()
        assert (targets[index][inside] < 3).all()
        assert not images[index][:, ~inside].any()
        assert images[index][:, inside].abs().min() > 0


SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))


@given(SIZES, st.sampled_from([32, 64]), st.floats(0, 2), st.integers(0, 999))
def test_any_picture_becomes_a_crop_in_which_labels_stay_with_their_colours(
    size, crop, strength, seed
):
    torch.manual_seed(seed)
    image, labels = augmentation(PREPROCESSING, crop, strength)(*sample(*size))
    assert image.shape == (3, crop, crop)
    assert labels.shape == (crop, crop)
    seen = labels != VOID
    assert seen.any()
    if (seen & interior(labels)).any():
        assert agreement(image, labels) == 1


@given(st.booleans(), st.integers(0, 999))
def test_a_turned_picture_keeps_its_labels(square, seed):
    torch.manual_seed(seed)
    image, labels = sample(64, 64 if square else 96)
    turned, with_it = RandomTurn()(image, labels)
    assert turned.shape[-2:] == with_it.shape == labels.shape
    # As picture and mask are drawn in one, labels say how the picture was turned.
    quarters = [
        k
        for k in range(4)
        if (turn := torch.rot90(labels, k, (-2, -1))).shape == labels.shape
        and torch.equal(turn, with_it)
    ]
    assert any(torch.equal(torch.rot90(image, k, (-2, -1)), turned) for k in quarters)


def test_all_quarters_come_with_turn_and_none_without():
    image, labels = sample(64, 64)
    seen = {turn: set() for turn in (False, True)}
    for turn, seed in product(seen, range(30)):
        torch.manual_seed(seed)
        _, result = augmentation(PREPROCESSING, 64, 1e-6, turn=turn)(image, labels)
        ways = [
            (k, flip)
            for k, flip in product(range(4), (False, True))
            if torch.equal(torch.rot90(labels.flip(-1) if flip else labels, k, (-2, -1)), result)
        ]
        assert len(ways) == 1
        seen[turn].update(ways)
    assert seen[False] == {(0, False), (0, True)}
    assert len(seen[True]) == 8


def test_without_strength_only_the_position_is_random():
    image, labels = sample()
    # Each pixel says where it comes from.
    labels[:] = torch.arange(96) % 90
    image[0] = torch.arange(72, dtype=torch.uint8)[:, None]
    image[1] = torch.arange(96, dtype=torch.uint8)
    corners = set()
    for seed in range(20):
        torch.manual_seed(seed)
        crop, cropped = augmentation(PREPROCESSING, 32, strength=0)(image, labels)
        top, left = int(crop[0, 0, 0]), int(crop[1, 0, 0])
        assert torch.equal(crop, image[:, top : top + 32, left : left + 32])
        assert torch.equal(cropped, labels[top : top + 32, left : left + 32])
        corners.add((top, left))
    assert len(corners) > 15


def test_crops_reach_every_corner():
    tops = set()
    for seed in range(200):
        torch.manual_seed(seed)
        params = RandomScaledCrop(30, (1, 1), (0, 0, 0)).make_params([torch.empty(3, 33, 27)])
        tops.add((params["rows"][0], params["columns"][2]))
    # Rows begin at 0 to 3; columns lie 0 to 3 from the result's border, its width being 30.
    assert tops == {(top, left) for top in range(4) for left in range(4)}


@pytest.mark.parametrize(("strength", "low", "high"), [(1, 0.75, 1.5), (2, 0.5625, 2.25)])
def test_the_scale_keeps_within_its_bounds_and_reaches_them(strength, low, high):
    transform = augmentation(PREPROCESSING, 240, strength).transforms[0]
    scales = []
    for seed in range(200):
        torch.manual_seed(seed)
        first, last, *_ = transform.make_params([torch.empty(3, 900, 900)])["rows"]
        scales.append(240 / (last - first))
    assert low * 0.99 < min(scales) < low * 1.1
    assert high * 0.9 < max(scales) < high * 1.01


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_a_strength_out_of_range_is_refused(strength):
    with pytest.raises(ConfigError, match="from 0 to 2"):
        augmentation(PREPROCESSING, 64, strength)


@pytest.mark.parametrize("strength", [0, 1])
def test_the_policy_pad_keeps_pictures_whole(strength):
    preprocessing = Preprocessing(size_policy="pad")
    for seed in range(4):
        torch.manual_seed(seed)
        image, labels = augmentation(preprocessing, 32, strength)(*sample(45, 71))
        assert image.shape == (3, 45, 71)
        assert agreement(image, labels) == 1
    images, targets = Collate(preprocessing)([(image, labels)])
    assert images.shape == (1, 3, 64, 96)
    assert (targets[0, :45, :71] == labels).all()


@pytest.mark.parametrize("size", [(16, 24), (5, 7), (1, 1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_colour_changes_as_torchvision_changes_it(size, order):
    pixels = np.random.default_rng(0).integers(90, 130, (3, *size), np.uint8)
    image = tv_tensors.Image(pixels)
    factors = {"brightness": 1.25, "contrast": 0.7, "saturation": 1.3}
    changed = RandomColour(0.3).transform(image, factors)
    expected = v2.functional.to_dtype(image, torch.float32, scale=True)
    adjust = [
        lambda x: v2.functional.adjust_brightness(x, factors["brightness"]),
        lambda x: v2.functional.adjust_contrast(x, factors["contrast"]),
        lambda x: v2.functional.adjust_saturation(x, factors["saturation"]),
    ]
    for step in order:
        expected = adjust[step](expected)
    assert changed.dtype == torch.float32
    torch.testing.assert_close(changed, expected, atol=1e-4, rtol=0)
    # With uint8 each of torchvision's three steps cuts off fractions.
    for step in order:
        image = adjust[step](image)
    assert (255 * changed - image).abs().max() <= 4


def test_colours_out_of_range_are_cut_off():
    torch.manual_seed(0)
    image = tv_tensors.Image(torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 8, 4))
    for _ in range(10):
        changed = RandomColour(0.6)(image)
        assert isinstance(changed, tv_tensors.Image)
        assert changed.min() >= 0
        assert changed.max() <= 1


def test_colour_is_drawn_from_the_whole_range():
    torch.manual_seed(0)
    draws = [RandomColour(0.3).make_params([]) for _ in range(200)]
    for name in ("brightness", "contrast", "saturation"):
        values = [draw[name] for draw in draws]
        assert 0.7 <= min(values) < 0.72
        assert 1.28 < max(values) <= 1.3


def test_floats_and_bytes_are_normalised_alike():
    image, labels = sample(40, 64)
    as_float = v2.functional.to_dtype(image, torch.float32, scale=True)
    a, _ = Collate(PREPROCESSING)([(image, labels)])
    b, _ = Collate(PREPROCESSING)([(as_float, labels)])
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def data_of(count: int) -> Pictures:
    rng = np.random.default_rng(0)
    sizes = rng.integers(30, 120, (count, 2))
    return Pictures({f"{i}": coloured(*size) for i, size in enumerate(sizes.tolist())})


@pytest.mark.parametrize("memory_limit", [0, 60_000, 2**30])
def test_loading_counts_the_original_labels_and_reads_nothing_twice(memory_limit):
    data = data_of(9)
    dataset = SampleDataset(data, list(data.pairs), PREPROCESSING, memory_limit=memory_limit)
    statistics = dataset.load()
    assert statistics.num_images == 9
    expected = sum(histogram(labels) for _, labels in data.pairs.values())
    assert statistics.pixels.tolist() == expected[:3].tolist()
    for index, name in enumerate(data.pairs):
        image, labels = data.pairs[name]
        assert np.array_equal(dataset[index][0].permute(1, 2, 0), PREPROCESSING.fit_image(image))
        assert np.array_equal(dataset[index][1], PREPROCESSING.fit_labels(labels))
    assert sorted(data.read) == sorted(data.pairs)


@pytest.mark.parametrize("memory_limit", [0, 2**30])
@pytest.mark.parametrize("load_first", [True, False])
def test_worker_processes_read_from_the_cache(memory_limit, load_first):
    data = data_of(6)
    pairs = dict(data.pairs)
    dataset = SampleDataset(data, list(pairs), PREPROCESSING, memory_limit=memory_limit)
    if load_first:
        dataset.load()
        data.pairs.clear()  # a worker that reads anew fails
    loader = DataLoader(
        dataset, num_workers=2, batch_size=None, multiprocessing_context="fork", timeout=60
    )
    for _ in range(2):
        for (image, labels), pair in zip(loader, pairs.values(), strict=True):
            assert np.array_equal(image.permute(1, 2, 0), PREPROCESSING.fit_image(pair[0]))
            assert np.array_equal(labels, PREPROCESSING.fit_labels(pair[1]))


def test_tiles_cover_each_sample_once():
    preprocessing = Preprocessing(size_policy="tile", tile=64)
    data = Pictures({"a": coloured(130, 64), "b": coloured(20, 100), "c": coloured(1, 1)})
    tiles = Tiles(SampleDataset(data, ["a", "b", "c"], preprocessing), 64)
    assert [tuple(tiles[i][1].shape) for i in range(len(tiles))] == [
        (64, 64), (64, 64), (2, 64), (20, 64), (20, 36), (1, 1),
    ]  # fmt: skip
    assert np.array_equal(torch.cat([tiles[i][1] for i in range(3)]), data.pairs["a"][1])
    wide = torch.cat([tiles[i][0] for i in (3, 4)], dim=2)
    assert np.array_equal(wide.permute(1, 2, 0), data.pairs["b"][0])
    images, targets = Collate(preprocessing)([tiles[i] for i in range(len(tiles))])
    assert images.shape == (6, 3, 64, 64)
    assert int((targets != VOID).sum()) == 130 * 64 + 20 * 100 + 1
