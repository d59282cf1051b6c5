"""The real data sets: every layout and encoding as it was published, to the pixel."""

from itertools import chain

import numpy as np
import pytest
from PIL import Image

from model.data import datasets, splits
from model.data.annotations.yolo import read_lines
from model.data.classes import VOID
from model.data.datasets.aerial import OVERLAP, PATCH

pytestmark = pytest.mark.data

SIZES = {
    "carla": (504, 108, 108),
    "roads": (313, 54, 101),
    "potholes": (168, 36, 36),
    "drivable": (56, 12, 12),
    "aerial": (1269, 162, 108),
    "pets": (422, 85, 85),
    "pets-binary": (422, 85, 85),
    "camvid": (367, 101, 233),
}


@pytest.mark.parametrize("name", SIZES)
def test_splits_have_their_sizes_and_pairs_fit(name, data_root):
    data = datasets.load(name, data_root)
    assert tuple(len(data.names(part)) for part in splits.PARTS) == SIZES[name]
    samples = list(chain.from_iterable(data.split.values()))
    seen = np.zeros(256, bool)
    for sample in samples[:: max(1, len(samples) // 40)]:
        image, labels = data.pair(sample)
        assert image.shape[:2] == labels.shape
        assert np.array_equal(labels, data.labels(sample))
        seen[np.unique(labels)] = True
    assert not seen[len(data.classes) : VOID].any()
    assert seen[: len(data.classes)].mean() > 0.7


def test_splits_that_trainings_rest_on_stay_as_they_are(data_root):
    digests = {"carla": "5a3b2990d8ac8d8b", "pets": "38d9d21c4c85fdb8"}
    for name, digest in digests.items():
        assert splits.digest(datasets.load(name, data_root).split) == digest


def test_camvid_labels_are_the_files_with_11_as_void(data_root):
    data = datasets.load("camvid", data_root)
    for name in data.names("test")[::40]:
        stored = np.asarray(Image.open(data_root / f"camvid/testannot/{name}.png"))
        expected = np.where(stored == 11, VOID, stored)
        assert np.array_equal(data.labels(name), expected)


def test_pets_binary_counts_the_border_as_pet(data_root):
    three, two = datasets.load("pets", data_root), datasets.load("pets-binary", data_root)
    name = three.names("test")[0]
    assert np.array_equal(two.labels(name) == 0, three.labels(name) == 1)
    assert three.split == two.split


def test_aerial_patches_cover_their_parts_and_never_cross_tiles(data_root):
    data = datasets.load("aerial", data_root)
    tiles = {part: {data.group_of(n) for n in names} for part, names in data.split.items()}
    assert tiles["test"] == {"1"}
    assert tiles["validation"] == {"2", "3"}
    assert tiles["train"] == {"4", "5", "6", "7"}
    for part in ("2-005", "3-001"):  # a tile of palette files and one of RGB
        number, piece = part.split("-")
        path = data_root / f"aerial/Tile {number}/masks/image_part_{piece}.png"
        colours = np.asarray(Image.open(path).convert("RGB"))
        assert min(colours.shape[:2]) > PATCH
        covered = np.zeros(colours.shape[:2], int)
        for name in (n for n in chain.from_iterable(data.split.values()) if n.startswith(part)):
            top, left = (int(field[1:]) for field in name.split("-")[2:])
            labels = data.labels(name)
            assert labels.shape == (PATCH, PATCH)
            painted = data.classes.palette()[labels]  # void is black in the palette as well
            assert np.array_equal(painted, colours[top : top + PATCH, left : left + PATCH])
            covered[top : top + PATCH, left : left + PATCH] += 1
        assert covered.min() == 1
        # Somewhere in the middle of each row neighbours share at least the stated overlap.
        assert (covered.max(axis=0) > 1).sum() >= OVERLAP


def test_traced_roads_agree_with_camvid_s_own_road_class(data_root):
    roads, camvid = datasets.load("roads", data_root), datasets.load("camvid", data_root)
    road = camvid.classes.names.index("road")
    union = intersection = 0
    for name in roads.names("test")[::5]:
        traced = roads.labels(name) == 1
        stored = camvid.labels(name.removeprefix("val/")) == road
        intersection += (traced & stored).sum()
        union += (traced | stored).sum()
    assert intersection / union > 0.9


def test_polygons_cover_the_area_that_they_enclose(data_root):
    data = datasets.load("drivable", data_root)
    for name in data.names("test"):
        (_, _, points), *others = read_lines(data.masks[name])
        assert not others
        x, y = points.T
        area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
        assert (data.labels(name) == 1).mean() == pytest.approx(area, rel=0.005)
