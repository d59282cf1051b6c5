"""YOLO labels, tables, probabilities, and everything in one ZIP, read back."""

import csv
import io
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as rle

from model.data import annotations
from model.errors import ConfigError
from model.inference.exports import EXPORTS, Picture, choose, coco, geojson, table, yolo
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter


def test_yolo_lines_fill_exactly_their_pixels(segment_drawing, labels):
    height, width = labels.shape
    text = EXPORTS["yolo"].write(*segment_drawing(labels), {0, 1, 2}).decode()
    painted = np.full(labels.shape, 255, np.uint8)
    for line in text.splitlines():
        number, *values = line.split()
        points = np.float64(values).reshape(-1, 2)
        assert points.min() >= 0
        assert points.max() <= 1
        filled = rle.frPyObjects([(points * (width, height)).ravel().tolist()], height, width)
        painted[rle.decode(filled)[..., 0] == 1] = int(number)
    assert np.array_equal(painted, labels)


def test_the_programs_own_reader_reads_yolo(segment_drawing, labels, tmp_path):
    segmentation, picture = segment_drawing(labels)
    (tmp_path / "first.txt").write_bytes(EXPORTS["yolo"].write(segmentation, picture, {1, 2}))
    (tmp_path / "data.yaml").write_text(yolo.data_file(segmentation.classes))
    source = annotations.read(tmp_path)
    assert source.classes.names == segmentation.classes.names
    assert np.array_equal(source.labels("first", *labels.shape), labels)


def test_yolo_lines_are_exact_in_wide_pictures(segment_drawing):
    labels = np.random.default_rng(2).integers(0, 2, (1, 20_000), np.uint8)
    text = EXPORTS["yolo"].write(*segment_drawing(labels), {1}).decode()
    painted = np.zeros_like(labels)
    for line in text.splitlines():
        x = np.float64(line.split()[1::2]) * 20_000
        assert np.abs(x - x.round()).max() < 0.02
        painted[0, int(x.min().round()) : int(x.max().round())] = 1
    assert np.array_equal(painted, labels)


def test_exports_say_whether_they_follow_outlines(segment_drawing, monkeypatch):
    followed = []
    for module in (coco, geojson, yolo):
        monkeypatch.setattr(module, "outlines", lambda mask: followed.append(1) or [])
    segmentation, picture = segment_drawing(np.eye(9, dtype=np.uint8))
    for export in (one for one in EXPORTS.values() if one.needs is None):
        followed.clear()
        export.write(segmentation, picture, {0, 1})
        assert export.outlines == bool(followed), export.title


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_table_counts_pixels(segment_drawing, labels):
    read = rows(EXPORTS["csv"].write(*segment_drawing(labels), {1}).decode())
    assert [row["class"] for row in read] == ["background", "road", "tree"]
    for number, row in enumerate(read):
        assert int(row["class_id"]) == number
        assert int(row["pixels"]) == (labels == number).sum()
        assert float(row["share"]) == (labels == number).mean()
        assert (int(row["height"]), int(row["width"])) == labels.shape
        assert row["picture"] == "street/first.jpg"


def test_tables_of_many_pictures(segment_drawing, tmp_path):
    files = []
    for size in (2, 3):
        files.append(tmp_path / f"{size}.csv")
        segmentation, picture = segment_drawing(np.zeros((size, 4), np.uint8))
        files[-1].write_bytes(EXPORTS["csv"].write(segmentation, picture, {1}))
    read = rows("".join(table.merge(files, segmentation.classes)))
    assert [int(row["pixels"]) for row in read] == [8, 0, 0, 12, 0, 0]


@pytest.fixture(scope="module")
def segmented(make_checkpoint, tmp_path_factory, picture):
    segmenter = Segmenter(make_checkpoint(tmp_path_factory.mktemp("exports") / "tiny"))
    options = SegmentOptions(probabilities=True, confidence=True, entropy=True)
    return segmenter, segmenter.segment(picture, options)


def test_probabilities_are_those_of_the_network(segmented, segment_drawing):
    segmenter, segmentation = segmented
    content = EXPORTS["npz"].write(segmentation, segment_drawing(segmentation.labels)[1], {0})
    with np.load(io.BytesIO(content)) as read:
        probabilities, labels, classes = (
            read[name] for name in ("probabilities", "labels", "classes")
        )
    assert probabilities.dtype == np.float16
    assert probabilities.shape == (3, *segmentation.labels.shape)
    assert np.abs(probabilities.astype(np.float32).sum(0) - 1).max() < 2e-3
    assert classes.tolist() == list(segmenter.classes.names)
    assert np.array_equal(labels, segmentation.labels)
    chosen = np.take_along_axis(probabilities, labels[None].astype(int), 0)[0]
    assert np.array_equal(chosen, segmentation.confidence)
    assert (probabilities.max(0) == chosen).all()


@pytest.mark.parametrize("size", [(64, 64), (30, 45), (400, 20), (20, 400)])
def test_probabilities_are_the_same_in_tiles_of_any_order(segmented, size):
    """Scaled, at the network's own size, and gone through column by column."""
    segmenter, _ = segmented
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    options = SegmentOptions(probabilities=True, confidence=True, scale="native", tile=64)
    result = segmenter.segment(image, options)
    best = result.probabilities.max(0)
    assert np.array_equal(best, result.confidence)
    assert len(np.unique(result.labels)) > 1
    plain = segmenter.segment(image)
    assert plain.probabilities is None


def test_the_zip_holds_all_the_others(segmented, picture, tmp_path):
    _, segmentation = segmented
    given = Picture(picture, "a/scene.jpg")
    content = EXPORTS["zip"].write(segmentation, given, {1})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    single = {name: export for name, export in EXPORTS.items() if name != "zip"}
    assert len(single) == 11
    expected = {
        f"scene-{name}{export.suffix}": export.write(segmentation, given, {1})
        for name, export in single.items()
    }
    assert yaml.safe_load(files.pop("data.yaml"))["names"] == dict(
        enumerate(segmentation.classes.names)
    )
    assert files == expected
    assert EXPORTS["zip"].write(segmentation, given, {1}) == content
    mask = Image.open(io.BytesIO(files["scene-mask.png"]))
    assert np.array_equal(np.asarray(mask), segmentation.labels)


def test_the_zip_leaves_out_maps_that_were_not_asked_for(segment_drawing):
    content = EXPORTS["zip"].write(*segment_drawing(np.zeros((2, 2), np.uint8)), {1})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {name.removeprefix("first-") for name in archive.namelist()}
    assert not names & {"npz.npz", "confidence.png", "entropy.png"}
    assert {"mask.png", "coco.json", "geojson.geojson"} < names


def test_classes_are_chosen_by_name(segment_drawing):
    classes = segment_drawing(np.zeros((1, 1), np.uint8))[0].classes
    assert choose(classes, None) == {1, 2}
    assert choose(classes, ["tree", "background"]) == {0, 2}
    with pytest.raises(ConfigError, match=r"no class 'car'.*background, road, tree"):
        choose(classes, ["tree", "car"])
