"""Anybody's own folder: `images/` and `masks/`, or these in `train/`, `val/` and `test/`.

    PATH/images/a.jpg         or   PATH/images/train/a.jpg   or   PATH/train/images/a.jpg
    PATH/masks/a.png               PATH/masks/train/a.png         PATH/train/masks/a.png
    PATH/classes.yaml (optional; see `model.data.class_file`)

A mask has its picture's name, with or without one of the usual endings (`a_mask.png`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from model.data import class_file, splits
from model.data.class_file import ClassFile, default_classes
from model.data.classes import ClassTable
from model.data.datasets.base import FileDataSet
from model.data.files import pictures_in
from model.data.recognise import recognise
from model.data.splits import Split
from model.errors import DataError

MASK_ENDINGS = ("_gtfine_labelids", "_labelids", "_label", "_mask", "_gt", "_l")
IMAGE_ENDINGS = ("_leftimg8bit",)

PART_OF = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""The part that a subfolder's name stands for."""


class UserFolder(FileDataSet):
    """Pictures and masks in a folder; encoding and classes from `classes.yaml` or the pixels.

    Without `classes.yaml` each stored value (or colour) that occurs in the masks is a class.

    Args: path: the folder.
    Raises: `DataError` saying what is missing or contradictory.
    """

    name = "folder"
    title = "Own folder"
    licence = "not stated"
    source = "own data"
    layout = "PATH/images/*, PATH/masks/*, PATH/classes.yaml (optional)"
    longest_side = 512
    split_rule = "70 / 15 / 15 at random (hash with seed 0)"
    # Of masks of 0 and 255; each folder then has its own.
    classes: ClassTable = default_classes(["background", "foreground"])

    def __init__(self, path: Path) -> None:
        self.folders = ("",)
        super().__init__(path)
        described = self._class_file()
        self.encoding, self.classes = recognise(list(self.masks.values()), described)

    def collect(self) -> None:
        if not self.root.is_dir():
            raise DataError(f"The folder {self.root} does not exist.")
        pairs = {"": self.root}
        if not (self.root / "images").is_dir():
            pairs = {
                f"{folder.name}/": folder
                for folder in sorted(self.root.iterdir())
                if folder.name.lower() in PART_OF and (folder / "images").is_dir()
            }
        for prefix, folder in pairs.items():
            images = pictures_in(self.need(folder / "images"))
            masks = match_masks(images, pictures_in(self.need(folder / "masks")))
            self.images |= {prefix + name: path for name, path in images.items()}
            self.masks |= {prefix + name: path for name, path in masks.items()}
        if not self.images:
            raise DataError(
                f"{self.root} has neither images/ and masks/ nor train/images/ and train/masks/. "
                "Put the pictures into images/ and their masks, of the same names, into masks/."
            )

    def need(self, folder: Path) -> Path:
        if not folder.is_dir():
            raise DataError(f"{self.root} has no folder {folder.relative_to(self.root)}/.")
        return folder

    def make_split(self, names: list[str]) -> Split:
        parts: dict[str, list[str]] = {}
        for name in names:
            parts.setdefault(PART_OF.get(name.partition("/")[0].lower(), ""), []).append(name)
        if set(parts) == set(splits.PARTS):
            self.split_rule = "the folder's own train, val and test"
            return parts
        if len(parts) == 2 and "train" in parts and "" not in parts:
            (other,) = set(parts) - {"train"}
            self.split_rule = (
                f"the folder's own {other} is the test part; validation is 15 % of train, at random"
            )
            own = splits.random(parts["train"], fractions=(0.85, 0.15, 0))
            return own | {"test": parts[other]}
        return splits.random(names)

    def digest(self) -> str:
        meaning = f"{super().digest()} {self.classes.to_json()} {self.encoding}"
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]

    def _class_file(self) -> ClassFile:
        for place in (self.root, self.root / "masks"):
            if (path := place / class_file.NAME).is_file():
                return class_file.read(path)
        return ClassFile()


def match_masks(images: dict[str, Path], masks: dict[str, Path]) -> dict[str, Path]:
    """The mask files by the name of the picture they belong to, else by their own name.

    Raises: `DataError` if two masks belong to one picture.
    """
    picture_of = {_without(name, IMAGE_ENDINGS): name for name in images} | {n: n for n in images}
    matched: dict[str, Path] = {}
    for name, path in masks.items():
        # The plain name first: a picture's own name may end in "_l".
        key = picture_of.get(name) or picture_of.get(_without(name, MASK_ENDINGS)) or name
        if key in matched:
            raise DataError(
                f"{matched[key].name} and {path.name} in {path.parent} both belong to the "
                f"picture {key}."
            )
        matched[key] = path
    return matched


def _without(name: str, endings: tuple[str, ...]) -> str:
    ending = next((e for e in endings if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]
