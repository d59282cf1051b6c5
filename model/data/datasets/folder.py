"""A user's own folder: `images/` and `masks/`, or these in `train/`, `val/` and `test/`.

    PATH/images/a.jpg         or   PATH/images/train/a.jpg   or   PATH/train/images/a.jpg
    PATH/masks/a.png               PATH/masks/train/a.png         PATH/train/masks/a.png
    PATH/classes.yaml (optional; see `model.data.class_file`)

A mask has its picture's name, with or without one of the usual endings (`a_mask.png`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from shlex import quote

from model.data import class_file, splits
from model.data.class_file import ClassFile, default_classes
from model.data.classes import ClassTable
from model.data.datasets.base import FileDataSet
from model.data.files import OWN_FOLDER, pictures_in
from model.data.recognise import recognise
from model.data.splits import Split
from model.errors import DataError, ImageError

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

OWN_PARTS = "the folder's own train, val and test"


class UserFolder(FileDataSet):
    """Pictures and masks in a folder; encoding and classes from `classes.yaml` or the pixels.

    Without `classes.yaml` each stored value (or colour) that occurs in the masks is a class.

    Args: path: the folder.
    Raises: `DataError` saying what is missing or contradictory.
    """

    name = OWN_FOLDER
    title = "Own folder"
    licence = "not stated"
    source = "own data"
    layout = "PATH/images/*, PATH/masks/*, PATH/classes.yaml (optional)"
    longest_side = 512
    split_rule = "70 / 15 / 15 at random (hash with seed 0)"
    # For masks of 0 and 255; each opened folder sets its own.
    classes: ClassTable = default_classes(["background", "foreground"])

    def __init__(self, path: Path) -> None:
        self.folders = ("",)
        if not path.is_dir():
            raise DataError(f"The folder {path} does not exist.")
        try:
            super().__init__(path)
            file = find_class_file(path)
            described = class_file.read(file) if file else ClassFile()
            self.encoding, self.classes = recognise(list(self.masks.values()), described)
        except (DataError, ImageError) as error:
            raise DataError(
                f"{error} `python -m model data check {quote(str(path))}` lists all that is wrong, "
                "and can write a repaired copy."
            ) from error

    def collect(self) -> None:
        pairs = {"": self.root}
        if not (self.root / "images").is_dir():
            pairs = {
                f"{folder.name}/": folder
                for folder in sorted(self.root.iterdir())
                if folder.name.lower() in PART_OF and (folder / "images").is_dir()
            }
        for prefix, folder in pairs.items():
            images = pictures_in(self.need(folder / "images"))
            masks, rivals = match_masks(images, pictures_in(self.need(folder / "masks")))
            for name, (first, second, *_) in rivals.items():
                raise DataError(
                    f"{first.name} and {second.name} in {second.parent} both belong to the "
                    f"picture {name}."
                )
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
        split, self.split_rule = own_split(names)
        return split

    def digest(self) -> str:
        meaning = f"{super().digest()} {self.classes.to_json()} {self.encoding}"
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]


def find_class_file(root: Path) -> Path | None:
    """The folder's `classes.yaml`, or the one in its `masks/`."""
    places = (root / class_file.NAME, root / "masks" / class_file.NAME)
    return next((path for path in places if path.is_file()), None)


def own_split(names: list[str]) -> tuple[Split, str]:
    """The parts that the first folder in the names stands for, else a random split.

    Returns: the split, and its rule in words.
    Raises: `DataError` if some pictures are in such folders, and others are not.
    """
    parts: dict[str, list[str]] = {}
    for name in names:
        first, slash, _ = name.partition("/")
        part = PART_OF.get(first.lower(), "") if slash else ""
        parts.setdefault(part, []).append(name)
    if set(parts) == set(splits.PARTS):
        return parts, OWN_PARTS
    if len(parts) == 2 and "train" in parts and "" not in parts:
        (other,) = set(parts) - {"train"}
        own = splits.random(parts["train"], fractions=(0.85, 0.15, 0))
        rule = f"the folder's own {other} is the test part; validation is 15 % of train, at random"
        return own | {"test": parts[other]}, rule
    if len(parts) > 1:
        counts = ", ".join(f"{len(parts[part])} in {part or 'none'}" for part in sorted(parts))
        raise DataError(
            "The folders' names put some pictures into parts of a split, but not into one that can "
            f"be trained on ({counts}). Put all into train/, val/ and test/, or rename the folders."
        )
    return splits.random(names), UserFolder.split_rule


def match_masks(
    images: Iterable[str], masks: Mapping[str, Path]
) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """The mask files by the name of the picture they belong to, else by their own name.

    Returns: the files; and, for each picture that several belong to, all of those, the first of
        which is among the files.
    """
    picture_of = {_without(name, IMAGE_ENDINGS): name for name in images} | {n: n for n in images}
    matched: dict[str, Path] = {}
    rivals: dict[str, list[Path]] = {}
    for name, path in masks.items():
        # The plain name first: a picture's own name may end in "_l".
        key = picture_of.get(name) or picture_of.get(_without(name, MASK_ENDINGS)) or name
        if key in matched:
            rivals.setdefault(key, [matched[key]]).append(path)
        else:
            matched[key] = path
    return matched, rivals


def _without(name: str, endings: tuple[str, ...]) -> str:
    ending = next((e for e in endings if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]
