"""Class colours over pictures, and pictures cut out."""

import numpy as np
import pytest

from model.data.classes import VOID, ClassTable
from model.data.drawing import cutout, overlay, shown_at_first

CLASSES = ClassTable.named(background="#000000", road="#804080", sky="#4682B4")
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 2, 3), np.uint8)
LABELS = np.uint8([[0, 1], [2, VOID]])


def test_opacity_from_the_picture_to_plain_colours():
    assert np.array_equal(overlay(IMAGE, LABELS, CLASSES, opacity=0), IMAGE)
    plain = overlay(IMAGE, LABELS, CLASSES, opacity=1)
    assert plain[:1].tolist() == [[[0, 0, 0], [128, 64, 128]]]
    assert plain[1, 0].tolist() == [70, 130, 180]


def test_void_stays_uncovered():
    assert np.array_equal(overlay(IMAGE, LABELS, CLASSES, opacity=1)[1, 1], IMAGE[1, 1])


def test_cutouts_are_given_anew():
    before = IMAGE.copy()
    pixels = cutout(IMAGE, LABELS, {1})
    assert pixels[..., 3].tolist() == [[0, 255], [0, 0]]
    assert pixels[0, 1, :3].tolist() == IMAGE[0, 1].tolist()
    assert np.array_equal(IMAGE, before)
    assert not cutout(IMAGE, LABELS, ()).any()


def test_the_background_is_not_shown_at_first():
    assert shown_at_first(CLASSES) == {1, 2}


def test_wrong_arguments():
    with pytest.raises(ValueError, match="differ in size"):
        overlay(IMAGE, LABELS[:1], CLASSES)
    with pytest.raises(ValueError, match="differ in size"):
        cutout(IMAGE, LABELS[:1], {1})
    with pytest.raises(ValueError, match="opacity"):
        overlay(IMAGE, LABELS, CLASSES, opacity=1.1)
