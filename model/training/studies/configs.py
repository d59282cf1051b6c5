"""What `crossval`, `tune` and `small-data` take: the settings of `train`, and a few more."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from model.errors import ConfigError
from model.training.config import TrainConfig, flag, weighs_classes

GOES_ON = "If a training has begun, the same command with --resume continues."

Searched = Literal["lr", "base_width", "depth", "loss", "augment"]


@dataclass(frozen=True)
class CrossValidation(TrainConfig):
    """Train one network for each fold, and score every picture by the one that never saw it."""

    COMMAND: ClassVar[str] = "crossval"
    OWN: ClassVar[tuple[str, ...]] = ("folds",)

    keep: Literal["best", "last"] = "last"
    """The epoch whose weights each fold keeps: the last, or the best on the pictures that it is
    then scored on, which biases its figures upwards."""
    time_limit: float | None = None
    """Hours of training of each fold, including resumed parts, after which it ends with the current
    epoch. For the schedule to reach its end choose --epochs instead."""
    folds: int = 5
    """How many parts training and validation pictures are cut into; the test part stays apart."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _alone(self)
        _holds_out(self)
        if self.early_stopping is not None or self.schedule == "plateau":
            raise ConfigError(
                "--early-stopping and --schedule plateau do not go with crossval: the pictures "
                "that a network is scored on would influence its training."
            )

    def fold(self, number: int) -> TrainConfig:
        """The settings of a fold, counted from 1."""
        return _plain(self, output=self.output / f"fold-{number}", skip_check=True)


@dataclass(frozen=True)
class Tuning(TrainConfig):
    """Search for the settings with the best validation IoU. All other settings are those of train.

    Started again with --resume, or on other machines with the same --storage and --study, it
    continues until there are --trials in total."""

    COMMAND: ClassVar[str] = "tune"
    OWN: ClassVar[tuple[str, ...]] = ("trials", "search", "losses")

    time_limit: float | None = None
    """Hours of training of each trial, including resumed parts, after which it ends with the
    current epoch; how long the search takes depends on --trials as well."""
    trials: int = 30
    """Number of trials, over all machines; pruned ones count."""
    search: tuple[Searched, ...] = get_args(Searched)
    """What is searched: learning rate (--lr / 10 to 10 --lr), base width (16, 24, 32), depth (3 to
    5), loss, strength of the augmentation (0 to 2). Width and depth are for "unet" alone; with
    --start-from they are those of its network."""
    losses: tuple[str, ...] = ("ce", "ce+dice", "dice", "focal", "lovasz")
    """The losses to choose from."""
    storage: str = ""
    """Where the search is kept: an Optuna storage, such as postgresql://user@host/name; by
    default a file in --output."""
    study: str = "tuning"
    """The search's name in the storage."""
    retrain: bool = False
    """Train the winner on all training and validation pictures together, into OUTPUT/best; --limit
    applies to the search only."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _alone(self)
        _holds_out(self)
        if self.schedule == "plateau":
            raise ConfigError(
                "--schedule plateau does not go with tune: the winner learns from the validation "
                "pictures, which that follows. Choose another schedule."
            )
        if self.trials < 1:
            raise ConfigError(f"--trials must be at least 1, got {self.trials}.")
        if not self.search or not self.losses:
            raise ConfigError("--search and --losses must name something to search.")
        if not self.searched:
            search = f"--search {' '.join(self.search)}"
            if self.start_from:
                raise ConfigError(
                    f"{search} does not go with --start-from: width and depth are those of the "
                    "network to start from. Search something else."
                )
            raise ConfigError(
                f'{search}: width and depth are those of "unet"; {self.network} has none to search.'
            )

    @property
    def searched(self) -> list[str]:
        """Those of `search` that are open."""
        fixed = () if self.network == "unet" and not self.start_from else ("base_width", "depth")
        return [name for name in self.search if name not in fixed]

    def trial_folder(self, number: int) -> Path:
        return self.output / f"trial-{number:04d}"

    def trial(self, output: Path, chosen: dict[str, Any]) -> TrainConfig:
        """The settings of a trial. Args: chosen: the searched ones, by name."""
        return _plain(self, output=output, skip_check=True, **self._weighed(chosen))

    def _weighed(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """With class weights only where the loss knows them."""
        known = weighs_classes(chosen.get("loss", self.loss))
        return chosen | {"class_weights": self.class_weights if known else "none"}

    def winner(self, chosen: dict[str, Any]) -> TrainConfig:
        """The settings of the last training, on all pictures except those of the test part."""
        changes = {"skip_check": True, "include_validation": True, "limit": None}
        # It trains for as long as a full trial: no pictures are left to stop it early by.
        changes |= {"early_stopping": None, **self._weighed(chosen)}
        return _plain(self, output=self.output / "best", **changes)


@dataclass(frozen=True)
class SmallData(TrainConfig):
    """Train one network on more and more of the training pictures, and score each on the test part.

    All runs take the same number of steps, with the same validation pictures; run the command for
    each network to compare."""

    COMMAND: ClassVar[str] = "small-data"
    OWN: ClassVar[tuple[str, ...]] = ("pictures", "seeds")

    pictures: tuple[int, ...] = (25, 50, 100, 200)
    """How many training pictures; all of them come last, with one seed."""
    seeds: int = 3
    """Training runs for each number except the last, with seeds from --seed on. The seed draws the
    pictures, the same for every network, and determines everything else that is random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _alone(self)
        if self.seeds < 1:
            raise ConfigError(f"--seeds must be at least 1, got {self.seeds}.")
        if (
            not self.pictures
            or min(self.pictures) < 1
            or len(set(self.pictures)) < len(self.pictures)
        ):
            raise ConfigError("--pictures must be distinct numbers, each at least 1.")
        defaults = {item.name: item.default for item in fields(TrainConfig)}
        for name, reason in _UNEQUAL.items():
            if getattr(self, name) != defaults[name]:
                raise ConfigError(f"{flag(name)} does not go with small-data: {reason}.")

    def runs(self, every: int) -> list[tuple[int, int]]:
        """Number of pictures and seed of each run. Args: every: all that there are."""
        drawn = [(count, self.seed + i) for count in sorted(self.pictures)
                 for i in range(self.seeds)]  # fmt: skip
        return [*drawn, (every, self.seed)]

    def run(self, output: Path, split: Path, seed: int, every: int) -> TrainConfig:
        """The settings of a run. Args: split: its own; every: all training pictures, which are
        the length of an epoch where no other is given."""
        length = self.pictures_per_epoch or every
        return _plain(self, output=output, split=split, seed=seed, skip_check=True,
                      pictures_per_epoch=length)  # fmt: skip


_UNEQUAL = {
    "limit": "--pictures says how many",
    "include_validation": "those pictures choose the epoch of each run",
    "early_stopping": "all runs take the same number of steps",
    "time_limit": "all runs take the same number of steps",
    "on_collapse": "all runs take the same number of steps",
}
"""Settings that would make the runs unequal, and why."""


def make_folder(path: Path) -> None:
    """Raises `ConfigError` if the folder of a study cannot be created."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--output {path} cannot be created: {error.strerror}. Choose another."
        ) from error


def _alone(config: TrainConfig) -> None:
    if config.devices * config.num_nodes > 1 or int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ConfigError(
            "--devices, --num-nodes and torchrun are for train alone. Several machines search "
            "together through one --storage."
        )


def _holds_out(config: TrainConfig) -> None:
    if config.include_validation:
        raise ConfigError(
            f"--include-validation does not go with {config.COMMAND}: it would score networks on "
            "pictures that they have learned from."
        )


def _plain(config: TrainConfig, **changes: Any) -> TrainConfig:
    """Those settings of `config` that `train` has too, some changed.

    The preset has been applied by then: all of its settings are there.
    """
    settings = {item.name: getattr(config, item.name) for item in fields(TrainConfig)}
    return TrainConfig(**settings | {"preset": "", "resume": False} | changes)
