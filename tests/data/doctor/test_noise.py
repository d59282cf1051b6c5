"""What tells noise from classes: found where masks were compressed or smoothed, nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw

from model.data.doctor.look import MaskLook, count, edges
from model.data.doctor.noise import NEAR, Noise, Tally, diagnose, snap
from tests.data.doctor.making import draw, smoothed, through_jpeg

FAR_APART = [0, 90, 180, 255]

small_masks = arrays(
    np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 5)
)


def packed(colours: np.ndarray) -> np.ndarray:
    channels = colours.astype(np.int32)
    return channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2]


def tally(masks: list[np.ndarray], colours: bool = False, kind: str = "grey") -> Tally:
    looks = [
        MaskLook(
            mask.shape[::-1], 1, kind, "", (found := count(mask, colours))[0], None, *found[1:]
        )
        for mask in masks
    ]
    return Tally.of(looks, colours)


def with_lines(labels: np.ndarray, seed: int, classes: int) -> np.ndarray:
    """Adds thin lines and single pixels, as poles, road markings and far-away things are."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(labels)
    canvas = ImageDraw.Draw(image)
    for _ in range(6):
        ends = [tuple(map(int, rng.integers(0, image.size))) for _ in range(2)]
        canvas.line(ends, int(rng.integers(classes)), width=int(rng.integers(1, 4)))
    mask = np.array(image)
    speckle = rng.random(mask.shape) < 0.005
    mask[speckle] = rng.integers(0, classes, speckle.sum())
    return mask.astype(np.int32)


@given(small_masks)
def test_counts_are_those_of_every_pixel(mask):
    values, counts, inner, num_edge, *_ = count(mask, False)
    assert dict(zip(values, counts, strict=True)) == {v: (mask == v).sum() for v in np.unique(mask)}
    padded = np.pad(mask, 1, mode="edge")
    shifted = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    edge = np.any([mask != other for other in shifted], axis=0)
    np.testing.assert_array_equal(edges(mask), edge)
    assert num_edge == edge.sum()
    assert inner.tolist() == [(~edge & (mask == value)).sum() for value in values]


def steps(*row: int, colours: bool = False) -> tuple[int, int]:
    """How many pixels of a row are between their neighbours, and how many beyond."""
    return count(np.array([row], np.int32), colours)[-2:]


def test_ramps_are_told_from_ringing():
    assert steps(0, 0, 4, 9, 9) == (1, 0)
    assert steps(0, 0, 9, 4, 4) == (0, 1)
    assert steps(0, 0, 2, 0, 8, 5, 3) == (1, 3)
    assert steps(0x100000, 0x080008, 0x000010, colours=True) == (1, 0)
    assert steps(0x100000, 0x081808, 0x000010, colours=True) == (0, 1)


@pytest.mark.parametrize("seed", range(12))
def test_masks_as_drawn_have_no_noise(seed):
    classes = [2, 3, 5, 12, 23, 40][seed % 6]
    masks = [with_lines(draw(100 * seed + n, classes)[1], n, classes) for n in range(8)]
    assert diagnose(tally(masks)) is None
    table = np.random.default_rng(seed).integers(0, 256, (classes, 3))
    assert diagnose(tally([packed(table[mask]) for mask in masks], True)) is None


@pytest.mark.parametrize("seed", range(6))
def test_smoothed_masks_are_told_and_their_areas_kept(seed):
    levels = np.array(FAR_APART[: 2 + seed % 3], np.uint8)
    truth = [draw(10 * seed + n, len(levels))[1] for n in range(6)]
    masks = [smoothed(levels[labels]).astype(np.int32) for labels in truth]
    noise = diagnose(tally(masks))
    assert noise.kind == "smoothed"
    assert set(noise.classes) == set(levels.tolist())
    right = np.mean([snap(m, noise) == levels[t] for m, t in zip(masks, truth, strict=True)])
    assert right > 0.985


@pytest.mark.parametrize("quality", [60, 75, 90, 97, 99])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_compressed_masks_are_told_and_read_as_they_were(quality, number):
    levels = np.array(FAR_APART[:number], np.uint8)
    truth = [draw(n, number)[1] for n in range(6)]
    masks = [through_jpeg(levels[labels], quality).astype(np.int32) for labels in truth]
    noise = diagnose(tally(masks))
    assert noise.kind == "compressed"
    assert len(noise.classes) == number
    assert np.abs(np.sort(noise.classes) - levels).max() <= NEAR
    found = np.sort(noise.classes)
    read = [levels[np.searchsorted(found, snap(mask, noise))] for mask in masks]
    assert np.mean([r == levels[t] for r, t in zip(read, truth, strict=True)]) > 0.99


@given(
    mask=arrays(
        np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 255)
    ),
    classes=st.lists(st.integers(0, 255), min_size=1, max_size=5, unique=True),
    kind=st.sampled_from(["compressed", "smoothed"]),
)
@settings(max_examples=200)
def test_every_pixel_becomes_a_class(mask, classes, kind):
    noise = Noise(kind, False, tuple(classes), 0, 0.0, (0,) * len(classes))
    snapped = snap(mask, noise)
    assert snapped.shape == mask.shape
    assert set(np.unique(snapped)) <= set(classes)


@given(small_masks)
def test_masks_of_classes_alone_stay_as_they_are_when_compressed(mask):
    mask = mask * 50
    noise = Noise("compressed", False, tuple(np.unique(mask).tolist()), 0, 0.0, ())
    np.testing.assert_array_equal(snap(mask, noise), mask)
