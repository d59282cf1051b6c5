"""GeoJSON (RFC 7946): a polygon with its holes for each connected part of a class."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np

from model.inference.exports.geotiff import Georeference
from model.inference.exports.outlines import outlines
from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation

WGS84 = 4326
"""The coordinate system that GeoJSON has unless it says otherwise: longitude and latitude."""


def geojson(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """Features with the properties `class`, `class_id`, `colour`, and `pixels`, their number.

    If the picture is a GeoTIFF, these are map coordinates in its own coordinate system, which is
    stated in `crs` unless it is WGS 84. RFC 7946 has no other; GDAL and QGIS read the member as
    its 2008 draft defines it. If the file does not name the system by a code, there is no `crs`,
    and the reader has to supply it. Other pictures have pixel coordinates: x to the right and y
    down from the upper left corner.
    """
    place = picture.place
    features = [
        {
            "type": "Feature",
            "properties": {
                "class": info.name,
                "class_id": info.id,
                "colour": info.colour,
                "pixels": outline.area,
            },
            "geometry": {
                "type": "Polygon",
                "coordinates": [_ring(r, place) for r in (outline.exterior, *outline.holes)],
            },
        }
        for info in segmentation.classes
        if info.id in chosen
        for outline in outlines(segmentation.labels == info.id)
    ]
    content = {"type": "FeatureCollection", "name": picture.stem, "features": features}
    if place and place.epsg not in (None, WGS84):
        name = f"urn:ogc:def:crs:EPSG::{place.epsg}"
        content["crs"] = {"type": "name", "properties": {"name": name}}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _ring(points: np.ndarray, place: Georeference | None) -> list[list[float]]:
    """Closed, and wound so that exteriors have positive area, as RFC 7946 requires."""
    closed = np.concatenate([points, points[:1]])
    if place is None:
        return closed.tolist()
    return place.to_map(closed)[:: -1 if place.mirrored else 1].tolist()
