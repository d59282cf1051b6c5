"""GeoJSON, read back by shapely in pixels and, for GeoTIFFs, in the map's coordinates."""

import json

import numpy as np
import pytest
import shapely
import tifffile
from shapely.geometry import shape

from model.inference.exports import EXPORTS, Picture

# Pixels of half a metre, north up, in UTM zone 33 north.
UTM = [
    (33550, "d", 3, (0.5, 0.5, 0.0)),
    (33922, "d", 6, (0.0, 0.0, 0.0, 390000.0, 5820000.0, 0.0)),
    (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)),
]


def read(content: bytes) -> tuple[dict, dict[int, shapely.Geometry]]:
    """The file, and each class's area."""
    loaded = json.loads(content)
    by_class: dict[int, list] = {}
    for feature in loaded["features"]:
        geometry = shape(feature["geometry"])
        assert geometry.is_valid, shapely.is_valid_reason(geometry)
        by_class.setdefault(feature["properties"]["class_id"], []).append(geometry)
    return loaded, {number: shapely.union_all(parts) for number, parts in by_class.items()}


def burnt(areas: dict[int, shapely.Geometry], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Labels from the areas, given the coordinates of the pixels' centres; 255 in none."""
    labels = np.full(x.shape, 255, np.uint8)
    for number, area in areas.items():
        labels[shapely.contains_xy(area, x, y)] = number
    return labels


def centres(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    return x, y


def geotiff(path, labels: np.ndarray, tags: list) -> Picture:
    image = np.random.default_rng(0).integers(0, 256, (*labels.shape, 3), np.uint8)
    extratags = [(code, kind, count, value, True) for code, kind, count, value in tags]
    tifffile.imwrite(path, image, photometric="rgb", extratags=extratags)
    picture = Picture.read(path)
    assert np.array_equal(picture.image, image)
    return picture


def test_pixel_coordinates_give_the_labels_back(segment_drawing, labels):
    loaded, areas = read(EXPORTS["geojson"].write(*segment_drawing(labels), {0, 1, 2}))
    assert "crs" not in loaded
    assert np.array_equal(burnt(areas, *centres(labels)), labels)


def test_features_say_what_they_are(segment_drawing, labels):
    loaded, _ = read(EXPORTS["geojson"].write(*segment_drawing(labels), {1, 2}))
    pixels = {1: 0, 2: 0}
    for feature in loaded["features"]:
        said = feature["properties"]
        pixels[said["class_id"]] += said["pixels"]
        expected = [("road", "#804080"), ("tree", "#6b8e23")][said["class_id"] - 1]
        assert (said["class"], said["colour"].lower()) == expected
        exterior, *holes = map(shapely.LinearRing, feature["geometry"]["coordinates"])
        assert exterior.is_ccw
        assert not any(hole.is_ccw for hole in holes)
    assert pixels == {1: (labels == 1).sum(), 2: (labels == 2).sum()}


def test_map_coordinates_of_a_geotiff(segment_drawing, labels, tmp_path):
    picture = geotiff(tmp_path / "tile.tif", labels, UTM)
    loaded, areas = read(EXPORTS["geojson"].write(segment_drawing(labels)[0], picture, {0, 1, 2}))
    assert loaded["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    x, y = centres(labels)
    assert np.array_equal(burnt(areas, 390000 + x / 2, 5820000 - y / 2), labels)
    for feature in loaded["features"]:
        assert shapely.LinearRing(feature["geometry"]["coordinates"][0]).is_ccw


def test_longitude_and_latitude_need_no_crs(segment_drawing, tmp_path):
    labels = np.uint8([[1, 1], [0, 1]])
    tags = [
        (33550, "d", 3, (0.001, 0.002, 0.0)),
        (33922, "d", 6, (0.0, 0.0, 0.0, 13.4, 52.5, 0.0)),
        (34735, "H", 12, (1, 1, 0, 2, 1024, 0, 1, 2, 2048, 0, 1, 4326)),
    ]
    picture = geotiff(tmp_path / "tile.tif", labels, tags)
    loaded, areas = read(EXPORTS["geojson"].write(segment_drawing(labels)[0], picture, {1}))
    assert "crs" not in loaded
    assert areas[1].bounds == pytest.approx((13.4, 52.496, 13.402, 52.5))


def test_a_turned_grid_of_pixel_centres(segment_drawing, labels, tmp_path):
    """A transformation matrix, whose origin is the centre of the first pixel."""
    matrix = (0.0, 2.0, 0.0, 100.0, 3.0, 0.0, 0.0, 200.0, *[0.0] * 7, 1.0)
    keys = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 2)
    tags = [(34264, "d", 16, matrix), (34735, "H", 12, keys)]
    picture = geotiff(tmp_path / "tile.tif", labels, tags)
    _, areas = read(EXPORTS["geojson"].write(segment_drawing(labels)[0], picture, {0, 1, 2}))
    row, column = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(float)
    assert np.array_equal(burnt(areas, 100 + 2 * row, 200 + 3 * column), labels)


@pytest.mark.parametrize(
    "tags",
    [
        [],
        [(33550, "d", 3, (0.0, 0.5, 0.0)), UTM[1]],  # all on a line
        [(33550, "d", 3, (float("nan"), 0.5, 0.0)), UTM[1]],
        [UTM[0]],
        [(33550, "s", 0, "half a metre"), UTM[1]],
        [*UTM, (274, "H", 1, 6)],  # turned by the viewer
    ],
    ids=["none", "no area", "not a number", "no tie point", "text", "orientation"],
)
def test_a_tiff_without_a_usable_place_has_pixel_coordinates(tags, tmp_path):
    assert geotiff_place(tmp_path / "tile.tif", tags) is None


def geotiff_place(path, tags: list):
    extratags = [(code, kind, count, value, True) for code, kind, count, value in tags]
    tifffile.imwrite(path, np.zeros((3, 4, 3), np.uint8), photometric="rgb", extratags=extratags)
    return Picture.read(path).place


def test_a_place_is_read_from_bytes_too(tmp_path):
    path = tmp_path / "tile.tif"
    geotiff_place(path, UTM)
    place = Picture.read(path.read_bytes()).place
    assert place.epsg == 32633
    assert place.to_map(np.array([[2, 4]])).tolist() == [[390001, 5819998]]


def test_of_several_tie_points_the_first_counts_as_in_gdal(tmp_path):
    corners = (0.0, 0.0, 0.0, 390000.0, 5820000.0, 0.0, 4.0, 3.0, 0.0, 390003.0, 5819990.0, 0.0)
    place = geotiff_place(tmp_path / "tile.tif", [UTM[0], (33922, "d", 12, corners), UTM[2]])
    assert place.to_map(np.array([[2, 4]])).tolist() == [[390001, 5819998]]


def test_an_own_coordinate_system_has_no_code(tmp_path):
    keys = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32767)
    place = geotiff_place(tmp_path / "tile.tif", [*UTM[:2], (34735, "H", 12, keys)])
    assert place is not None
    assert place.epsg is None
