"""True masks in every encoding become the same labels, or are refused in a sentence."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.segment.truth import read_truth
from model.checkpoints import folder
from model.data.classes import VOID, ClassTable
from model.data.masks import index_png
from model.errors import DataError, ImageError


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Every class of three in areas, uint8 (60, 80)."""
    labels = np.zeros((60, 80), np.uint8)
    labels[10:40, 10:50] = 1
    labels[30:55, 40:75] = 2
    return labels


@pytest.fixture
def checkpoint(weights):
    return folder.read(weights / "pets-scratch")


def own(checkpoint):
    """The same model of a data set that nobody knows."""
    description = {**checkpoint.description, "data": {"name": "folder"}}
    return replace(checkpoint, description=description)


def coloured(labels, classes) -> np.ndarray:
    return classes.palette()[labels]


def saved(tmp_path, pixels, name="truth.png", **options):
    path = tmp_path / name
    Image.fromarray(pixels).save(path, **options)
    return path


def test_masks_as_the_page_saves_them(tmp_path, checkpoint, labels):
    path = tmp_path / "mask.png"
    path.write_bytes(index_png(labels, checkpoint.classes))
    truth = read_truth(path, checkpoint, (60, 80))
    assert np.array_equal(truth.labels, labels)
    assert "colours" in truth.words


def test_rgb_colours_with_black_for_what_counts_for_nothing(tmp_path, checkpoint, labels):
    pixels = coloured(labels, checkpoint.classes)
    pixels[:5] = 0
    truth = read_truth(saved(tmp_path, pixels), checkpoint, (60, 80))
    assert np.array_equal(truth.labels[5:], labels[5:])
    assert (truth.labels[:5] == VOID).all()


def test_the_data_sets_own_encoding(tmp_path, checkpoint, labels):
    """Pets count from 1."""
    truth = read_truth(saved(tmp_path, labels + 1), checkpoint, (60, 80))
    assert np.array_equal(truth.labels, labels)
    assert "Oxford" in truth.words


def test_ids_and_red_channels(tmp_path, checkpoint, labels):
    red = np.zeros((60, 80, 3), np.uint8)
    red[..., 0] = labels
    for pixels in (labels, red):
        truth = read_truth(saved(tmp_path, pixels), own(checkpoint), (60, 80))
        assert np.array_equal(truth.labels, labels)


def test_zero_and_255_for_two_classes(tmp_path, checkpoint, labels):
    two = replace(own(checkpoint), classes=ClassTable.named(nothing="#000000", thing="#ff0000"))
    truth = read_truth(saved(tmp_path, np.uint8(labels == 1) * 255), two, (60, 80))
    assert np.array_equal(truth.labels, labels == 1)


def test_jpeg_masks_are_mended(tmp_path, checkpoint, labels):
    large = labels.repeat(4, 0).repeat(4, 1)
    path = saved(tmp_path, coloured(large, checkpoint.classes), "truth.jpg", quality=92)
    truth = read_truth(path, own(checkpoint), large.shape)
    assert (truth.labels == large).mean() > 0.99
    assert "lossy compression" in truth.words


def test_what_cannot_be_the_mask_is_refused(tmp_path, checkpoint, labels):
    path = saved(tmp_path, labels + 1)
    with pytest.raises(DataError, match="80 x 60 pixels, but the picture has 81 x 60"):
        read_truth(path, checkpoint, (60, 81))
    with pytest.raises(DataError):
        read_truth(saved(tmp_path, labels + 100), own(checkpoint), (60, 80))
    path = tmp_path / "no.png"
    path.write_bytes(b"not a picture")
    with pytest.raises(ImageError, match=r"no\.png"):
        read_truth(path, checkpoint, (60, 80))
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "png")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DataError):
        read_truth(path, own(checkpoint), (60, 80))
