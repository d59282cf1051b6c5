"""Outlines cover exactly their pixels and are valid polygons; shapely and scipy are the judges."""

import tracemalloc

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from model.inference.exports.outlines import outlines

masks = arrays.arrays(
    bool, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.booleans()
)


def pixels(shape: shapely.Geometry, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] + 0.5
    return shapely.contains_xy(shape, x, y)


@given(masks)
def test_every_connected_part_is_one_valid_polygon(mask):
    parts, count = ndimage.label(mask)  # 4-connected
    found = outlines(mask)
    assert len(found) == count
    firsts = [np.argwhere(parts == number)[0][::-1] for number in range(1, count + 1)]
    assert [o.exterior[0].tolist() for o in found] == [first.tolist() for first in firsts]
    for number, outline in enumerate(found, 1):
        polygon = shapely.Polygon(outline.exterior, outline.holes)
        assert polygon.is_valid, shapely.is_valid_reason(polygon)
        part = parts == number
        assert np.array_equal(pixels(polygon, *mask.shape), part)
        assert polygon.area == outline.area == part.sum()


@given(masks)
def test_exteriors_turn_clockwise_on_the_screen_and_holes_the_other_way(mask):
    for outline in outlines(mask):
        assert shapely.LinearRing(outline.exterior).is_ccw  # y down on the screen
        assert not any(shapely.LinearRing(hole).is_ccw for hole in outline.holes)


@given(masks)
def test_corners_are_corners(mask):
    for outline in outlines(mask):
        for ring in (outline.exterior, *outline.holes):
            steps = np.diff(ring, axis=0, append=ring[:1])
            horizontal = steps[:, 0] != 0
            assert ((steps != 0).sum(axis=1) == 1).all()
            assert (horizontal != np.roll(horizontal, 1)).all()


@given(masks)
def test_one_ring_encloses_what_exterior_and_holes_do(mask):
    for outline in outlines(mask):
        ring = outline.one_ring()
        area = shapely.Polygon(outline.exterior, outline.holes).area
        x, y = ring.T
        assert abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2 == area
        # All lines along pixel edges, bridges within the part.
        steps = np.diff(ring, axis=0, append=ring[:1])
        assert ((steps != 0).sum(axis=1) <= 1).all()


def test_one_ring_of_a_chain_of_holes_takes_no_more_memory_than_its_corners():
    """Each hole's bridge ends on the hole before it, 2000 deep."""
    mask = np.ones((3, 4001), bool)
    mask[1, 1::2] = False
    (outline,) = outlines(mask)
    tracemalloc.start()
    ring = outline.one_ring()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(ring) == 4 + 2000 * (4 + 3)
    assert peak < 20 * ring.nbytes
