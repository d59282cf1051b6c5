"""Data sets of YOLO polygons: surfaces or damage outlined on photographs of roads."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from model.data import splits
from model.data.annotations.yolo import YoloAnnotations
from model.data.classes import ClassTable
from model.data.datasets.base import FileDataSet
from model.data.files import pictures_in
from model.data.images import decode
from model.data.splits import Split
from model.errors import DataError


class OutlinedDataSet(FileDataSet):
    """Pictures under `images/` and YOLO segmentation labels under `labels/`, same subfolders.

    A picture without a label file is an error; an empty label file is all background.
    """

    class_names: ClassVar[list[str]]

    def collect(self) -> None:
        self.images = pictures_in(self.need(self.root / "images"))
        self.annotations = YoloAnnotations(self.need(self.root / "labels"), self.class_names)
        self.masks = self.annotations.files

    def labels(self, name: str) -> np.ndarray:
        height, width = decode(self.images[name]).shape[:2]
        return self.annotations.labels(name, height, width)

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        image = decode(self.images[name])
        return image, self.annotations.labels(name, *image.shape[:2])


class Roads(OutlinedDataSet):
    """The road surface on CamVid's frames, traced as polygons."""

    name = "roads"
    title = "Road surface, polygons"
    licence = "CamVid's frames: research use, CC BY-NC"
    source = "https://www.kaggle.com (data set cityscape-road-data-for-yolov11)"
    published = 468
    layout = "roads/images/{train,val}/*.jpg, roads/labels/{train,val}/*.txt"
    longest_side = 480
    split_rule = (
        "official: val is the test part; validation is 15 % of train, in 6 contiguous ranges"
    )
    fold_rule = "contiguous"
    folders = ("roads", "cityscape-road-data-for-yolov11")
    class_names: ClassVar = ["road"]
    classes = ClassTable.named(background="#000000", road="#804080")

    def make_split(self, names: list[str]) -> Split:
        parts: dict[str, list[str]] = {"train": [], "val": []}
        for name in names:
            part = name.partition("/")[0]
            if part not in parts:
                raise DataError(
                    f"{self.root / 'images'}: {name} is neither under train/ nor under val/."
                )
            parts[part].append(name)
        return splits.with_validation(parts["train"], parts["val"], blocks=6)


class Potholes(OutlinedDataSet):
    """Potholes, outlined by hand."""

    name = "potholes"
    title = "Potholes, polygons"
    licence = "CC BY 4.0"
    source = "https://www.kaggle.com/datasets/farzadnekouei/pothole-image-segmentation-dataset"
    layout = "potholes/images/train/*.jpg, potholes/labels/train/*.txt"
    longest_side = 480
    split_rule = "70 / 15 / 15 at random by photograph (hash with seed 0)"
    fold_rule = "group"
    folders = ("potholes",)
    class_names: ClassVar = ["pothole"]
    classes = ClassTable.named(background="#000000", pothole="#D55E00")

    def group_of(self, name: str) -> str:
        """The photograph: Roboflow's copies of one differ only in what follows `.rf.`."""
        return name.rpartition("/")[2].partition(".rf.")[0]

    def make_split(self, names: list[str]) -> Split:
        return splits.random(names, seed=0, group_of=self.group_of)


class Drivable(OutlinedDataSet):
    """The drivable area of a race track. No licence is stated: measure on it, publish nothing."""

    name = "drivable"
    title = "Drivable area on a race track, polygons"
    licence = "not stated"
    source = "not published with a licence; bring your own copy"
    publishable = False
    layout = "drivable/images/*.jpg, drivable/labels/*.txt"
    longest_side = 576
    split_rule = "4 contiguous stretches of frames, each cut 70 / 15 / 15"
    fold_rule = "contiguous"
    folders = ("drivable",)
    class_names: ClassVar = ["drivable area"]
    classes = ClassTable.of([("background", "#000000"), ("drivable area", "#804080")])

    def make_split(self, names: list[str]) -> Split:
        return splits.contiguous(names, blocks=4)
