"""The checkpoints by their names: those in `weights/`, folders elsewhere, repositories on the Hub.

Beside the checkpoints, `weights/reported/` holds folders of the same kind without weights, whose
figures are reported but which no list of models offers, and `weights/studies/` holds what studies
found. This module imports no torch: an app can list its checkpoints at once.
"""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path

from model.checkpoints.folder import (
    CONFIG_FILE,
    DESCRIPTION_FILE,
    INT8_FILE,
    METRICS_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    described,
    read,
)
from model.checkpoints.hub_id import REGISTRY_FILE, HubId, read_registry
from model.errors import CheckpointError, UnknownModelError

REPORTED_FOLDER = "reported"
STUDIES_FOLDER = "studies"

WEIGHTS_VARIABLE = "UNET_STUDIO_WEIGHTS"


def weights_folder() -> Path:
    """The bundled checkpoints: `UNET_STUDIO_WEIGHTS`, else `weights/` of this repository."""
    bundled = Path(__file__).resolve().parents[2] / "weights"
    return Path(os.environ.get(WEIGHTS_VARIABLE) or bundled)


def find(model: str) -> Checkpoint:
    """Finds a checkpoint by the name that is used for it everywhere.

    Args:
        model: a name in `weights/`, a folder's path (anything with a slash), or, where there
            is no such folder, an id on the Hugging Face Hub: `owner/name[@revision]`.

    Raises: `UnknownModelError` listing what there is, `CheckpointError` if it is damaged or
        cannot be pulled.
    """
    weights = weights_folder()
    if "/" in model or os.sep in model or Path(model).is_absolute():
        path = Path(os.path.expanduser(model))
        if os.path.isdir(path) or not HubId.matches(model):
            return read(path)
        try:
            return _from_hub(HubId.parse(model))
        except CheckpointError as error:
            raise type(error)(
                f"There is no folder {model}, so it was looked for on the Hub. {error}"
            ) from error
    names = _bundled_names(weights)
    if model not in names:
        if pulled := read_registry(weights).get(model):
            return replace(_from_hub(pulled), name=model)
        hint = ""
        if os.path.isfile(weights / REPORTED_FOLDER / model / DESCRIPTION_FILE):
            hint = " Its figures are reported, but its weights are not shipped."
        raise UnknownModelError(
            f"There is no model '{model}'.{hint} Bundled: {', '.join(names) or 'none'}."
        )
    return read(weights / model)


def list_bundled() -> tuple[list[Checkpoint], dict[str, str]]:
    """All checkpoints in `weights/`, by name, and for each damaged one its error message."""
    weights = weights_folder()
    good: list[Checkpoint] = []
    damaged: dict[str, str] = {}
    for name in _bundled_names(weights):
        try:
            good.append(_unchanged(weights / name, _stamps(weights / name)))
        except CheckpointError as error:
            damaged[name] = str(error)
    return good, damaged


def list_reported() -> list[Checkpoint]:
    """Those of `weights/reported/`, by name: their figures are reported, and nothing opens them.

    Raises: `CheckpointError` naming the missing or corrupt file.
    """
    reported = weights_folder() / REPORTED_FOLDER
    if (reported / DESCRIPTION_FILE).exists():  # a run that somebody gave this name
        return []
    return [described(reported / name) for name in _bundled_names(reported)]


def study_files() -> list[Path]:
    """What studies found, one file each in `weights/studies/`, by name."""
    return sorted((weights_folder() / STUDIES_FOLDER).glob("*.json"))


def version(path: Path) -> tuple:
    """Changes whenever a file of a checkpoint folder does that decides how it is described and
    what it computes, members included: what has been retrained, calibrated or measured again must
    not be answered as before. Of one whose weights are on the Hub, their entry in the registry.

    It is cheap, as it only looks at the times of files; a folder that is gone has a version too.
    As a key for caches it has to be from before the files were read.
    """
    # An ensemble's members are the checkpoints within its folder.
    members = sorted(found.parent for found in path.glob(f"*/{DESCRIPTION_FILE}"))
    return str(path.resolve()), *((member.name, _stamps(member)) for member in [path, *members])


def stamp(path: Path) -> tuple[int, ...] | None:
    """Changes with a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _from_hub(hub_id: HubId) -> Checkpoint:
    from model.checkpoints import hub  # needs huggingface_hub, which nothing bundled does

    return hub.find(hub_id)


def _bundled_names(weights: Path) -> list[str]:
    if not weights.is_dir():
        return []
    # A run that somebody gave such a name is a checkpoint.
    others = {name for name in (REPORTED_FOLDER, STUDIES_FOLDER)
              if not (weights / name / DESCRIPTION_FILE).exists()}  # fmt: skip
    return sorted(
        path.name
        for path in weights.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in others
    )


@functools.lru_cache(maxsize=256)
def _unchanged(path: Path, stamps: tuple) -> Checkpoint:
    """As `read`, cached: a server lists its checkpoints for every visitor and every health check,
    and would spend its time parsing the same JSON."""
    return read(path)


def _stamps(path: Path) -> tuple:
    names = (CONFIG_FILE, DESCRIPTION_FILE, METRICS_FILE, WEIGHTS_FILE, INT8_FILE)
    return tuple(map(stamp, [*(path / name for name in names), path.parent / REGISTRY_FILE]))
