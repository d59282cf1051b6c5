"""The command `quantise`: what it takes, and what it prints."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from model.checkpoints import zoo


@dataclass(frozen=True)
class Quantise:
    """Calibrate a checkpoint for int8 on training pictures; `evaluate` then says what it costs."""

    checkpoint: str
    """A name in weights/, or a checkpoint folder's path."""
    data: str | None = None
    """The data set; by default the one that the checkpoint was trained on."""
    split_file: Path | None = None
    """The --split-file that it was trained with; by default the data set's own split."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    pictures: int = 128
    """How many training pictures, spread evenly."""


def quantise(command: Quantise) -> None:
    """Runs `quantise`. Raises `StudioError`."""
    from model.checkpoints.trained_on import other_split
    from model.data import datasets
    from model.inference.engines.post_training import calibrate

    checkpoint = zoo.find(command.checkpoint)
    data = datasets.load(
        command.data or checkpoint.data_name, command.data_root, command.split_file
    )
    if warning := other_split(checkpoint, data):
        print(f"warning: {warning} Give that split as --split-file.")
    found = calibrate(checkpoint, data, command.pictures)
    found.write(checkpoint)
    size = checkpoint.int8_path.stat().st_size / 1e3
    print(f"{checkpoint.int8_path}: {size:.0f} kB, calibrated on {found.pictures} pictures.")
    words = ["python", "-m", "model", "evaluate", "--checkpoint", command.checkpoint]
    for name in ("data", "split_file", "data_root"):
        if (value := getattr(command, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--split", checkpoint.price_split, "--precision", "int8", "--record"]
    print(f"What it costs: {shlex.join(words)}")
