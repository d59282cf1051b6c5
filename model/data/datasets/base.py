"""What every data set offers, and the base of those that are files in folders."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.data import splits
from model.data.classes import ClassTable
from model.data.files import pictures_in
from model.data.images import decode
from model.data.masks import MaskEncoding
from model.data.splits import FoldRule, Split
from model.errors import ConfigError, DataError

DATA_ROOT_VARIABLE = "UNET_STUDIO_DATA"


class DataSet(ABC):
    """Named samples, each a picture with a label array, and their split.

    Attributes:
        name, title: the key in `DATA_SETS`, and the name people know.
        classes: what the label values mean.
        void: in words, which pixels are ignored.
        licence, source: the terms under which it may be used, and where to get it.
        publishable: whether what is trained on it may be published.
        published: how many pictures the full set has, 0 if that does not apply.
        layout: where its files are expected, relative to the data root.
        longest_side: the scale (pixels) at which networks see its pictures by default.
        split_rule: in words, for cards and reports.
        fold_rule: how cross-validation cuts it, see `splits.k_folds`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    classes: ClassTable
    void: ClassVar[str] = "none"
    licence: ClassVar[str]
    source: ClassVar[str]
    publishable: ClassVar[bool] = True
    published: ClassVar[int] = 0
    layout: ClassVar[str] = ""
    longest_side: int
    split_rule: str
    fold_rule: ClassVar[FoldRule] = "random"

    _split: Split

    @property
    def split(self) -> Split:
        """Names of the samples in "train", "validation" and "test"."""
        return self._split

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

    def group_of(self, name: str) -> str:
        """The group (tile, photograph, breed) of a sample, for folds and checks for leaks."""
        return name

    def folds(self, count: int, seed: int = 0) -> list[Split]:
        """`count` splits for cross-validation, the test part kept apart in all of them.

        Where they are cut at random, copies of a picture stay in one fold.

        Raises: `ConfigError` if there are not enough samples or groups.
        """
        return splits.k_folds(
            self.split,
            count,
            rule=self.fold_rule,
            group_of=self.group_of,
            seed=seed,
            together=self.copies() if self.fold_rule == "random" else (),
        )

    def copies(self) -> list[list[str]]:
        """Groups of samples that are copies of each other."""
        return []

    def use_split(self, split: Split, rule: str) -> None:
        """Replaces the split; `rule` says in words what it is.

        Raises: `DataError` if it leaks, has an empty part, or names samples that are not here.
        """
        known = {name for names in self.split.values() for name in names}
        unknown = sorted({name for names in split.values() for name in names} - known)
        if unknown:
            raise DataError(
                f"The split names {len(unknown)} samples that {self.name} does not have: "
                f"{unknown[:5]}."
            )
        self._split = splits.check(split, self.leak_group())
        self.split_rule = rule

    def leak_group(self):
        """`group_of` where a group must not be in two parts, else None."""
        return self.group_of if self.fold_rule == "group" else None


class FileDataSet(DataSet):
    """Pictures and masks that are files under a folder of the data root.

    Attributes:
        folders: what that folder may be called.
        images, masks: the files by sample name, with the same names.
        encoding: how the masks store class ids.
    """

    folders: ClassVar[tuple[str, ...]]
    encoding: MaskEncoding

    def __init__(self, data_root: Path) -> None:
        candidates = [data_root / folder for folder in self.folders]
        self.data_root = data_root
        self.root = next((path for path in candidates if path.is_dir()), candidates[0])
        self.images: dict[str, Path] = {}
        self.masks: dict[str, Path] = {}
        self.collect()
        alone = sorted(set(self.images) ^ set(self.masks))
        if alone or not self.images:
            raise DataError(
                f"{self.root}: {len(self.images)} pictures and {len(self.masks)} masks; "
                f"without a partner: {alone[:5] or 'none'}. Each picture needs a mask of the "
                "same name."
            )
        self._split = splits.check(self.make_split(sorted(self.images)), self.leak_group())

    @abstractmethod
    def collect(self) -> None:
        """Fills `images` and `masks`. Raises `DataError` if the files are not there."""

    @abstractmethod
    def make_split(self, names: list[str]) -> Split:
        """The split of the sample names, which are sorted."""

    def file_of(self, name: str) -> str:
        """The name in `images` and `masks` of the files that a sample is in."""
        return name

    def need(self, folder: Path) -> Path:
        """Returns the folder. Raises `DataError` with what to do if it does not exist."""
        if not folder.is_dir():
            raise DataError(
                f"The data set '{self.name}' needs the folder {folder}, which does not exist. "
                f"Get it from {self.source} (`python -m model data get {self.name}` helps), and "
                f"give the folder that holds '{self.folders[0]}/' as --data-root or in "
                f"{DATA_ROOT_VARIABLE}."
            )
        return folder

    def image(self, name: str) -> np.ndarray:
        return decode(self.images[name])

    def labels(self, name: str) -> np.ndarray:
        return self.encoding.read(self.masks[name])

    def copies(self) -> list[list[str]]:
        from model.data.doctor import duplicates  # the doctor imports the data sets

        return duplicates.copies_in(self).certain

    def digest(self) -> str:
        return self._files_digest

    @cached_property
    def _files_digest(self) -> str:
        # Every byte is read for it, and a training asks for it several times.
        total = hashlib.sha256()
        for files in (self.images, self.masks):
            for name in sorted(files):
                content = hashlib.sha256(files[name].read_bytes()).hexdigest()
                total.update(f"{name} {content}\n".encode(errors="surrogateescape"))
        return total.hexdigest()[:16]


class FolderDataSet(FileDataSet):
    """A folder of pictures and a folder of masks with the same names."""

    image_folder: ClassVar[str]
    mask_folder: ClassVar[str]

    def collect(self) -> None:
        self.images = pictures_in(self.need(self.root / self.image_folder))
        self.masks = pictures_in(self.need(self.root / self.mask_folder))
