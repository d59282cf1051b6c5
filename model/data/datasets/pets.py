"""Oxford-IIIT Pet: cats and dogs with trimaps."""

from __future__ import annotations

from pathlib import Path

from model.data import splits
from model.data.classes import ClassTable
from model.data.datasets.base import FolderDataSet
from model.data.masks import MaskEncoding
from model.data.splits import Split


class Pets(FolderDataSet):
    """Oxford-IIIT Pet: trimaps of cats and dogs, stored as 1 pet, 2 background, 3 border."""

    name = "pets"
    title = "Oxford-IIIT Pet, trimaps"
    licence = "CC BY-SA 4.0"
    source = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
    published = 7390
    layout = "oxford-iiit-pet/images/*.jpg, oxford-iiit-pet/annotations/trimaps/*.png"
    longest_side = 256
    split_rule = "70 / 15 / 15 within each breed"
    fold_rule = "stratified"
    folders = ("oxford_pet", "oxford-iiit-pet")
    image_folder = "images"
    mask_folder = "annotations/trimaps"
    classes = ClassTable.named(pet="#D55E00", background="#56B4E9", border="#F0E442")
    encoding = MaskEncoding("index", {1: 0, 2: 1, 3: 2})

    def group_of(self, name: str) -> str:
        """The breed: the file name up to the last underscore."""
        return name.rsplit("_", 1)[0]

    def make_split(self, names: list[str]) -> Split:
        return splits.stratified(names, self.group_of)


class PetsBinary(Pets):
    """The same with two classes: the border counts as pet, as in smp's example."""

    name = "pets-binary"
    title = "Oxford-IIIT Pet, foreground"
    classes = ClassTable.named(background="#56B4E9", pet="#D55E00")
    encoding = MaskEncoding("index", {1: 1, 2: 0, 3: 1})


def fetch(data_root: Path) -> None:
    """Downloads the two archives and unpacks them into `oxford-iiit-pet/`.

    Addresses and hashes are torchvision's. What is already there is kept, and a download
    that was cut short continues where it stopped.

    Raises: `DataError` if the download fails or its hash is wrong.
    """
    from torchvision.datasets import OxfordIIITPet

    from model.data.download import fetch_archive

    for url, md5 in OxfordIIITPet._RESOURCES:
        fetch_archive(url, md5, data_root / "oxford-iiit-pet")
