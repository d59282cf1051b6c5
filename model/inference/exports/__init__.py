"""What a segmentation can be saved as: one list for command line, pages and API.

>>> picture = Picture.read("cat.jpg")                                    # doctest: +SKIP
>>> segmentation = Segmenter("pets-mobilenet").segment(picture.image)    # doctest: +SKIP
>>> Path("cat.geojson").write_bytes(                                     # doctest: +SKIP
...     EXPORTS["geojson"].write(segmentation, picture, {0})
... )
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.classes import ClassTable
from model.data.drawing import shown_at_first
from model.errors import ConfigError
from model.inference.exports import arrays, bundle, coco, geojson, images, table, yolo
from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation

__all__ = ["EXPORTS", "Export", "Picture", "choose"]


Write = Callable[[Segmentation, Picture, Collection[int]], bytes]
Summarise = Callable[[Sequence[Path], ClassTable], Iterable[str]]


@dataclass(frozen=True)
class Export:
    """One kind of output file.

    Attributes:
        title: what people call it.
        suffix: of the file, with the dot.
        media_type: for HTTP.
        write: segmentation, picture and ids of the chosen classes -> the file's bytes. Masks,
            tables and maps hold all classes whichever are chosen.
        needs: the map that the segmentation must carry, which is also the name of the option
            in `SegmentOptions` that asks for it.
        outlines: whether the regions' outlines are followed for it, which may be long.
        summary: for many pictures, the path of a file next to theirs, and the function that makes
            its text from their files.
    """

    title: str
    suffix: str
    media_type: str
    write: Write
    needs: str | None = None
    outlines: bool = False
    summary: tuple[str, Summarise] | None = None


def _bundle(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """All the others; of the maps, those that the segmentation carries."""
    files = {
        f"{picture.stem}-{name}{export.suffix}": export.write(segmentation, picture, chosen)
        for name, export in _SINGLE.items()
        if export.needs is None or getattr(segmentation, export.needs) is not None
    }
    files["data.yaml"] = yolo.data_file(segmentation.classes).encode()
    return bundle.bundle(files)


_PNG, _JSON, _ZIP = "image/png", "application/json", "application/zip"

_SINGLE = {
    "mask": Export("Mask, class ids (PNG)", ".png", _PNG, images.mask),
    "overlay": Export("Overlay (PNG)", ".png", _PNG, images.overlay),
    "cutout": Export("Cut-out (PNG)", ".png", _PNG, images.cutout),
    "coco": Export(
        "COCO, polygons", ".json", _JSON, coco.polygons, outlines=True,
        summary=("coco.json", coco.merge),
    ),
    "coco-rle": Export(
        "COCO, run lengths", ".json", _JSON, coco.run_lengths, summary=("coco-rle.json", coco.merge)
    ),
    "geojson": Export(
        "GeoJSON", ".geojson", "application/geo+json", geojson.geojson, outlines=True
    ),
    "yolo": Export(
        "YOLO segmentation", ".txt", "text/plain", yolo.labels, outlines=True,
        summary=("yolo/data.yaml", lambda files, classes: [yolo.data_file(classes)]),
    ),
    "csv": Export(
        "Pixels per class (CSV)", ".csv", "text/csv", table.table,
        summary=("pixels.csv", table.merge),
    ),
    "confidence": Export("Confidence (PNG)", ".png", _PNG, images.confidence, "confidence"),
    "entropy": Export("Entropy (PNG)", ".png", _PNG, images.entropy, "entropy"),
    "npz": Export("Probabilities (NPZ)", ".npz", _ZIP, arrays.probabilities, "probabilities"),
}  # fmt: skip

EXPORTS: dict[str, Export] = _SINGLE | {
    "zip": Export("All of these (ZIP)", ".zip", _ZIP, _bundle, outlines=True),
}
"""By the name that command line, pages and API use."""


def choose(classes: ClassTable, names: Collection[str] | None) -> set[int]:
    """Ids of the classes of these names; all but the background for None.

    Raises: `ConfigError` listing the classes for an unknown name.
    """
    if names is None:
        return shown_at_first(classes)
    if unknown := sorted(set(names) - set(classes.names)):
        raise ConfigError(f"There is no class '{unknown[0]}'. Classes: {', '.join(classes.names)}.")
    return {info.id for info in classes if info.name in names}
