"""Outlines to pixels: the fill rule, and each annotation format as its tools write it."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data import annotations
from model.data.annotations.convert import write_masks
from model.data.classes import VOID
from model.data.masks import read_index
from model.data.polygons import CocoPolygon, Patch, Polygon, RunLengths, Shape, paint
from model.errors import ConfigError, DataError

SQUARE = [[2, 1], [6, 1], [6, 4], [2, 4]]


def random_polygon(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A star-shaped polygon that reaches over a good part of the picture."""
    count = rng.integers(5, 12)
    angles = (np.arange(count) + rng.uniform(-0.4, 0.4, count)) * 2 * np.pi / count
    radius = rng.uniform(0.35, 1.2, count) * min(height, width) / 2
    centre = rng.uniform(0.4, 0.6, 2) * (width, height)
    return centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def supersampled_area(points: np.ndarray, height: int, width: int, factor: int = 8) -> float:
    """The area inside by the even-odd rule, from factor x factor samples in each pixel; each
    sample is tested against each edge, one column of samples at a time."""
    y = (np.arange(height * factor) + 0.5) / factor
    edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
    total = 0
    for x in (np.arange(width * factor) + 0.5) / factor:
        inside = np.zeros(len(y), bool)
        for (x0, y0), (x1, y1) in edges:
            if (x0 > x) != (x1 > x):
                inside ^= y < y0 + (x - x0) * (y1 - y0) / (x1 - x0)
        total += inside.sum()
    return total / factor**2


def write_json(path: Path, content) -> Path:
    path.write_text(json.dumps(content))
    return path


def picture(path: Path, width: int = 8, height: int = 6, colour=(9, 9, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


# The fill rule


def test_pixel_centres_decide():
    mask = Polygon(np.float64(SQUARE)).mask(6, 8)
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    assert np.array_equal(mask, expected)


def test_centres_on_left_and_upper_edges_are_inside_others_outside():
    mask = Polygon(np.float64(SQUARE) + 0.5).mask(8, 9)
    expected = np.zeros((8, 9), bool)
    expected[1:4, 2:6] = True
    assert np.array_equal(mask, expected)


def test_direction_and_starting_point_do_not_matter():
    points = random_polygon(np.random.default_rng(3), 40, 50)
    mask = Polygon(points).mask(40, 50)
    assert np.array_equal(Polygon(points[::-1]).mask(40, 50), mask)
    assert np.array_equal(Polygon(np.roll(points, 3, axis=0)).mask(40, 50), mask)


def test_neighbours_with_a_common_edge_neither_overlap_nor_leave_a_gap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.uniform(0, 20, (2, 2))
        left = Polygon(np.array([[0, 0], a, b, [0, 20]]))
        right = Polygon(np.array([[20, 0], a, b, [20, 20]]))
        top = Polygon(np.array([[0, 0], a, [20, 0]]))
        bottom = Polygon(np.array([[0, 20], b, [20, 20]]))
        total = sum(shape.mask(20, 20).astype(int) for shape in (left, right, top, bottom))
        assert (total % 2 == 1).all()


def test_self_crossings_are_even_odd():
    bow = Polygon(np.float64([[0, 0], [10, 10], [10, 0], [0, 10]]))
    assert bow.mask(10, 10)[5].tolist() == [True] * 4 + [False] + [True] * 5
    twice = Polygon(np.float64([*SQUARE, *SQUARE]))
    assert not twice.mask(6, 8).any()


def test_what_lies_outside_the_picture_is_cut():
    mask = Polygon(np.float64([[-5, -5], [3, -5], [3, 30], [-5, 30]])).mask(6, 8)
    expected = np.zeros((6, 8), bool)
    expected[:, :3] = True
    assert np.array_equal(mask, expected)


def test_areas_agree_with_a_supersampled_oracle():
    rng = np.random.default_rng(0)
    for _ in range(12):
        height, width = rng.integers(120, 220, 2)
        points = random_polygon(rng, height, width)
        exact = supersampled_area(points, height, width)
        area = Polygon(points).mask(height, width).sum()
        assert abs(area - exact) / exact < 0.005


def test_coordinates_in_other_units_are_refused():
    for value in (1e9, -1e9, np.nan):
        polygon = Polygon(np.float64([[0, 0], [value, 3], [4, 4]]))
        with pytest.raises(DataError, match=r"^Line 4: .*far outside"):
            paint([Shape(1, polygon, "Line 4")], 6, 8)


def test_later_shapes_lie_over_earlier_ones():
    left, right = (Polygon(np.float64(SQUARE) + np.array([x, 0])) for x in (0, 2))
    over = paint([Shape(1, left), Shape(2, right)], 6, 8)
    under = paint([Shape(2, right), Shape(1, left)], 6, 8)
    assert over[2].tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    assert under[2].tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    # A later patch of a class elsewhere takes nothing from what lies on its earlier shapes.
    patch = Polygon(np.float64(SQUARE) + np.array([-2, 2]))
    patched = paint([Shape(1, left), Shape(2, right), Shape(1, patch)], 6, 8)
    assert np.array_equal(patched[:3], over[:3])
    assert patched[5].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_a_patch_may_stick_out():
    mask = Patch(np.ones((4, 4), bool), column=-2, row=4).mask(6, 8)
    assert mask.sum() == 4
    assert mask[4:, :2].all()
    assert not Patch(np.ones((4, 4), bool), column=9, row=0).mask(6, 8).any()


# COCO


def coco_file(annotations, height=40, width=50) -> dict:
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": width, "height": height}],
        "categories": [{"id": 90, "name": "dog"}, {"id": 18, "name": "cat"}],
        "annotations": [{"id": i, "image_id": 7, **a} for i, a in enumerate(annotations)],
    }


def coco_masks(path: Path) -> list[np.ndarray]:
    """Each annotation's mask by pycocotools itself."""
    from pycocotools.coco import COCO

    coco = COCO(path)
    return [coco.annToMask(a).astype(bool) for a in coco.loadAnns(sorted(coco.getAnnIds()))]


def flat(points: np.ndarray) -> list[float]:
    return np.round(points, 2).ravel().tolist()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("seed", range(8))
def test_coco_agrees_with_pycocotools_to_the_pixel(seed, tmp_path):
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(20, 90, 2))
    ring = np.zeros((height, width), np.uint8, order="F")
    ring[4:15, 3:17] = 1
    ring[7:11, 6:12] = 0  # a hole
    compressed = coco_mask.encode(ring)
    compressed["counts"] = compressed["counts"].decode()
    noise = np.asfortranarray(rng.integers(0, 2, (height, width), np.uint8))
    changes = np.flatnonzero(np.diff(noise.ravel("F"), prepend=0, append=2))
    counts = np.diff(changes, prepend=0).tolist()
    parts = [flat(random_polygon(rng, height, width)) for _ in range(3)]
    path = write_json(
        tmp_path / "instances.json",
        coco_file(
            [
                {"category_id": 18, "segmentation": parts[:1]},
                {"category_id": 18, "segmentation": parts[1:]},
                {"category_id": 90, "segmentation": compressed},
                {
                    "category_id": 90,
                    "iscrowd": 1,
                    "segmentation": {"size": [height, width], "counts": counts},
                },
            ],
            height,
            width,
        ),
    )
    single, several, ringed, crowd = coco_masks(path)
    assert np.array_equal(ringed, ring)
    assert np.array_equal(crowd, noise)
    expected = np.zeros((height, width), np.uint8)
    expected[single | several] = 1  # cat, the lower category id
    expected[ringed | crowd] = 2
    assert np.array_equal(annotations.read(path).labels("a", height, width), expected)
    expected[single | several] = 1
    expected[ringed] = 2
    expected[crowd] = VOID
    read = annotations.read(path, crowd="void").labels("a", height, width)
    assert np.array_equal(read, expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_polygons_over_the_border_agree_too(tmp_path):
    rng = np.random.default_rng(1)
    parts = [flat(random_polygon(rng, 40, 50) * 1.7 - 15) for _ in range(20)]
    shapes = [{"category_id": 18, "segmentation": [part]} for part in parts]
    path = write_json(tmp_path / "instances.json", coco_file(shapes))
    for part, expected in zip(parts, coco_masks(path), strict=True):
        mask = CocoPolygon(np.reshape(part, (-1, 2))).mask(40, 50)
        assert np.array_equal(mask, expected)


def test_coco_classes_are_its_categories_by_id(tmp_path):
    found = annotations.read(write_json(tmp_path / "a.json", coco_file([])))
    assert found.format == "COCO"
    assert found.classes.names == ["background", "cat", "dog"]
    assert found.names() == ["a"]
    assert not found.labels("a", 40, 50).any()


def test_coco_crowds_can_be_left_out_and_boxes_are_counted(tmp_path):
    whole = {"size": [40, 50], "counts": [0, 2000]}
    content = coco_file(
        [
            {"category_id": 18, "iscrowd": 1, "segmentation": whole},
            {"category_id": 18, "segmentation": [], "bbox": [1, 1, 5, 5]},
        ]
    )
    path = write_json(tmp_path / "a.json", content)
    assert (annotations.read(path).labels("a", 40, 50) == 1).all()
    found = annotations.read(path, crowd="skip")
    assert not found.labels("a", 40, 50).any()
    assert found.skipped == {"box without an outline": 1}


@pytest.mark.parametrize("outline", [[5, 5, 6, 6], []])
def test_coco_outlines_of_no_area_are_counted(outline, tmp_path):
    good = [1, 1, 5, 1, 3, 6]
    shapes = [{"category_id": 18, "segmentation": s} for s in ([good], [outline], [good, outline])]
    found = annotations.read(write_json(tmp_path / "a.json", coco_file(shapes)))
    assert found.labels("a", 40, 50).any()
    assert found.skipped == {"outline of fewer than three points": 2}


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 1, 5, 1, 3]], "annotation 0: an outline has 5 numbers"),
        ({"size": [50, 40], "counts": [0, 2000]}, "is for 40 x 50 pixels"),
        ({"size": [40, 50], "counts": [0, 1999]}, "add up to 1999 pixels"),
        ({"size": [40, 50], "counts": [0, 3000]}, "add up to 3000 pixels"),
        ({"size": [40, 50], "counts": "00000"}, "add up to"),
        ({"size": [40, 50], "counts": "~~~"}, "not in COCO's compressed form"),
        ({"size": [40, 50], "counts": "ZZZ"}, "cut short"),
        ({"size": [40, 50], "counts": [-4, 2004]}, "greater than or equal to 0"),
        ([[1, 1, 5, 1, 3, 1e30]], "far outside a picture"),
        ([[1, 1, 5, 1, 3, None]], "annotations.0.segmentation"),
    ],
)
def test_coco_shapes_that_cannot_be_are_named(segmentation, message, tmp_path):
    content = coco_file([{"category_id": 18, "segmentation": segmentation}])
    path = write_json(tmp_path / "instances.json", content)
    with pytest.raises(DataError, match=message) as caught:
        annotations.read(path).labels("a", 40, 50)
    assert "instances.json" in str(caught.value)


def test_coco_references_must_exist_and_sizes_agree(tmp_path):
    good = {"category_id": 18, "segmentation": [[1, 1, 5, 1, 3, 6]]}
    for change, message in (({"category_id": 4}, "no category 4"), ({"image_id": 8}, "id 8")):
        path = write_json(tmp_path / "a.json", coco_file([good | change]))
        with pytest.raises(DataError, match=message):
            annotations.read(path)
    found = annotations.read(write_json(tmp_path / "a.json", coco_file([good])))
    with pytest.raises(DataError, match=r"a\.jpg is 50 x 40, but the picture is 25 x 20"):
        found.labels("a", 20, 25)


# YOLO


def yolo(folder: Path, **files: str) -> annotations.AnnotationSet:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return annotations.read(folder)


def test_yolo_coordinates_are_fractions_and_later_lies_over_earlier(tmp_path):
    whole, half = "0 0 0 1 0 1 1 0 1\n", "1 0.5 0 1 0 1 1 0.5 1\n"
    found = yolo(tmp_path, a=whole + half, b=half + whole, c=half + half, empty="")
    assert found.format == "YOLO segmentation"
    assert found.labels("a", 3, 4).tolist() == [[1, 1, 2, 2]] * 3
    assert found.labels("b", 3, 4).tolist() == [[1, 1, 1, 1]] * 3
    assert found.labels("c", 3, 4).tolist() == [[0, 0, 2, 2]] * 3
    assert found.labels("empty", 3, 4).tolist() == [[0, 0, 0, 0]] * 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [road, car]"),
        ("data.yaml", "train: x\nnames:\n  1: car\n  0: road"),
        ("classes.txt", "road\ncar\n\n"),
    ],
)
def test_yolo_class_names_are_found_beside_and_above(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    labels = tmp_path / "labels"
    labels.mkdir()
    found = yolo(labels / "train", a="1 0 0 1 0 1 1")
    assert found.classes.names == ["background", "road", "car"]
    assert annotations.read(labels).names() == ["train/a"]


def test_yolo_without_names_counts_classes(tmp_path):
    assert yolo(tmp_path, a="2 0 0 1 0 1 1").classes.names == [
        "background",
        "class 0",
        "class 1",
        "class 2",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.1 0.1 0.5 0.5", r"a\.txt, line 1 is a box"),
        ("\n0 0 0 1 0 1", r"line 2: an outline has 5 numbers"),
        ("0 0 0 1 0", "is a box"),
        ("0 0 0", "an outline has 2 numbers"),
        ("0 0 0 320 0 320 240", "fractions of the picture's width.* there is 320"),
        ("0 0 0 nan 0 1 1", "fractions"),
        ("road 0 0 1 0 1 1", "must be a class number"),
        ("0.5 0 0 1 0 1 1", "must be a class number"),
        ("-1 0 0 1 0 1 1", "negative"),
    ],
)
def test_yolo_lines_that_cannot_be_are_named(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        yolo(tmp_path, a=text).labels("a", 4, 4)


def test_yolo_classes_beyond_the_names_are_refused(tmp_path):
    (tmp_path / "data.yaml").write_text("names: [road]")
    with pytest.raises(DataError, match=r"line 1: there is no class 3; .*road"):
        yolo(tmp_path, a="3 0 0 1 0 1 1").labels("a", 4, 4)
    (tmp_path / "data.yaml").write_text("names: 5")
    with pytest.raises(DataError, match=r"data\.yaml, at names"):
        annotations.read(tmp_path)


# LabelMe


def labelme(shapes, **extra) -> dict:
    return {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "a.jpg", **extra}


def labelme_shape(label, points, kind="polygon", **extra) -> dict:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, **extra}


def test_labelme_shapes(tmp_path):
    bitmap = io.BytesIO()
    Image.fromarray(np.uint8([[1, 0], [1, 1]])).save(bitmap, "PNG")
    text = base64.b64encode(bitmap.getvalue()).decode()
    shapes = [
        labelme_shape("a_polygon", SQUARE),
        labelme_shape("b_rectangle", [[19, 8], [15, 4]], "rectangle"),
        labelme_shape("c_circle", [[25, 25], [25, 35]], "circle"),
        labelme_shape("d_mask", [[2, 30], [3, 31]], "mask", mask=text),
        labelme_shape("e_point", [[1, 1]], "point"),
        labelme_shape("e_point", [[1, 1], [2, 2]]),
        labelme_shape("__ignore__", [[38, 0], [40, 0], [40, 40], [38, 40]]),
    ]
    found = annotations.read(write_json(tmp_path / "a.json", labelme(shapes, imageWidth=40)))
    assert found.format == "LabelMe"
    assert found.skipped == {"point": 1, "outline of fewer than three points": 1}
    assert found.classes.names[:3] == ["background", "a_polygon", "b_rectangle"]
    labels = found.labels("a", 40, 40)
    expected = np.zeros((40, 40), np.uint8)
    expected[1:4, 2:6] = 1
    expected[4:8, 15:19] = 2
    rows, columns = np.mgrid[:40, :40] + 0.5
    expected[(rows - 25) ** 2 + (columns - 25) ** 2 <= 100] = 3
    expected[30:32, 2:4] = [[4, 0], [4, 4]]
    expected[:, 38:] = VOID
    assert np.array_equal(labels, expected)


def test_labelme_folders_share_one_class_list(tmp_path):
    write_json(tmp_path / "a.json", labelme([labelme_shape("road", SQUARE)]))
    write_json(tmp_path / "b.json", labelme([labelme_shape("car", SQUARE)]))
    found = annotations.read(tmp_path)
    assert found.classes.names == ["background", "car", "road"]
    assert found.labels("a", 6, 8).max() == 2
    ordered = annotations.read(tmp_path, ["road", "car"])
    assert ordered.labels("a", 6, 8).max() == 1
    with pytest.raises(DataError, match=r"b\.json, shape 0 \(car\).*'car' is not one of"):
        annotations.read(tmp_path, ["road"]).labels("b", 6, 8)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (labelme_shape("x", [[1, 1], [1e6, 2]], "circle"), r"shape 0 \(x\): .* far outside"),
        (labelme_shape("x", [[1, 1]], "circle"), "a circle needs two points, but has 1"),
        (labelme_shape("x", [[1, 1], [2, 2]], "spline"), "'spline' are not known"),
        (labelme_shape("x", [[1, 1], [2, 2]], "mask", mask="!"), "bitmap cannot be read"),
        (labelme_shape("x", [[1, 1], [2, 2]], "mask", mask="aaaa"), "bitmap cannot be read"),
        ({"label": "x"}, r"at shapes\.0\.points"),
    ],
)
def test_labelme_shapes_that_cannot_be_are_named(shape, message, tmp_path):
    path = write_json(tmp_path / "a.json", labelme([shape]))
    with pytest.raises(DataError, match=message):
        annotations.read(path).labels("a", 6, 8)


def test_labelme_must_be_of_the_picture_s_size(tmp_path):
    path = write_json(tmp_path / "a.json", labelme([], imageWidth=16, imageHeight=12))
    with pytest.raises(DataError, match="for a picture of 16 x 12, but the picture is 8 x 6"):
        annotations.read(path).labels("a", 6, 8)


# Scalabel


def scalabel(*poly2d, **extra) -> list:
    labels = [{"id": "0", "category": "road", "poly2d": list(poly2d), **extra}]
    return [{"name": "a.jpg", "labels": labels}, {"name": "b.jpg"}]


def test_scalabel_polygons(tmp_path):
    closed = {"vertices": SQUARE, "types": "LLLL", "closed": True}
    lane = {"vertices": [[0, 0], [8, 6]], "types": "LL", "closed": False}
    content = scalabel(closed, lane)
    content[0]["labels"].append({"category": "lane", "poly2d": [lane]})
    content[0]["labels"].append({"category": "road", "poly2d": [lane | {"closed": True}]})
    content[0]["labels"].append({"category": "car", "box2d": {"x1": 0, "y1": 0, "x2": 1, "y2": 1}})
    expected = Polygon(np.float64(SQUARE)).mask(6, 8)
    for written in (content, {"frames": content}):
        found = annotations.read(write_json(tmp_path / "a.json", written))
        assert found.format == "Scalabel / BDD100K"
        assert found.classes.names == ["background", "road"]
        assert found.names() == ["a", "b"]
        assert np.array_equal(found.labels("a", 6, 8), expected)
        assert not found.labels("b", 6, 8).any()
        assert found.skipped == {
            "open line": 1,
            "label without an outline": 1,
            "outline of fewer than three points": 1,
        }


def test_scalabel_curves_are_cubic_beziers(tmp_path):
    # Four cubics that make a circle to 0.03 % (control points at 0.5522847 of the radius).
    k, r, c = 0.5522847, 40, 50
    quarter = np.array([[1, 0], [1, k], [k, 1]])
    turns = [np.array([[1, 0], [0, 1]]), np.array([[0, 1], [-1, 0]])]
    turns += [-turn for turn in turns]
    vertices = (c + r * np.vstack([quarter @ turn for turn in turns])).tolist()
    types = "LCC" * 4  # the last curve ends in the first vertex
    content = scalabel({"vertices": vertices, "types": types, "closed": True})
    labels = annotations.read(write_json(tmp_path / "a.json", content)).labels("a", 100, 100)
    rows, columns = np.mgrid[:100, :100] + 0.5
    disc = np.hypot(rows - c, columns - c) <= r
    assert (labels.astype(bool) != disc).sum() <= 12
    assert abs(labels.sum() / (np.pi * r**2) - 1) < 0.003


def test_scalabel_run_lengths_and_configured_categories(tmp_path):
    content = {
        "frames": scalabel(rle={"size": [6, 8], "counts": "05[1"}),
        "config": {
            "categories": [
                {"name": "person"},
                {"name": "ground", "subcategories": [{"name": "road"}, {"name": "grass"}]},
            ]
        },
    }
    found = annotations.read(write_json(tmp_path / "a.json", content))
    assert found.classes.names == ["background", "person", "road", "grass"]
    labels = found.labels("a", 6, 8)
    assert labels.sum() == 2 * 5
    assert (labels[:5, 0] == 2).all()


@pytest.mark.parametrize(
    ("poly", "message"),
    [
        ({"vertices": SQUARE, "types": "LLL", "closed": True}, "4 vertices, but 3 types"),
        ({"vertices": SQUARE, "types": "LLLC", "closed": True}, "two control points and an end"),
        ({"vertices": SQUARE, "types": "LLXL", "closed": True}, "types"),
    ],
)
def test_scalabel_outlines_that_cannot_be_are_named(poly, message, tmp_path):
    path = write_json(tmp_path / "a.json", scalabel(poly))
    with pytest.raises(DataError, match=message):
        annotations.read(path).labels("a", 6, 8)


# Recognition and conversion


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ('{"a": 1}', "none of the known formats"),
        ("5", "none of the known formats"),
        ('{"images": [], "annotations": []}', "at categories: Field required"),
        ("[1]", r"at frames\.0"),
    ],
)
def test_other_json_is_refused(content, message, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=message):
        annotations.read(tmp_path / "a.json")


def test_json_is_read_as_other_programs_write_it(tmp_path):
    good = {"category_id": 18, "segmentation": [[1, 1, 5, 1, 3, 6]], "area": float("nan")}
    path = write_json(tmp_path / "a.json", coco_file([good]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert annotations.read(path).labels("a", 40, 50).any()
    good["segmentation"] = [[1, 1, 5, 1, 3, float("nan")]]
    write_json(path, coco_file([good]))
    with pytest.raises(DataError, match=r"annotations\.0\.segmentation"):
        annotations.read(path)


def test_json_files_of_other_programs_are_named(tmp_path):
    write_json(tmp_path / "b.json", labelme([labelme_shape("road", SQUARE)]))
    (tmp_path / "._b.json").write_bytes(b"AppleDouble")
    assert annotations.read(tmp_path).names() == ["b"]
    for name in ("a", "flags"):
        (tmp_path / f"{name}.json").write_text("{}")
        with pytest.raises(DataError, match=rf"^{name}\.json is not LabelMe, .* move it elsewhere"):
            annotations.read(tmp_path)
        (tmp_path / f"{name}.json").unlink()


def test_label_files_in_linked_folders_are_read(tmp_path):
    yolo(tmp_path / "elsewhere", a="")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/train").symlink_to(tmp_path / "elsewhere")
    assert annotations.read(tmp_path / "labels").names() == ["train/a"]


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        annotations.read(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no YOLO label files"):
        annotations.read(tmp_path)


def test_a_mistake_in_the_last_annotation_leaves_nothing(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / f"images/{name}.jpg")
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "a.txt").write_text("0 0 0 1 0 1 1 0 1")
    (labels / "b.txt").write_text("0 0 0 1 0")
    for _ in range(2):  # also the second time, which an unfinished folder would hinder
        with pytest.raises(DataError, match=r"b\.txt"):
            write_masks(annotations.read(labels), tmp_path / "images", tmp_path / "masks")
        assert not list((tmp_path / "masks").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"images", "labels", "masks"}


def test_a_file_that_is_no_label_file_is_named(tmp_path):
    (tmp_path / "log.txt").write_text("2024 0 0 1 0 1 1 0 1")
    with pytest.raises(DataError, match=r"log\.txt has a class 2024"):
        annotations.read(tmp_path)


def test_masks_are_written_for_each_picture(tmp_path):
    for name in ("train/a", "train/b", "val/c"):
        picture(tmp_path / f"images/{name}.jpg")
    labels = tmp_path / "labels"
    for name, text in (("train/a", "0 0 0 1 0 1 1 0 1"), ("train/b", ""), ("x", "")):
        (labels / name).parent.mkdir(parents=True, exist_ok=True)
        (labels / f"{name}.txt").write_text(text)
    found = annotations.read(labels)
    with pytest.raises(DataError, match=r"1 of 3 pictures have no annotation: val/c"):
        write_masks(found, tmp_path / "images", tmp_path / "masks")
    assert not (tmp_path / "masks").exists()
    done = write_masks(found, tmp_path / "images", tmp_path / "masks", "skip")
    assert (done.written, done.without_annotation, done.without_picture) == (2, ["val/c"], ["x"])
    assert (read_index(tmp_path / "masks/train/a.png") == 1).all()
    assert not read_index(tmp_path / "masks/train/b.png").any()
    assert done.pixels[:2].tolist() == [48, 48]
    done = write_masks(found, tmp_path / "images", tmp_path / "again", "background")
    assert not read_index(tmp_path / "again/val/c.png").any()
    with pytest.raises(ConfigError, match="is not empty"):
        write_masks(found, tmp_path / "images", tmp_path / "again", "background")


def test_pictures_in_other_folders_are_matched_by_file_name(tmp_path):
    picture(tmp_path / "images/deep/a.jpg", 50, 40)
    whole = {"category_id": 18, "segmentation": {"size": [40, 50], "counts": [0, 2000]}}
    found = annotations.read(write_json(tmp_path / "coco.json", coco_file([whole])))
    write_masks(found, tmp_path / "images", tmp_path / "masks")
    assert (read_index(tmp_path / "masks/deep/a.png") == 1).all()


def test_no_common_names_are_said(tmp_path):
    picture(tmp_path / "images/b.jpg")
    found = yolo(tmp_path / "labels", a="")
    with pytest.raises(DataError, match="pictures are called b, annotations a"):
        write_masks(found, tmp_path / "images", tmp_path / "masks")


def test_run_lengths_of_every_shape_agree_with_pycocotools():
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for _ in range(40):
        height, width = rng.integers(1, 60, 2)
        truth = rng.random((height, width)) < rng.choice([0, 0.02, 0.5, 0.98, 1])
        encoded = coco_mask.encode(np.asfortranarray(truth, np.uint8))
        assert np.array_equal(
            RunLengths((height, width), encoded["counts"].decode()).mask(height, width), truth
        )
