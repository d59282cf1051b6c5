"""Whatever the labels are they survive; whatever the bytes are the error is ours."""

import io
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from model.data import annotations
from model.data.classes import VOID, default_classes
from model.data.masks import MaskEncoding, index_png
from model.data.polygons import Disc, Polygon, Shape, paint
from model.errors import StudioError

COUNT = 40
TABLE = default_classes(f"class {i}" for i in range(COUNT))
COLOURS = TABLE.palette()
assert len(np.unique(COLOURS[:COUNT], axis=0)) == COUNT

label_arrays = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.integers(0, COUNT - 1) | st.just(VOID),
)


def saved(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def in_red(labels: np.ndarray) -> np.ndarray:
    return np.dstack([labels, labels[::-1] // 2, np.full_like(labels, 77)])


IDS = MaskEncoding.ids(COUNT, void=[VOID])
RED = MaskEncoding.ids(COUNT, "red", void=[VOID])
COLOUR = MaskEncoding.colours(TABLE, void=["#010203"])
OFFSET = MaskEncoding("index", {i + 300: i for i in range(COUNT)} | {0: VOID})


def coloured(labels: np.ndarray) -> np.ndarray:
    return np.where((labels == VOID)[..., None], np.uint8([1, 2, 3]), COLOURS[labels])


def offset(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == VOID, 0, labels.astype(np.uint16) + 300).astype(np.uint16)


ENCODINGS = {
    "index PNG": (IDS, saved),
    "palette PNG": (IDS, lambda labels: index_png(labels, TABLE)),
    "index TIFF": (IDS, lambda labels: saved(labels, "TIFF", compression="tiff_lzw")),
    "index BMP": (IDS, lambda labels: saved(labels, "BMP")),
    "16-bit PNG": (OFFSET, lambda labels: saved(offset(labels))),
    "16-bit TIFF": (OFFSET, lambda labels: saved(offset(labels), "TIFF")),
    "float TIFF": (IDS, lambda labels: saved(labels.astype(np.float32), "TIFF")),
    "32-bit TIFF": (IDS, lambda labels: saved(labels.astype(np.int32), "TIFF")),
    "red channel RGB": (RED, lambda labels: saved(in_red(labels))),
    "red channel RGBA": (RED, lambda labels: saved(with_alpha(in_red(labels)))),
    "colours RGB": (COLOUR, lambda labels: saved(coloured(labels))),
    "colours RGBA": (COLOUR, lambda labels: saved(with_alpha(coloured(labels)))),
    "colours TIFF": (COLOUR, lambda labels: saved(coloured(labels), "TIFF")),
}


@pytest.mark.parametrize("name", ENCODINGS)
@given(labels=label_arrays)
def test_labels_survive_writing_and_reading(name, labels):
    encoding, write = ENCODINGS[name]
    read = encoding.read(write(labels))
    assert read.dtype == np.uint8
    assert np.array_equal(read, labels)


@given(truth=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=24)))
def test_binary_labels_survive_as_bytes_and_as_bits(truth):
    encoding = MaskEncoding.ids(2, "binary")
    assert np.array_equal(encoding.read(saved(truth.astype(np.uint8) * 255)), truth)
    assert np.array_equal(encoding.read(saved(truth)), truth)


@pytest.mark.parametrize("name", ENCODINGS)
@given(labels=label_arrays, data=st.data())
@settings(max_examples=60)
def test_a_damaged_mask_gives_labels_or_our_error(name, labels, data):
    encoding, write = ENCODINGS[name]
    with suppress(StudioError):
        read = encoding.read(damaged(write(labels), data))
        assert read.dtype == np.uint8
        assert read.ndim == 2


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """The content cut, or with some bytes replaced, removed or doubled."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        if not content:
            break
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["cut", "replace", "remove", "double"])):
            case "cut":
                del content[place:]
            case "replace":
                content[place] = data.draw(st.integers(0, 255))
            case "remove":
                del content[place : place + data.draw(st.integers(1, 8))]
            case "double":
                content[place:place] = content[place : place + 8]
    return bytes(content)


points = st.tuples(st.floats(-5, 25), st.floats(-5, 25))
polygons = st.lists(points, min_size=3, max_size=7).map(lambda p: Polygon(np.array(p)))
discs = st.builds(Disc, st.floats(0, 20), st.floats(0, 20), st.floats(0, 9))
shapes = st.lists(
    st.builds(Shape, st.sampled_from([0, 1, 2, 3, VOID]), polygons | discs), max_size=8
)


@given(shapes=shapes)
def test_a_pixel_belongs_to_the_last_shape_that_covers_it(shapes):
    labels = paint(shapes, 20, 18)
    covered = np.zeros((20, 18), bool)
    for shape in reversed(shapes):
        mask = shape.region.mask(20, 18)
        assert (labels[mask & ~covered] == shape.label).all()
        covered |= mask
    assert (labels[~covered] == 0).all()


YOLO = "0 0.1 0.1 0.9 0.1 0.9 0.9\n1 0.5 0.5 0.7 0.5 0.6 0.8 0.5 0.7\n"
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}],
    "categories": [{"id": 3, "name": "road"}, {"id": 7, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [[1, 1, 9, 1, 9, 8]]},
        {
            "id": 2,
            "image_id": 1,
            "category_id": 7,
            "iscrowd": 1,
            "segmentation": {"size": [10, 20], "counts": [13, 4, 183]},
        },
        {
            "id": 3,
            "image_id": 1,
            "category_id": 7,
            "segmentation": {"size": [10, 20], "counts": "S15fEn0"},
        },
    ],
}
LABELME = {
    "shapes": [
        {"label": "road", "points": [[1, 1], [9, 1], [9, 8]], "shape_type": "polygon"},
        {"label": "car", "points": [[1, 1], [9, 5]], "shape_type": "rectangle"},
        {"label": "sun", "points": [[4, 4], [6, 4]], "shape_type": "circle"},
    ],
    "imageWidth": 20,
    "imageHeight": 10,
}
SCALABEL = [
    {
        "name": "a.jpg",
        "labels": [
            {
                "category": "road",
                "poly2d": [
                    {
                        "vertices": [[1, 1], [9, 1], [9, 8], [4, 9], [2, 5]],
                        "types": "LLCCL",
                        "closed": True,
                    }
                ],
            }
        ],
    }
]


@pytest.mark.parametrize("name", ["yolo", "coco", "labelme", "scalabel"])
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_annotations_give_labels_or_our_error(name, data, tmp_path: Path):
    content = {"coco": COCO, "labelme": LABELME, "scalabel": SCALABEL}.get(name)
    text = YOLO.encode() if content is None else json.dumps(content).encode()
    path = tmp_path / ("a.txt" if name == "yolo" else "a.json")
    path.write_bytes(damaged(text, data))
    with suppress(StudioError):
        found = annotations.read(tmp_path if name == "yolo" else path)
        for key in found.names():
            assert found.labels(key, height=10, width=20).shape == (10, 20)


@pytest.mark.parametrize("name", ["coco", "labelme", "scalabel"])
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_annotations_with_strange_values_give_labels_or_our_error(name, data, tmp_path: Path):
    content = json.loads(json.dumps({"coco": COCO, "labelme": LABELME, "scalabel": SCALABEL}[name]))
    strange = (
        st.none() | st.integers() | st.text(max_size=5) | st.floats() | st.just([]) | st.just({})
    )
    node, key = data.draw(st.sampled_from(list(places(content))))
    node[key] = data.draw(strange)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with suppress(StudioError):
        found = annotations.read(path)
        for key in found.names():
            assert found.labels(key, height=10, width=20).shape == (10, 20)


def places(node):
    """Every place in nested lists and dictionaries, as (container, key)."""
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])
