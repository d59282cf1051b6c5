"""Files to take home are what the export registry writes, for what is on the page."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from app import overlay
from app.segment import downloads
from app.segment.jobs import Watch
from app.segment.options import Chosen
from model.data.masks import index_png
from model.data.streets import draw
from model.errors import ImageTooLargeError, StudioError
from model.inference.exports import EXPORTS, Picture
from model.inference.segmenter import Cancelled, Segmenter

CHOSEN = Chosen(flips="horizontal", minimum_area=40)


@pytest.fixture(scope="module")
def segmenter(weights) -> Segmenter:
    return Segmenter(weights / "streets-scratch")


@pytest.fixture
def on_page(tmp_path, segmenter):
    """A picture, its mask's file, and its segmentation with all maps."""
    path, mask = tmp_path / "street.png", tmp_path / "mask.png"
    Image.fromarray(draw(3, (120, 90))[0]).save(path)
    maps = {"confidence": True, "entropy": True, "probabilities": True}
    result = segmenter.segment(path, CHOSEN.segment_options(segmenter.classes, **maps))
    mask.write_bytes(index_png(result.labels, result.classes))
    return Picture.read(path), mask, result


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export(on_page, segmenter, name):
    picture, mask, result = on_page
    content = downloads.export(name, picture, mask, segmenter, CHOSEN, {1, 2}, Watch())
    assert content == EXPORTS[name].write(result, picture, {1, 2})


def test_overlays_look_as_on_the_page(tmp_path, on_page, segmenter):
    picture, mask, result = on_page
    view = {"opacity": 0.3, "hidden": [0], "style": "outline"}
    classes = segmenter.classes
    (tmp_path / "saved.png").write_bytes(
        downloads.overlay_png(tmp_path / "street.png", mask, classes, view)
    )
    expected = overlay.overlay(
        picture.image,
        overlay.drawn_as(result.labels, "outline"),
        classes,
        0.3,
        set(range(1, len(classes))),
    )
    assert np.array_equal(np.asarray(Image.open(tmp_path / "saved.png")), expected)


def test_probabilities_that_would_fill_the_memory_are_refused(on_page, segmenter, monkeypatch):
    picture, mask, _ = on_page
    monkeypatch.setattr(downloads, "MOST_PROBABILITIES", 1000)
    with pytest.raises(StudioError, match="120 x 90"):
        downloads.export("npz", picture, mask, segmenter, CHOSEN, {1}, Watch())
    content = downloads.export("zip", picture, mask, segmenter, CHOSEN, {1}, Watch())
    assert b"-npz" not in content
    assert b"-entropy.png" in content


def test_unknown_names_and_cancelling(on_page, segmenter):
    picture, mask, _ = on_page
    with pytest.raises(StudioError, match="no export 'exe'"):
        downloads.export("exe", picture, mask, segmenter, CHOSEN, {1}, Watch())
    watch = Watch()
    watch.cancel()
    with pytest.raises(Cancelled):
        downloads.export("entropy", picture, mask, segmenter, CHOSEN, {1}, watch)


def test_outlines_without_end_are_refused(on_page, segmenter, monkeypatch):
    monkeypatch.setattr("app.limits.MOST_CORNERS", 3)
    picture, mask, _ = on_page
    arguments = (picture, mask, segmenter, CHOSEN, {1}, Watch())
    for name in ("coco", "zip"):
        with pytest.raises(ImageTooLargeError):
            downloads.export(name, *arguments)
    assert downloads.export("coco-rle", *arguments)
