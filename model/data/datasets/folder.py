"""A user's own folder: `images/` and `masks/`, or these in `train/`, `val/` and `test/`.

    PATH/images/a.jpg         or   PATH/images/train/a.jpg   or   PATH/train/images/a.jpg
    PATH/masks/a.png               PATH/masks/train/a.png         PATH/train/masks/a.png
    PATH/classes.yaml (optional; see `model.data.class_file`)

A mask has its picture's name, with or without one of the usual endings (`a_mask.png`).
`classes.yaml` may also lie in `masks/` and in the parts; if there are several they must agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from model.data import class_file, splits
from model.data.class_file import ClassFile
from model.data.classes import ClassTable, default_classes
from model.data.datasets.base import FileDataSet
from model.data.files import OWN_FOLDER, entries, files_in, pictures_in
from model.data.images import SUFFIXES
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

IMAGE_FOLDERS = (
    "images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "rgb", "camerargb",
)  # fmt: skip
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "gt", "ground_truth",
    "segmentations", "segmentation", "segmentationclass", "cameraseg", "cameramask", "trimaps",
)  # fmt: skip
"""What people call the folders. Training insists on the first of each; the doctor knows all."""

ANNOTATIONS = (".json", ".txt")
"""Suffixes of annotations that outline things."""


@dataclass(frozen=True)
class Place:
    """Where pictures and their masks are.

    Attributes:
        prefix: of their names: "train/" if they are a part, else "".
        folder: the part, or the whole.
        images: the folder of the pictures in it, None if there is none.
        masks: the folder of their masks, or else a file or folder of annotations, or None.
    """

    prefix: str
    folder: Path
    images: Path | None
    masks: Path | None


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
            described = agreed(path, class_files(path, self.places))
            self.encoding, self.classes = recognise(list(self.masks.values()), described)
        except (DataError, ImageError) as error:
            raise DataError(
                f"{error} `python -m model data check {quote(str(path))}` lists all that is wrong, "
                "and can write a repaired copy."
            ) from error

    def collect(self) -> None:
        self.places = find_places(self.root)
        for place in self.places:
            prefix = place.prefix
            images = pictures_in(self.need(place.folder / "images", place.images))
            masks = pictures_in(self.need(place.folder / "masks", place.masks))
            masks, rivals = match_masks(images, masks)
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

    def need(self, folder: Path, found: Path | None = None) -> Path:
        """Returns the folder, or what was found if only its case differs. Raises `DataError`."""
        if folder.is_dir():
            return folder
        if found and found.is_dir() and found.name.lower() == folder.name:
            return found
        similar = f"; if {found.name}/ is meant, rename it" if found and found.is_dir() else ""
        raise DataError(f"{self.root} has no folder {folder.relative_to(self.root)}/{similar}.")

    def make_split(self, names: list[str]) -> Split:
        split, self.split_rule = own_split(names)
        return split

    def digest(self) -> str:
        meaning = f"{super().digest()} {self.classes.to_json()} {self.encoding}"
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]


def find_places(root: Path) -> list[Place]:
    """Where the pictures and masks of a folder are, by the usual names; none if it has no such.

    If a part has a folder of pictures, all parts are listed. Raises: `DataError` for a folder that
    cannot be opened.
    """
    whole = _place("", root)
    if whole.images and whole.images.name.lower() == IMAGE_FOLDERS[0]:
        return [whole]
    parts = [_place(f"{folder.name}/", folder) for folder in part_folders(root)]
    if any(part.images for part in parts):
        return parts
    return [whole] if whole.images else []


def part_folders(root: Path) -> list[Path]:
    """The folders that are called as the parts of a split are."""
    return [p for p in sorted(entries(root)) if p.name.lower() in PART_OF and p.is_dir()]


def _place(prefix: str, folder: Path) -> Place:
    by_name = {path.name.lower(): path for path in sorted(entries(folder)) if path.is_dir()}
    images = next((by_name[name] for name in IMAGE_FOLDERS if name in by_name), None)
    candidates = [by_name[name] for name in MASK_FOLDERS if name in by_name]
    # "Annotations" may hold XML beside the folder with the masks; the masks are first choice.
    for suffixes in (SUFFIXES, ANNOTATIONS):
        for candidate in candidates:
            if next(files_in(candidate, suffixes), None):
                return Place(prefix, folder, images, candidate)
    beside = (path for path in sorted(entries(folder)) if path.suffix.lower() == ".json")
    return Place(prefix, folder, images, next(beside, None) or next(iter(candidates), None))


def class_files(root: Path, places: Sequence[Place]) -> dict[Path, ClassFile]:
    """All `classes.yaml` in the folder, in the parts, beside the pictures and among the masks.

    Raises: `DataError` naming what is wrong in one of them.
    """
    folders = dict.fromkeys([root, *(f for p in places for f in (p.folder, p.images) if f)])
    found = [path for folder in folders for path in sorted(entries(folder))]
    for place in places:
        if place.masks and place.masks.is_dir():
            found += files_in(place.masks, (".yaml", ".yml"))
    named = [path for path in dict.fromkeys(found) if path.name.lower() in class_file.NAMES]
    return {path: class_file.read(path) for path in named}


def agreed(root: Path, files: Mapping[Path, ClassFile]) -> ClassFile:
    """What all of these files say; nothing if there are none. Raises `DataError` if two differ."""
    first = next(iter(files), None)
    for path, content in files.items():
        if content != files[first]:
            raise DataError(
                f"{first.relative_to(root)} and {path.relative_to(root)} say different things, but "
                "a value must mean the same in all masks. Correct one of them, or convert all "
                "annotations again with the same --classes."
            )
    return files[first] if first else ClassFile()


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
