"""The checkpoint folder: the one format that training writes and everything else reads.

    model.safetensors    weights, no pickle; fp16 when published
    int8.safetensors     how those weights and the activations are rounded to 8 bits: ranges,
                         scales, corrected biases; written by `python -m model quantise`
    config.json          the network's class and constructor arguments (smp's own format)
    segmentation.json    classes, preprocessing, data and split digests, training, origin
    history.csv          one row per epoch
    metrics.json         confusion matrices and what follows from them: splits -> part ->
                         precision ("f32", "bf16", "int8") -> figures
    per_image.csv        scores of each picture of the test split
    training.png         the curves of history.csv, drawn
    README.md            the model card

Columns of `per_image.csv`: `name`; `mean_iou`, `mean_dice`, `accuracy` of the picture on its
own; `sequence`, the video sequence or tile that it is part of, empty for pictures on their
own; and counts that add up over pictures, as integers with spaces between: pixels per class
that are right (`hits`), in the truth (`truth`) and in the prediction (`predicted`), the same
in the band along contours (`boundary_hits`, `boundary_truth`, `boundary_predicted`), and
objects by size (`objects_found`, `objects`). Checkpoints scored before there were counts have
the first four columns only.

This module imports no torch.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from model.checkpoints.hub_id import read_registry
from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing
from model.digest import file_digest
from model.errors import CheckpointError, ConfigError, UnknownModelError

SCHEMA_VERSION = 1
WEIGHTS_FILE = "model.safetensors"
INT8_FILE = "int8.safetensors"
CONFIG_FILE = "config.json"
DESCRIPTION_FILE = "segmentation.json"
HISTORY_FILE = "history.csv"
METRICS_FILE = "metrics.json"
PER_IMAGE_FILE = "per_image.csv"
CURVES_FILE = "training.png"
CARD_FILE = "README.md"
REPORT_FILE = "report.html"

OURS = "UNet"
"""What `config.json` calls our own U-Net, which has no encoder from elsewhere."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder, described but without its weights in memory.

    Attributes:
        name: what pages, API and reports call it.
        path: the folder.
        config: `config.json`, the network's class (`_model_class`) and its arguments.
        classes, preprocessing: from `segmentation.json`.
        description: the whole of `segmentation.json`.
        metrics: `metrics.json`, or {} where there is none (yet).
    """

    name: str
    path: Path
    config: dict[str, Any]
    classes: ClassTable
    preprocessing: Preprocessing
    description: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def weights_path(self) -> Path:
        """The file with the weights; the first use pulls those that are only registered.

        Raises: `CheckpointError` if they cannot be pulled.
        """
        path = self.path / WEIGHTS_FILE
        if not path.is_file() and (hub_id := read_registry(self.path.parent).get(self.path.name)):
            from model.checkpoints import hub  # needs huggingface_hub, which nothing bundled does

            return hub.find(hub_id).weights_path
        return path

    @property
    def is_shipped(self) -> bool:
        """Whether its weights are there, or can be pulled; else only its figures are reported."""
        return (self.path / WEIGHTS_FILE).is_file() or self.path.name in read_registry(
            self.path.parent
        )

    @property
    def int8_path(self) -> Path:
        """The file that int8 needs beside the weights; a checkpoint may lack it."""
        return self.path / INT8_FILE

    def digest(self, precision: str = "f32") -> str:
        """SHA-256, 64 hex digits, of what computes in a precision: network, weights and, for
        int8, its ranges. Figures recorded with a digest hold only as long as it is the same.
        """
        files = [self.weights_path, *([self.int8_path] if precision == "int8" else [])]
        total = hashlib.sha256(repr(sorted(self.config.items())).encode())
        for path in files:
            status = path.stat()
            digest = _file_digest(path.resolve(), status.st_size, status.st_mtime_ns)
            total.update(bytes.fromhex(digest))
        return total.hexdigest()

    @property
    def learned_from_validation(self) -> bool:
        """Whether it was trained on the validation pictures too (`--include-validation`), or
        started from a checkpoint that was, on the same data."""
        training = self.description.get("training", {})
        data = training.get("data")
        while training:
            if training.get("include_validation") and training.get("data") == data:
                return True
            training = training.get("before")
        return False

    @property
    def is_pretrained(self) -> bool:
        """Whether its encoder started from pretrained weights."""
        return bool(self.description.get("encoder", {}).get("pretrained"))

    @property
    def price_split(self) -> str:
        """The split on which prices of precisions are measured: validation, or test where the
        network has learned from validation too."""
        return "validation" if self.figures("validation") else "test"

    def prices(self) -> dict[str, float]:
        """What precisions below float32 cost, by name: how far the mean IoU on `price_split`
        lies below float32's, in hundredths; negative where it lies above.

        Those that were not measured on the same pictures as float32 are missing.
        """
        exact = self.figures(self.price_split)
        found = {p: self.figures(self.price_split, p) for p in ("bf16", "int8")}
        return {
            precision: round(100 * (exact["mean_iou"] - figures["mean_iou"]), 4)
            for precision, figures in found.items()
            if exact and figures and figures["num_images"] == exact["num_images"]
        }

    @property
    def data_name(self) -> str:
        """Name of the data set it was trained on."""
        return self.description.get("data", {}).get("name", "unknown")

    @property
    def network_name(self) -> str:
        """The name in the registry of networks, e.g. "unet-resnet34"."""
        return self.description.get("network", {}).get("name", self.config["_model_class"])

    def history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`, empty where there is none; half-written rows are dropped.

        Each also says, as `kept`, whether the checkpoint's weights are those of its epoch: 1 or 0.
        """
        try:
            text = (self.path / HISTORY_FILE).read_text(encoding="utf-8")
        except (OSError, ValueError):  # ValueError: not even text
            return []
        best = self.description.get("training", {}).get("best_epoch")
        rows = []
        for row in csv.DictReader(text.splitlines()):
            try:
                figures = {key: float(value) for key, value in row.items()}
            except (TypeError, ValueError):
                continue
            rows.append(figures | {"kept": float(figures.get("epoch") == best)})
        return rows

    @property
    def training_seconds(self) -> float | None:
        """How long its training takes on an otherwise idle machine: all epochs at the median pace.

        Other work on the machine lengthens single epochs, and so the elapsed time, which is used
        where `history.csv` has no times. None where neither is known.
        """
        training = self.description.get("training", {})
        seconds = [row["seconds"] for row in self.history() if row.get("seconds")]
        passed = training.get("seconds")
        if seconds and training.get("epochs_done"):
            pace = median(seconds) * training["epochs_done"]
            return pace if passed is None else min(pace, passed)
        return passed

    def figures(self, split: str, precision: str = "f32") -> dict[str, Any] | None:
        """What `metrics.json` says of a split in a precision; None if it holds no such figures."""
        found: Any = self.metrics
        for key in ("splits", split, precision):
            found = found.get(key) if isinstance(found, dict) else None
        headline = ("mean_iou", "mean_dice", "accuracy", "num_images")
        numbers = isinstance(found, dict) and all(
            isinstance(found.get(name), int | float) for name in headline
        )
        return found if numbers else None

    def per_image(self) -> list[dict[str, str]]:
        """The rows of `per_image.csv`, empty where there is none."""
        try:
            text = (self.path / PER_IMAGE_FILE).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return []
        return list(csv.DictReader(text.splitlines()))


def read(folder: str | Path) -> Checkpoint:
    """Reads a checkpoint folder's description.

    Raises: `CheckpointError` naming the missing or corrupt file.
    """
    checkpoint = described(Path(folder))
    if not checkpoint.is_shipped:
        raise CheckpointError(
            f"The checkpoint {checkpoint.path} has no {WEIGHTS_FILE}: its weights are gone."
        )
    return checkpoint


def described(path: Path) -> Checkpoint:
    """As `read`, whether or not there are weights."""
    if not os.path.isdir(path):  # unlike Path's, no error for a name that is too long
        raise UnknownModelError(f"There is no checkpoint folder {path}.")
    config = _read_json(path / CONFIG_FILE)
    description = _read_json(path / DESCRIPTION_FILE)
    version = description.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise CheckpointError(
            f"{path / DESCRIPTION_FILE} has schema version {version}; this program reads up to "
            f"{SCHEMA_VERSION}. Update U-Net Studio."
        )
    try:
        classes = ClassTable.from_json(description["classes"])
        preprocessing = Preprocessing.from_json(description["preprocessing"])
        for section in ("data", "network", "encoder", "training"):
            if not isinstance(description.get(section, {}), dict):
                raise TypeError(f"'{section}' is not an object")
        config["_model_class"]
    except ConfigError as error:
        raise CheckpointError(f"{path / DESCRIPTION_FILE}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"The checkpoint {path} is incomplete: {error!r} in {DESCRIPTION_FILE} or "
            f"{CONFIG_FILE}."
        ) from error
    # smp's networks call the number of their outputs "classes".
    outputs = config.get("num_classes", config.get("classes"))
    if outputs != len(classes):
        raise CheckpointError(
            f"{path / CONFIG_FILE} describes a network for {outputs} classes, but "
            f"{DESCRIPTION_FILE} names {len(classes)}."
        )
    metrics = _read_json(path / METRICS_FILE) if (path / METRICS_FILE).exists() else {}
    return Checkpoint(
        path.resolve().name, path, config, classes, preprocessing, description, metrics
    )


def members(checkpoint: Checkpoint) -> list[Checkpoint]:
    """A checkpoint and those that its `members` name. Raises `CheckpointError`."""
    names = checkpoint.description.get("members", [])
    if not isinstance(names, list) or not all(
        isinstance(name, str) and name != ".." and Path(name).name == name for name in names
    ):
        raise CheckpointError(
            f"{checkpoint.path / DESCRIPTION_FILE}: 'members' must list names of folders "
            f"within {checkpoint.path}, got {names!r}."
        )
    return [checkpoint, *(read(checkpoint.path / name) for name in names)]


@functools.lru_cache(maxsize=64)
def _file_digest(path: Path, size: int, changed: int) -> str:
    """Cached as long as size and modification time (nanoseconds) stay the same."""
    return file_digest(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"The checkpoint {path.parent} has no {path.name}.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a JSON object.")
    return values
