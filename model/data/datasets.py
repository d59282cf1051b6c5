"""The data sets by name: where they lie, what their masks mean, how they are split.

`load("carla", data_root)` finds a data set under `--data-root` or `UNET_STUDIO_DATA`.
To add one: subclass `FolderDataSet`, say how a mask is read and how it is split, and
enter it in `DATA_SETS`.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.data import splits, streets
from model.data.classes import VOID, ClassTable
from model.data.images import SUFFIXES, decode
from model.data.masks import read_index, read_red_channel, to_labels
from model.data.splits import Split
from model.errors import ConfigError, DataError

DATA_ROOT_VARIABLE = "UNET_STUDIO_DATA"


class DataSet(ABC):
    """Named samples, each a picture with a label array, and their split.

    Attributes:
        name, title: the key in `DATA_SETS`, and the name people know.
        classes: what the label values mean.
        licence, source: under which terms it may be used, and where to get it.
        longest_side: the scale (pixels) at which networks see its pictures by default.
        split_rule: in words, for cards and reports.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    classes: ClassVar[ClassTable]
    licence: ClassVar[str]
    source: ClassVar[str]
    longest_side: ClassVar[int]
    split_rule: ClassVar[str]

    @property
    @abstractmethod
    def split(self) -> Split:
        """Names of the samples in "train", "validation" and "test"."""

    @abstractmethod
    def image(self, name: str) -> np.ndarray:
        """The picture of a sample, uint8 (H, W, 3). Raises `ImageError`."""

    @abstractmethod
    def labels(self, name: str) -> np.ndarray:
        """The labels of a sample, uint8 (H, W), class ids or `VOID`. Raises `DataError`."""

    @abstractmethod
    def digest(self) -> str:
        """First 16 hex digits of a SHA-256 over the content: equal data, equal digest."""

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Picture and labels of a sample. Raises `DataError` if their sizes differ."""
        image, labels = self.image(name), self.labels(name)
        if image.shape[:2] != labels.shape:
            raise DataError(
                f"{self.name}: the picture {name} is {image.shape[1]} x {image.shape[0]}, but its "
                f"mask is {labels.shape[1]} x {labels.shape[0]}. They must have the same size."
            )
        return image, labels

    def names(self, part: str) -> list[str]:
        """Names of one part of the split. Raises `ConfigError` for an unknown part."""
        if part not in self.split:
            raise ConfigError(f"There is no split '{part}'; choose one of {list(self.split)}.")
        return self.split[part]


class FolderDataSet(DataSet):
    """A data set of picture and mask files under `root`.

    Attributes:
        folder: its folder under the data root.
        image_folder, mask_folder: relative to it.
        values: stored mask value -> class id or `VOID`.
    """

    folder: ClassVar[str]
    image_folder: ClassVar[str]
    mask_folder: ClassVar[str]
    values: ClassVar[dict[int, int]]

    def __init__(self, data_root: Path) -> None:
        self.root = data_root / self.folder
        images, masks = self.root / self.image_folder, self.root / self.mask_folder
        for folder in (images, masks):
            if not folder.is_dir():
                raise DataError(
                    f"The data set '{self.name}' needs the folder {folder}, which does not exist. "
                    f"Get it from {self.source}, and give the folder that holds "
                    f"'{self.folder}/' as --data-root or in {DATA_ROOT_VARIABLE}."
                )
        self.images = {p.stem: p for p in sorted(images.iterdir()) if p.suffix.lower() in SUFFIXES}
        self.masks = {p.stem: p for p in sorted(masks.iterdir()) if p.suffix.lower() in SUFFIXES}
        alone = sorted(set(self.images) ^ set(self.masks))
        if alone or not self.images:
            raise DataError(
                f"{self.root}: {len(self.images)} pictures and {len(self.masks)} masks; "
                f"without a partner: {alone[:5] or 'none'}. Each picture needs a mask of the "
                "same name."
            )
        self._split = splits.check(self.make_split(sorted(self.images)))

    @abstractmethod
    def make_split(self, names: list[str]) -> Split: ...

    @abstractmethod
    def read_mask(self, path: Path) -> np.ndarray:
        """The stored values, int32 (H, W)."""

    @property
    def split(self) -> Split:
        return self._split

    def image(self, name: str) -> np.ndarray:
        return decode(self.images[name])

    def labels(self, name: str) -> np.ndarray:
        path = self.masks[name]
        return to_labels(self.read_mask(path), self.values, path)

    def digest(self) -> str:
        total = hashlib.sha256()
        for files in (self.images, self.masks):
            for name in sorted(files):
                content = hashlib.sha256(files[name].read_bytes()).hexdigest()
                total.update(f"{name} {content}\n".encode())
        return total.hexdigest()[:16]


class Carla(FolderDataSet):
    """CARLA simulator frames with 23 classes, the class id in the red channel of the mask."""

    name = "carla"
    title = "CARLA driving, 23 classes"
    licence = "CARLA assets, CC BY 4.0"
    source = "https://www.kaggle.com/datasets/kumaresanmanickavelu/lyft-udacity-challenge"
    longest_side = 400
    split_rule = "6 contiguous stretches of frames, each cut 70 / 15 / 15"
    folder = "carla"
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
    values: ClassVar = {label: label for label in range(23)}

    def make_split(self, names: list[str]) -> Split:
        return splits.contiguous(names, blocks=6)

    def read_mask(self, path: Path) -> np.ndarray:
        return read_red_channel(path)


class Pets(FolderDataSet):
    """Oxford-IIIT Pet: trimaps of cats and dogs."""

    name = "pets"
    title = "Oxford-IIIT Pet, trimaps"
    licence = "CC BY-SA 4.0"
    source = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
    longest_side = 256
    split_rule = "70 / 15 / 15 within each breed"
    folder = "oxford_pet"
    image_folder = "images"
    mask_folder = "annotations/trimaps"
    classes = ClassTable.named(pet="#D55E00", background="#56B4E9", border="#F0E442")
    values: ClassVar = {1: 0, 2: 1, 3: 2}

    def make_split(self, names: list[str]) -> Split:
        return splits.stratified(names, group_of=lambda name: name.rsplit("_", 1)[0])

    def read_mask(self, path: Path) -> np.ndarray:
        return read_index(path)


class Streets(DataSet):
    """Street scenes drawn from a seed: exact masks, nothing to download."""

    name = "streets"
    title = "Streets, drawn from a seed"
    licence = "public domain (CC0)"
    source = "drawn by U-Net Studio itself"
    longest_side = 320
    split_rule = "seeds 0-399 train, 400-479 validation, 480-559 test"
    classes = streets.CLASSES

    def __init__(self, data_root: Path | None = None) -> None:
        names = [f"{seed:06d}" for seed in range(560)]
        self._split = splits.check(
            {"train": names[:400], "validation": names[400:480], "test": names[480:]}
        )

    @property
    def split(self) -> Split:
        return self._split

    def image(self, name: str) -> np.ndarray:
        return streets.draw(int(name))[0]

    def labels(self, name: str) -> np.ndarray:
        return streets.draw(int(name))[1]

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return streets.draw(int(name))

    def digest(self) -> str:
        return hashlib.sha256(f"streets {streets.VERSION}".encode()).hexdigest()[:16]


DATA_SETS: dict[str, type[DataSet]] = {kind.name: kind for kind in (Carla, Pets, Streets)}


def load(name: str, data_root: str | Path | None = None) -> DataSet:
    """Opens a data set.

    Args:
        name: a key of `DATA_SETS`.
        data_root: folder that holds the data sets' folders; by default the environment
            variable `UNET_STUDIO_DATA`, else `data/` in the working directory.

    Raises: `ConfigError` for an unknown name, `DataError` if the files are missing or unpaired.
    """
    if name not in DATA_SETS:
        raise ConfigError(f"There is no data set '{name}'; choose one of {sorted(DATA_SETS)}.")
    root = Path(data_root or os.environ.get(DATA_ROOT_VARIABLE) or "data").expanduser()
    return DATA_SETS[name](root)


__all__ = ["DATA_SETS", "VOID", "DataSet", "FolderDataSet", "load"]
