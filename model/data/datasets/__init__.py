"""The data sets by name: where they are, what their masks mean, how they are split.

`load("carla", data_root)` finds a data set under `--data-root` or `UNET_STUDIO_DATA`, and
`load("folder:PATH")` opens a user's own. To add one: subclass `FolderDataSet`, say how its
masks are encoded and how it is split, and add it to `DATA_SETS`.
"""

from __future__ import annotations

import os
from pathlib import Path

from model.data import split_file
from model.data.datasets.aerial import Aerial
from model.data.datasets.base import DATA_ROOT_VARIABLE, DataSet, FileDataSet, FolderDataSet
from model.data.datasets.driving import CamVid, Carla, Lyft, Streets
from model.data.datasets.folder import UserFolder
from model.data.datasets.outlined import Drivable, Potholes, Roads
from model.data.datasets.pets import Pets, PetsBinary
from model.errors import ConfigError, DataError

DATA_SETS: dict[str, type[DataSet]] = {
    kind.name: kind
    for kind in (
        Carla,
        Lyft,
        Roads,
        Potholes,
        Drivable,
        Aerial,
        Pets,
        PetsBinary,
        CamVid,
        Streets,
        UserFolder,
    )
}


def load(
    name: str, data_root: str | Path | None = None, split: str | Path | None = None
) -> DataSet:
    """Opens a data set.

    Args:
        name: a key of `DATA_SETS`, or `folder:PATH`.
        data_root: folder that holds the data sets' folders; by default the environment
            variable `UNET_STUDIO_DATA`, else `data/` in the working directory. For the name
            `folder`, the folder itself.
        split: a file written by `split_file.write` that replaces the data set's own split.

    Raises: `ConfigError` for an unknown name; `DataError` if the files are missing or
    unpaired, or the split does not fit.
    """
    kind, _, path = name.partition(":")
    if kind not in DATA_SETS or (path and kind != UserFolder.name):
        raise ConfigError(
            f"There is no data set '{name}'; choose one of {sorted(DATA_SETS)}, or folder:PATH."
        )
    if kind == UserFolder.name and not path and data_root is None:
        raise ConfigError("Your own pictures are named by their folder: --data folder:PATH.")
    data = DATA_SETS[kind](Path(path).expanduser() if path else data_folder(data_root))
    if split is not None:
        content = split_file.read(Path(split))
        if content.data != data.name:
            raise DataError(f"{split} is a split of '{content.data}', not of '{data.name}'.")
        data.use_split(content.parts, f"{content.rule} (from a file)")
    return data


def data_folder(data_root: str | Path | None = None) -> Path:
    """The folder that holds the data sets: as given, or `UNET_STUDIO_DATA`, or `data/`."""
    return Path(data_root or os.environ.get(DATA_ROOT_VARIABLE) or "data").expanduser()


__all__ = ["DATA_SETS", "DataSet", "FileDataSet", "FolderDataSet", "data_folder", "load"]
