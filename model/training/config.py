"""`TrainConfig`: the command line of `train`, the Python call, and what a checkpoint records."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from model.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig:
    """Train a network on a data set and write a checkpoint folder."""

    data: str = "streets"
    """A data set of `python -m model data list`, or folder:PATH for your own pictures and masks;
    "streets" is drawn and needs no download."""
    output: Path = Path("runs/latest")
    """Folder of the run; it is a checkpoint folder from the first epoch on."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    network: str = "unet"
    """"unet" (from scratch) or "unet-<encoder>", such as unet-resnet34."""
    encoder_weights: str = "none"
    """"imagenet" (smp's, from the Hugging Face Hub), "none", or a safetensors file."""
    encoder_origin: str = ""
    """What the encoder file was pretrained on, for the model card."""
    start_from: str = ""
    """Continue from the weights of a checkpoint of the same network and classes, such as an
    earlier run's folder."""
    base_width: int = 32
    """Channels of the first block of "unet"."""
    depth: int = 4
    """Number of poolings of "unet"."""
    dropout: float = 0.0
    """Dropout in the two deepest blocks of "unet"."""
    longest_side: int | None = None
    """Pictures are scaled to this longer side, in pixels; by default the data set's own."""
    crop: int = 256
    """Side of the training crops, in pixels; a multiple of 32."""
    loss: str = "ce+dice"
    """"ce", "dice", or a weighted sum such as "0.5*ce+dice"."""
    class_weights: Literal["none", "balanced"] = "none"
    """"balanced": rare classes count more in the cross-entropy."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    """Peak learning rate."""
    encoder_lr_factor: float = 1.0
    """The encoder's learning rate as a fraction of `lr`; about 0.1 to 0.3 when pretrained."""
    weight_decay: float = 1e-2
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    epochs: int = 30
    batch_size: int = 8
    limit: int | None = None
    """Use only the first so many training pictures (a quick trial)."""
    precision: Literal["auto", "f32", "bf16"] = "auto"
    """"auto": bf16 autocast where the processor has bf16 instructions."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    seed: int = 0
    resume: bool = False
    """Continue the run in `output` after its last finished epoch; repeat its other arguments."""

    def __post_init__(self) -> None:
        for name in ("base_width", "depth", "epochs", "batch_size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, got {value}.")
        if self.batch_size < 2:
            raise ConfigError("--batch-size must be at least 2: BatchNorm needs more than one.")
        if self.crop < 32 or self.crop % 32:
            raise ConfigError(f"--crop must be a multiple of 32, got {self.crop}.")
        if self.longest_side is not None and self.longest_side < 32:
            raise ConfigError(f"--longest-side must be at least 32, got {self.longest_side}.")
        if not (0 < self.lr < math.inf and 0 < self.encoder_lr_factor < math.inf):
            raise ConfigError("--lr and --encoder-lr-factor must be greater than 0.")
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"--weight-decay must be at least 0, got {self.weight_decay}.")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"--seed must be from 0 to {2**32 - 1}, got {self.seed}.")
        if self.network == "unet" and 2**self.depth > self.crop:
            raise ConfigError(
                f"--depth {self.depth} halves the crop of {self.crop} pixels to less than one."
            )
        if self.network == "unet" and self.encoder_weights != "none":
            raise ConfigError("--encoder-weights needs a network with an encoder: unet-<encoder>.")

    def portable(self) -> dict[str, Any]:
        """The settings, without where things lay on this machine: files by their names only."""
        local = ("output", "data_root", "resume")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in local}
        for name in ("encoder_weights", "start_from"):
            values[name] = Path(values[name]).name
        kind, colon, path = self.data.partition(":")
        values["data"] = kind + colon + Path(path).name
        return values

    def command(self) -> str:
        """The command line that trains the same again, given its files."""
        defaults = {item.name: item.default for item in fields(self)}
        words = ["python", "-m", "model", "train"]
        for name, value in self.portable().items():
            if value != defaults[name]:
                words += [f"--{name.replace('_', '-')}", str(value)]
        return shlex.join(words)
