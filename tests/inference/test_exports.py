"""Exports: what is saved comes back bit by bit."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from model.data.classes import ClassTable
from model.data.masks import read_index
from model.inference.exports import index_png

CLASSES = ClassTable.named(sky="#4682b4", road="#804080")


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_index_png_comes_back_exactly(labels):
    content = index_png(labels, CLASSES)
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.mode) == ("PNG", "P")
    assert np.array_equal(np.asarray(image), labels)
    assert np.array_equal(read_index(content), labels)


def test_index_png_shows_the_colours_of_the_classes():
    image = Image.open(io.BytesIO(index_png(np.uint8([[0, 1, 255]]), CLASSES)))
    colours = np.asarray(image.convert("RGB"))
    assert colours.tolist() == [[[0x46, 0x82, 0xB4], [0x80, 0x40, 0x80], [0, 0, 0]]]


def test_other_types_than_labels_are_refused():
    with pytest.raises(ValueError, match="uint8"):
        index_png(np.zeros((2, 2), np.int32), CLASSES)
