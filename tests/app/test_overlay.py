"""Overlays, legends and previews: exact colours, exact shares, and fast enough to be instant."""

import numpy as np
import pytest

from app.overlay import (
    confidence_colours,
    display_size,
    drawn_as,
    legend,
    overlay,
    reduce_image,
    reduce_labels,
    share_text,
    shown_at_first,
)
from model.data.classes import VOID, ClassTable
from model.inference.segmenter import Segmentation

CLASSES = ClassTable.named(background="#000000", road="#804080", sky="#4682B4")


def segmentation(labels, confidence=None) -> Segmentation:
    return Segmentation(
        labels=np.uint8(labels),
        classes=CLASSES,
        model="test",
        engine="torch",
        precision="f32",
        confidence=None if confidence is None else np.float16(confidence),
    )


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 256, (37, 53, 3), np.uint8),
        rng.integers(0, len(CLASSES), (37, 53), np.uint8),
    )


@pytest.mark.parametrize("opacity", [0, 0.3, 0.55, 1])
def test_overlay_is_the_weighted_mean_of_picture_and_palette(picture, opacity):
    image, labels = picture
    expected = (1 - opacity) * image + opacity * CLASSES.palette()[labels]
    assert np.abs(overlay(image, labels, CLASSES, opacity) - expected).max() <= 1.5


def test_full_opacity_gives_the_class_colours_exactly(picture):
    image, labels = picture
    assert np.array_equal(overlay(image, labels, CLASSES, 1), CLASSES.palette()[labels])


def test_hidden_classes_leave_the_picture_untouched(picture):
    image, labels = picture
    result = overlay(image, labels, CLASSES, 0.5, shown={1})
    assert np.array_equal(result[labels != 1], image[labels != 1])
    assert (result[labels == 1] != image[labels == 1]).any()
    assert np.array_equal(overlay(image, labels, CLASSES, 0.5, shown=set()), image)


def test_void_is_not_covered(picture):
    image, labels = picture
    labels = np.where(labels == 2, VOID, labels).astype(np.uint8)
    result = overlay(image, labels, CLASSES, 1)
    assert np.array_equal(result[labels == VOID], image[labels == VOID])


def test_inputs_are_not_changed(picture):
    image, labels = picture
    before = image.copy(), labels.copy()
    overlay(image, labels, CLASSES)
    assert np.array_equal(image, before[0])
    assert np.array_equal(labels, before[1])


def test_wrong_arguments_are_refused(picture):
    image, labels = picture
    with pytest.raises(ValueError, match="differ in size"):
        overlay(image, labels[1:], CLASSES)
    with pytest.raises(ValueError, match="opacity"):
        overlay(image, labels, CLASSES, 1.1)


def test_background_is_left_bare_at_first():
    assert shown_at_first(CLASSES) == {1, 2}


def test_legend_counts_sorts_and_drops_absent_classes():
    rows = legend(segmentation([[2, 2, 2], [2, 0, 2]], [[1, 1, 0.5], [0.5, 0.25, 1]]))
    assert [(row.id, row.name, row.colour) for row in rows] == [
        (2, "sky", "#4682B4"),
        (0, "background", "#000000"),
    ]
    assert [row.pixels for row in rows] == [5, 1]
    assert [row.share for row in rows] == [5 / 6, 1 / 6]
    assert [row.confidence for row in rows] == [0.8, 0.25]


def test_legend_without_confidence():
    assert [row.confidence for row in legend(segmentation([[1]]))] == [None]


@pytest.mark.parametrize(
    ("share", "text"),
    [(1, "100 %"), (0.412, "41 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (0.0004, "< 0.1 %")],
)
def test_shares_read_like_people_write_them(share, text):
    assert share_text(share) == text


def test_confidence_colours_get_lighter_with_confidence():
    colours = confidence_colours()
    assert (colours.dtype, colours.shape) == (np.uint8, (256, 3))
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -0.5).all()
    assert colours[0].tolist() == [0x44, 0x01, 0x54]
    assert colours[-1].tolist() == [0xFD, 0xE7, 0x25]


@pytest.mark.parametrize(
    ("size_hw", "expected"),
    [
        ((512, 512), (512, 512)),
        ((3000, 4000), (1200, 1600)),
        ((1, 5000), (1, 1600)),
        ((9000, 3), (1600, 1)),
    ],
)
def test_previews_keep_proportions_and_never_enlarge(size_hw, expected):
    assert display_size(*size_hw) == expected
    assert reduce_image(np.zeros((*size_hw, 3), np.uint8)).shape == (*expected, 3)
    assert reduce_labels(np.zeros(size_hw, np.uint8)).shape == expected


def test_reduced_labels_are_never_mixed():
    labels = np.tile(np.uint8([0, 200]), (1000, 1000))
    assert set(np.unique(reduce_labels(labels, 333))) <= {0, 200}


def test_outlines_are_where_classes_meet():
    labels = np.zeros((5, 7), np.uint8)
    labels[:, 3:] = 1
    expected = np.full((5, 7), 255, np.uint8)
    expected[:, 2], expected[:, 3] = 0, 1
    assert np.array_equal(drawn_as(labels, "outline"), expected)
    assert drawn_as(labels, "fill") is labels


def test_hatching_differs_from_class_to_class_and_keeps_outlines():
    labels = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 60, 0), 60, 1)
    drawn = drawn_as(labels, "hatch")
    assert np.array_equal(drawn[drawn != 255], labels[drawn != 255])
    outlined = drawn_as(labels, "outline") != 255
    assert (drawn != 255)[outlined].all()
    inner = [drawn[y + 6 : y + 54, x + 6 : x + 54] != 255 for y in (0, 60) for x in (0, 60, 120)]
    assert all(0.2 < part.mean() < 0.8 for part in inner)
    shapes = {part.tobytes() for part in inner}
    assert len(shapes) == 6
