"""COCO instance annotations: one JSON file with polygons and run-length masks.

Polygons agree with pycocotools' own masks to the pixel. An object of several parts is
their union; holes come as run-length masks. `iscrowd` regions, which outline a group of
things roughly, are painted as their class, or as void, or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from model.data.annotations.base import TOO_SHORT, AnnotationSet, as_points
from model.data.classes import VOID
from model.data.files import key_of
from model.data.polygons import CocoPolygon, RunLengths, Shape
from model.data.schema import Record, validate
from model.errors import DataError

Crowd = Literal["class", "void", "skip"]


class CocoImage(Record):
    id: int | str
    file_name: str
    width: PositiveInt
    height: PositiveInt


class CocoCategory(Record):
    id: int
    name: str


class CocoRunLengths(Record):
    size: tuple[PositiveInt, PositiveInt]
    counts: str | list[NonNegativeInt]


class CocoAnnotation(Record):
    id: int | str | None = None
    image_id: int | str
    category_id: int
    segmentation: CocoRunLengths | list[list[float]] | None = None
    iscrowd: bool = False


class CocoFile(Record):
    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoAnnotation]


class CocoAnnotations(AnnotationSet):
    """The content of a COCO JSON file; class names are those of its categories, by their ids.

    Raises: `DataError` for a file that is not COCO or refers to images or categories it lacks.
    """

    format = "COCO"

    def __init__(self, path: Path, content: Any, crowd: Crowd = "class") -> None:
        file = validate(CocoFile, content, path)
        self.path = path
        self.crowd = crowd
        categories = sorted(file.categories, key=lambda category: category.id)
        super().__init__(category.name for category in categories)
        self._class_of = {category.id: category.name for category in categories}
        self.images: dict[str, CocoImage] = {}
        for image in file.images:
            if key_of(image.file_name) in self.images:
                raise DataError(f"{path.name}: two images are named {image.file_name}.")
            self.images[key_of(image.file_name)] = image
        self._annotations: dict[int | str, list[CocoAnnotation]] = {
            image.id: [] for image in file.images
        }
        for number, annotation in enumerate(file.annotations):
            origin = self._origin(annotation, number)
            if annotation.image_id not in self._annotations:
                raise DataError(f"{origin}: there is no image with id {annotation.image_id}.")
            if annotation.category_id not in self._class_of:
                raise DataError(f"{origin}: there is no category {annotation.category_id}.")
            if not annotation.segmentation:
                self.skipped["box without an outline"] += 1
                continue
            if isinstance(annotation.segmentation, list):
                self.skipped.update(TOO_SHORT for p in annotation.segmentation if _too_short(p))
                annotation.segmentation = [p for p in annotation.segmentation if not _too_short(p)]
            if not (annotation.iscrowd and crowd == "skip"):
                self._annotations[annotation.image_id].append(annotation)

    def names(self) -> list[str]:
        return list(self.images)

    def shapes(self, name: str, height: int, width: int) -> list[Shape]:
        image = self.images[name]
        if (image.height, image.width) != (height, width):
            raise DataError(
                f"{self.path.name} says that {image.file_name} is {image.width} x {image.height}, "
                f"but the picture is {width} x {height}. Annotations and pictures must be of the "
                "same version."
            )
        shapes = []
        for number, annotation in enumerate(self._annotations[image.id]):
            origin = self._origin(annotation, number)
            label = self.label_of(self._class_of[annotation.category_id], origin)
            if annotation.iscrowd and self.crowd == "void":
                label = VOID
            if isinstance(annotation.segmentation, CocoRunLengths):
                regions = [RunLengths(annotation.segmentation.size, annotation.segmentation.counts)]
            else:
                regions = [CocoPolygon(as_points(p, origin)) for p in annotation.segmentation]
            shapes += [Shape(label, region, origin) for region in regions]
        return shapes

    def _origin(self, annotation: CocoAnnotation, number: int) -> str:
        name = f"number {number}" if annotation.id is None else annotation.id
        return f"{self.path.name}, annotation {name}"


def _too_short(numbers: list[float]) -> bool:
    """An odd count of numbers is another matter: the file is damaged."""
    return len(numbers) < 6 and len(numbers) % 2 == 0
