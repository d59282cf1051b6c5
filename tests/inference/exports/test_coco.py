"""COCO files, read back by pycocotools to the same masks."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle
from pycocotools.coco import COCO

from model.data import annotations
from model.data.classes import VOID
from model.inference.exports import EXPORTS, coco

BOTH = pytest.mark.parametrize("name", ["coco", "coco-rle"])


def write(tmp_path, content: bytes):
    path = tmp_path / "coco.json"
    path.write_bytes(content)
    return path


@BOTH
def test_pycocotools_reads_the_same_masks(segment_drawing, labels, name, tmp_path, capsys):
    content = EXPORTS[name].write(*segment_drawing(labels), {0, 1, 2})
    read = COCO(write(tmp_path, content))
    assert read.imgs[1] == {
        "id": 1,
        "file_name": "street/first.jpg",
        "width": labels.shape[1],
        "height": labels.shape[0],
    }
    assert [c["name"] for c in read.loadCats(read.getCatIds())] == ["background", "road", "tree"]
    found = read.loadAnns(read.getAnnIds(imgIds=1))
    assert {a["category_id"] - 1 for a in found} == set(np.unique(labels))
    for annotation in found:
        mask = labels == annotation["category_id"] - 1
        assert np.array_equal(read.annToMask(annotation), mask)
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == rle.toBbox(rle.encode(np.asfortranarray(mask, "u1"))).tolist()


@given(arrays.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_polygons_fill_exactly_their_pixels(mask):
    polygons = coco._polygons(mask)
    if not mask.any():
        assert polygons == []
        return
    filled = rle.decode(rle.merge(rle.frPyObjects(polygons, *mask.shape)))
    assert np.array_equal(filled, mask)


def test_holes_within_parts_within_holes(tmp_path, segment_drawing, capsys):
    """Frames around each other: what a list of plain polygons would fill."""
    y, x = np.mgrid[:21, :31]
    depth = np.minimum.reduce([y, x, 20 - y, 30 - x])
    labels = (depth % 2).astype(np.uint8)
    read = COCO(write(tmp_path, EXPORTS["coco"].write(*segment_drawing(labels), {1})))
    (annotation,) = read.loadAnns(read.getAnnIds())
    assert len(annotation["segmentation"]) == 5
    assert np.array_equal(read.annToMask(annotation), labels)


@BOTH
def test_only_chosen_classes(segment_drawing, labels, name):
    content = json.loads(EXPORTS[name].write(*segment_drawing(labels), {2}))
    assert [c["name"] for c in content["categories"]] == ["tree"]
    assert [a["category_id"] for a in content["annotations"]] == [3] * bool((labels == 2).any())


@BOTH
def test_the_programs_own_reader_reads_them(segment_drawing, labels, name, tmp_path):
    content = EXPORTS[name].write(*segment_drawing(labels), {0, 1, 2})
    source = annotations.read(write(tmp_path, content))
    (picture,) = source.names()
    painted = source.labels(picture, *labels.shape)
    assert VOID not in painted
    assert np.array_equal(painted, labels)


@BOTH
def test_many_pictures_in_one_file(segment_drawing, name, tmp_path, capsys):
    rng = np.random.default_rng(3)
    drawn = [rng.integers(0, 3, (9 + i, 12), np.uint8) for i in range(3)]
    files = []
    for number, labels in enumerate(drawn):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_bytes(EXPORTS[name].write(*segment_drawing(labels), {0, 1, 2}))
    segmentation, _ = segment_drawing(drawn[0])
    merged = "".join(coco.merge(files, segmentation.classes))
    read = COCO(write(tmp_path, merged.encode()))
    assert sorted(read.imgs) == [1, 2, 3]
    assert len(read.anns) == 9
    for number, labels in enumerate(drawn, 1):
        for annotation in read.loadAnns(read.getAnnIds(imgIds=number)):
            expected = labels == annotation["category_id"] - 1
            assert np.array_equal(read.annToMask(annotation), expected)
