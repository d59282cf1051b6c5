"""`TrainConfig`: the command line of `train`, the Python call, and what a checkpoint records."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import tyro

from model.checkpoints.hub_id import HubId
from model.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, SizePolicy
from model.errors import ConfigError
from model.training.presets import PRESETS

Schedule = Literal["one-cycle", "cosine", "poly", "constant", "plateau"]

NORMALISATIONS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

LOCAL = ("output", "data_root", "skip_check", "resume", "samples_every", "cache_gib",
         "devices", "num_nodes")  # fmt: skip
"""Settings that say where and how a run is watched, not what is trained."""

CHANGEABLE = ("preset", "device", "time_limit", "early_stopping", "on_collapse")
"""Settings that may change when a run is resumed."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a network on a data set and write a checkpoint folder."""

    COMMAND: ClassVar[str] = "train"
    OWN: ClassVar[tuple[str, ...]] = ()
    """Settings that `train` does not have, which `command` is to repeat."""

    preset: str = ""
    """A recipe whose settings the other flags override: road-vgg16, road-scratch, carla-scratch,
    carla-resnet34, carla-mobilenet, carla-course, aerial, aerial-mobilenet, pets, pets-scratch,
    pets-mobilenet, camvid-scratch, camvid-mobilenet. `--preset NAME --help` shows its settings.
    In Python: TrainConfig.of_preset(name, ...)."""
    data: str = "streets"
    """A data set of `python -m model data list`, or folder:PATH for your own pictures and masks;
    "streets" is drawn and needs no download."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    # Also as --split, for commands that older versions recorded. The help lists aliases first.
    split: Annotated[Path | None, tyro.conf.arg(aliases=["--split-file"])] = None
    """A split file that replaces the data set's own split; --split is its old name."""
    limit: int | None = None
    """Use only this many training pictures, the first ones, for a quick trial. For a study of small
    data, with pictures drawn by seeds, see `small-data`."""
    include_validation: bool = False
    """Train on the validation pictures too, as at the end of a search. They cannot choose the epoch
    then: the last one is kept, and only the test part is scored."""
    keep: Literal["best", "last"] = "best"
    """The epoch whose weights are kept: the best by mean IoU on the validation pictures, or the
    last, whose figures on them are not biased by the choice."""
    skip_check: bool = False
    """Train without `data check`, whose errors stop the run before it begins."""
    output: Path = Path("runs/latest")
    """Folder of the run; it is a checkpoint folder from the first epoch on."""

    network: str = "unet"
    """"unet" (from scratch) or "unet-<encoder>", such as unet-resnet34."""
    encoder_weights: str = "none"
    """"imagenet" (smp's, from the Hugging Face Hub), "none", a safetensors file (a bare name is
    also looked up in encoders/ next to the data sets), or owner/name[@revision] on the Hub: an
    encoder's weights, or a checkpoint that has the encoder."""
    encoder_origin: str = ""
    """What the encoder weights were pretrained on, for the model card."""
    start_from: str = ""
    """Continue from the weights of a checkpoint of the same network and classes, such as an
    earlier run's folder."""
    base_width: int = 32
    """Channels of the first block of "unet"."""
    depth: int = 4
    """Number of poolings of "unet"."""
    dropout: float = 0.0
    """Dropout in the two deepest blocks of "unet", in [0, 1)."""

    size_policy: SizePolicy = "resize"
    """"resize": pictures are scaled to --longest-side. The others take them at their own scale:
    "pad" whole, "crop" in random crops, "tile" in random crops and later in tiles of --tile."""
    longest_side: int | None = None
    """With --size-policy resize: the longer side in pixels; by default the data set's own."""
    tile: int = 512
    """With --size-policy tile: side of the tiles in pixels; a multiple of 32, from 64."""
    crop: int = 256
    """Side of the training crops, in pixels; a multiple of 32, or of 2**depth if that is more."""
    normalisation: Literal["imagenet", "unit"] = "imagenet"
    """"imagenet": ImageNet's mean and deviation, as pretrained encoders expect; "unit": pixels
    are only rescaled to [0, 1]."""
    augment: float = 1.0
    """Strength of the augmentation, from 0 (none but the crop's position) to 2."""
    turn: bool = False
    """Also rotate by random quarter turns: for pictures with no "up", such as aerial ones."""

    loss: str = "ce+dice"
    """ce, bce, focal, dice, jaccard, tversky, lovasz, or a weighted sum such as "0.5*ce+dice";
    see docs/training.md."""
    class_weights: Literal["none", "balanced"] = "none"
    """"balanced": rare classes count more in the cross-entropy (ce)."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    """Adam, AdamW, or SGD with Nesterov momentum 0.9, which one-cycle varies from 0.85 to 0.95."""
    lr: float = 1e-3
    """Peak learning rate."""
    encoder_lr_factor: float = 1.0
    """The encoder's learning rate as a fraction of --lr; about 0.1 to 0.3 when pretrained."""
    freeze_encoder_epochs: int = 0
    """Epochs at the start in which the encoder is frozen, while the new decoder settles."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW and SGD; Adam has none."""
    schedule: Schedule = "one-cycle"
    """Learning rate schedule; "plateau" halves it when the validation IoU stops rising."""
    warmup_epochs: float = 0.0
    """Epochs in which the learning rate rises; by default none, with one-cycle 15 % of all."""
    plateau_patience: int = 5
    """With --schedule plateau: epochs without a better validation IoU before the rate is halved."""
    ema: float = 0.0
    """Decay per step, such as 0.999, of a moving average of the weights, which is then what is
    validated and kept; 0 for none."""
    epochs: int = 30
    """How often all training pictures are seen; see also --pictures-per-epoch."""
    pictures_per_epoch: int | None = None
    """Length of an epoch, if not the number of training pictures: they are gone through again and
    again, in a new order each time, and an epoch is this many of them."""
    batch_size: int = 8
    """Pictures per batch, over all processes; an incomplete last batch of an epoch is left out."""
    accumulate: int = 1
    """Batches that make one step of the optimizer, with the mean of their gradients; if those at
    the end of an epoch are too few for a step, they are left out."""

    early_stopping: int | None = None
    """Stop after this many epochs without a better validation IoU; by default never."""
    time_limit: float | None = None
    """Hours of training, including resumed parts, after which the run ends with the current epoch.
    For the schedule to reach its end choose --epochs instead."""
    on_collapse: Literal["warn", "stop"] = "warn"
    """What to do when one class is predicted everywhere for three epochs."""
    samples_every: int = 5
    """Epochs between two pictures of sample predictions in samples/; 0 for none."""
    cache_gib: float = 2.0
    """Decoded pictures kept in memory, in GiB; the rest is kept in a temporary file."""

    precision: Literal["auto", "f32", "bf16"] = "auto"
    """"auto": bf16 autocast where the processor has bf16 instructions."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """What computes; "auto" takes a GPU where there is one."""
    devices: int = 1
    """Processes on each machine, each with its own GPU if --device is one; under torchrun the
    number that it starts."""
    num_nodes: int = 1
    """Machines that train together; see docs/machines.md."""
    seed: int = 0
    """Determines the initial weights, the order of the pictures and the augmentation."""
    resume: bool = False
    """Continue the run in `output` after its last finished epoch; repeat its other arguments."""

    def __post_init__(self) -> None:
        for name in ("output", "data_root", "split"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        for name in ("base_width", "depth", "epochs", "batch_size", "limit", "accumulate",
                     "pictures_per_epoch", "plateau_patience", "early_stopping", "devices",
                     "num_nodes"):  # fmt: skip
            self._check(name, lambda value: value >= 1, "must be at least 1")
        for name in ("samples_every", "freeze_encoder_epochs", "cache_gib"):
            self._check(name, lambda value: 0 <= value < math.inf, "must be at least 0")
        for name in ("lr", "encoder_lr_factor", "time_limit"):
            self._check(name, lambda value: 0 < value < math.inf, "must be greater than 0")
        self._check("weight_decay", lambda value: 0 <= value < math.inf, "must be at least 0")
        self._check("dropout", lambda value: 0 <= value < 1, "must be in [0, 1)")
        self._check("ema", lambda value: 0 <= value < 1, "must be in [0, 1)")
        self._check("augment", lambda value: 0 <= value <= 2, "must be from 0 to 2")
        self._check("seed", lambda value: 0 <= value < 2**32, f"must be from 0 to {2**32 - 1}")
        self._check("longest_side", lambda value: value >= 32, "must be at least 32")
        self._check("crop", lambda v: v >= 32 and v % 32 == 0, "must be a multiple of 32")
        # Tiles overlap by 32 pixels when a picture is segmented.
        self._check("tile", lambda v: v >= 64 and v % 32 == 0, "must be a multiple of 32 from 64")
        self._check("batch_size", lambda v: v >= 2, "must be at least 2: BatchNorm needs more")
        self._check_together()
        self._check_unused()

    def _check(self, name: str, is_right, rule: str) -> None:
        value = getattr(self, name)
        if value is not None and not is_right(value):
            raise ConfigError(f"{flag(name)} {rule}, got {value}.")

    def _check_together(self) -> None:
        """Settings that do not go together."""
        if self.network == "unet":
            for name in ("crop", "tile") if self.size_policy == "tile" else ("crop",):
                if (side := getattr(self, name)) % self.multiple:
                    raise ConfigError(
                        f"With --depth {self.depth}, {flag(name)} must be a multiple of "
                        f"{self.multiple}, got {side}."
                    )
            for name in ("encoder_weights", "freeze_encoder_epochs", "encoder_lr_factor"):
                if getattr(self, name) != _DEFAULTS[name]:
                    raise ConfigError(f"{flag(name)} needs a network with an encoder: "
                                      "unet-<encoder>.")  # fmt: skip
        if self.include_validation and self.early_stopping is not None:
            raise ConfigError(
                "--early-stopping waits for the validation pictures, which --include-validation "
                "trains on. Use only one of them."
            )
        if self.include_validation and self.schedule == "plateau":
            raise ConfigError(
                "--schedule plateau follows the validation pictures, which --include-validation "
                "trains on. Choose another schedule."
            )
        if self.class_weights == "balanced" and not weighs_classes(self.loss):
            raise ConfigError(
                f"--class-weights balanced changes nothing in --loss {self.loss}: they are for "
                "cross-entropy, alone or in a sum such as ce+dice. Use --class-weights none."
            )
        if self.longest_side is not None and self.size_policy != "resize":
            raise ConfigError(
                f"--longest-side needs --size-policy resize; {self.size_policy} takes pictures at "
                "their own scale."
            )
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ConfigError(
                f"--warmup-epochs must be at least 0 and less than the {self.epochs} of --epochs, "
                f"got {self.warmup_epochs}."
            )
        if self.freeze_encoder_epochs >= self.epochs:
            raise ConfigError(
                f"--freeze-encoder-epochs {self.freeze_encoder_epochs} leaves none of the "
                f"{self.epochs} epochs to train the encoder in."
            )
        if self.preset:
            settings = _settings_of(self.preset)
            if not any(getattr(self, name) == value for name, value in settings.items()):
                raise ConfigError(
                    f"--preset {self.preset}: all of its settings are overridden. In Python, "
                    f'TrainConfig.of_preset("{self.preset}", ...) brings them.'
                )

    def _check_unused(self) -> None:
        """Refuses settings that change nothing, but for a preset's own, such as the width of a
        network that another flag has replaced: they get their defaults."""
        brought = PRESETS.get(self.preset, {})
        for name, needed in _unused(vars(self)).items():
            value = getattr(self, name)
            if value not in (_DEFAULTS[name], brought.get(name)):
                raise ConfigError(f"{flag(name)} changes nothing without {needed}. Leave it out.")
            object.__setattr__(self, name, _DEFAULTS[name])

    @classmethod
    def of_preset(cls, name: str, **changes: Any) -> Self:
        """The settings of a preset, some of them changed.

        Raises: `ConfigError` for an unknown preset or impossible settings.

        >>> TrainConfig.of_preset("pets", epochs=3).network
        'unet-resnet34'
        """
        return cls(**{"preset": name, **_settings_of(name), **changes})

    @classmethod
    def of_words(cls, words: Sequence[str]) -> Self:
        """The defaults that a command line's other flags override: those of its --preset.

        Raises: `ConfigError` for an unknown preset, or two different ones.
        """
        names = []
        for index, word in enumerate(words):
            given, equals, name = word.partition("=")
            if given == "--preset":
                names.append(name if equals else "".join(words[index + 1 : index + 2]))
        if len(set(names)) > 1:
            raise ConfigError(f"--preset is given twice, as {' and '.join(names)}. Choose one.")
        return cls.of_preset(names[0]) if names else cls()

    @property
    def multiple(self) -> int:
        """What sides of the network's input must be divisible by."""
        return max(32, 2**self.depth) if self.network == "unet" else 32

    def preprocessing(self, longest_side: int) -> Preprocessing:
        """How pictures become the network's input. Args: longest_side: the data set's own."""
        mean, std = NORMALISATIONS[self.normalisation]
        resizes = self.size_policy == "resize"
        return Preprocessing(
            longest_side=(self.longest_side or longest_side) if resizes else None,
            size_policy=self.size_policy,
            tile=self.tile,
            multiple=self.multiple,
            mean=mean,
            std=std,
        )

    def portable(self) -> dict[str, Any]:
        """The settings, without where things lay on this machine: files by their names only."""
        values = {name: getattr(self, name) for name in _DEFAULTS if name not in LOCAL}
        if Path(self.start_from).exists() or not HubId.matches(self.start_from):
            values["start_from"] = Path(self.start_from).name
        values["split"] = self.split and self.split.name
        if self.encoder_weights.endswith(".safetensors"):
            values["encoder_weights"] = Path(self.encoder_weights).name
        kind, colon, path = self.data.partition(":")
        values["data"] = kind + colon + Path(path).name
        return values

    def command(self) -> str:
        """The command line that trains the same again, given its files; without the preset, whose
        settings a later version may change."""
        words = ["python", "-m", "model", self.COMMAND]
        defaults = {item.name: item.default for item in fields(self)}
        for name, value in self.portable().items():
            if name != "preset" and value != defaults[name]:
                words += [flag(name)] if value is True else [flag(name), str(value)]
        for name in self.OWN:
            value = getattr(self, name)
            words += [flag(name), *map(str, value if isinstance(value, tuple) else [value])]
        return shlex.join(words)


def weighs_classes(loss: str) -> bool:
    """Whether class weights change a loss: only cross-entropy knows them."""
    return "ce" in re.split(r"[+* ]+", loss)


def flag(name: str) -> str:
    """How a setting is written on the command line.

    >>> flag("batch_size")
    '--batch-size'
    """
    if name == "split":
        return "--split-file"  # as in `evaluate`, whose --split is a part of a split
    return f"--{name.replace('_', '-')}"


def changed_settings(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Which settings of a run differ from those that it was started with, as
    "--epochs 3 (now 5)". Args: both as `portable` gives them.

    A setting that an older version did not know had its default.
    """

    def differs(name: str) -> bool:
        old, new = before.get(name, _DEFAULTS[name]), now[name]
        if name == "start_from":  # of ids on the Hub older versions kept this alone
            old, new = Path(old).name, Path(new).name
        return old != new

    # Older versions recorded these as they were given.
    same = (*CHANGEABLE, *_unused(_DEFAULTS | now))
    return [
        f"{flag(name)} {before.get(name, default)} (now {now[name]})"
        for name, default in _DEFAULTS.items()
        if name in now and name not in same and differs(name)
    ]


def _unused(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings that change nothing beside the others, each with what it needs."""
    unused = {}
    if settings["network"] != "unet":
        unused |= dict.fromkeys(("base_width", "depth", "dropout"), "--network unet")
    if settings["encoder_weights"] in ("none", "imagenet"):  # imagenet: we know their origin
        unused["encoder_origin"] = "--encoder-weights with a file or a Hub id"
    if settings["size_policy"] != "tile":
        unused["tile"] = "--size-policy tile"
    if settings["schedule"] != "plateau":
        unused["plateau_patience"] = "--schedule plateau"
    return unused


def _settings_of(preset: str) -> dict[str, Any]:
    if preset not in PRESETS:
        near = difflib.get_close_matches(preset, PRESETS, 3, 0.5)
        hint = f" Perhaps you meant {' or '.join(near)}." if near else ""
        raise ConfigError(
            f"--preset: there is no preset '{preset}'.{hint} There are {', '.join(PRESETS)}."
        )
    return PRESETS[preset]


_DEFAULTS = {item.name: item.default for item in fields(TrainConfig)}
