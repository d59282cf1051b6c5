"""Augmentation keeps picture and mask aligned; batches look as prediction will see pictures."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from model.data.classes import VOID
from model.data.preprocessing import Preprocessing
from model.data.transforms import Collate, SampleDataset, augmentation

PREPROCESSING = Preprocessing(longest_side=96)


class Pictures:
    """In place of a data set: says how often each picture was read."""

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
    strongest = image.int().argmax(0)
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
        column = image[0, :, 48].float()[labels[:, 48] != VOID]
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
        brightest.append(int(image.max()))
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
    spread = image.int().amax(0) - image.int().amin(0)
    assert spread[void & interior(labels)].max() < 60


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
