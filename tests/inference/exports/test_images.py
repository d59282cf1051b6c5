"""PNG files, read back by Pillow and by the program's own mask reader."""

import io

import numpy as np
from PIL import Image

from model.data.masks import MaskEncoding
from model.inference.exports import EXPORTS


def read(content: bytes) -> Image.Image:
    assert content.startswith(b"\x89PNG")
    return Image.open(io.BytesIO(content))


def test_the_mask_is_exact_and_has_the_classes_colours(segment_drawing, labels):
    segmentation, picture = segment_drawing(labels)
    content = EXPORTS["mask"].write(segmentation, picture, {1})
    image = read(content)
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), labels)
    assert np.array_equal(MaskEncoding.ids(3).read(content), labels)
    colours = np.uint8([(0, 0, 0), (128, 64, 128), (107, 142, 35)])
    assert np.array_equal(np.asarray(image.convert("RGB")), colours[labels])


def test_the_mask_keeps_every_value_there_is(segment_drawing):
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    content = EXPORTS["mask"].write(*segment_drawing(labels), {0})
    assert np.array_equal(np.asarray(read(content)), labels)


def test_the_overlay_covers_the_chosen_classes_only(segment_drawing, labels):
    segmentation, picture = segment_drawing(labels)
    image = read(EXPORTS["overlay"].write(segmentation, picture, {2}))
    assert image.mode == "RGB"
    pixels = np.asarray(image)
    assert np.array_equal(pixels[labels != 2], picture.image[labels != 2])
    colour, opacity = np.array([107, 142, 35]), 140 / 255  # 0.55 in steps of 1/255
    expected = picture.image[labels == 2] * (1 - opacity) + colour * opacity
    assert np.abs(pixels[labels == 2] - expected).max(initial=0) <= 1


def test_the_cutout_is_the_picture_where_it_is_not_transparent(segment_drawing, labels):
    segmentation, picture = segment_drawing(labels)
    image = read(EXPORTS["cutout"].write(segmentation, picture, {0, 2}))
    assert image.mode == "RGBA"
    pixels, kept = np.asarray(image), labels != 1
    assert np.array_equal(pixels[..., 3], np.where(kept, 255, 0))
    assert np.array_equal(pixels[kept, :3], picture.image[kept])
    assert not pixels[~kept].any(), "what was cut away is still in the file"


def test_confidence_and_entropy_are_grey_levels(segment_drawing):
    values = np.linspace(0, 1, 256).reshape(16, 16).astype(np.float16)
    labels = np.zeros((16, 16), np.uint8)
    segmentation, picture = segment_drawing(labels, confidence=values, entropy=1 - values)
    for name, expected in (("confidence", values), ("entropy", 1 - values)):
        image = read(EXPORTS[name].write(segmentation, picture, {0}))
        assert image.mode == "L"
        assert np.abs(np.asarray(image) / 255 - expected).max() <= 0.5 / 255 + 1e-3
