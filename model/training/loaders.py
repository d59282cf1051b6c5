"""Batches of a data set for training and validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from model.data.classes import VOID
from model.data.datasets import DataSet
from model.data.preprocessing import Preprocessing
from model.data.statistics import Statistics
from model.data.transforms import Collate, SampleDataset, Tiles, augmentation
from model.errors import ConfigError, DataError
from model.inference.tiling import TILE
from model.training.config import TrainConfig
from model.training.processes import Processes


def training_names(config: TrainConfig, data: DataSet) -> list[str]:
    """The pictures that a run learns from."""
    others = data.names("validation") if config.include_validation else []
    return (data.names("train") + others)[: config.limit]


def check_enough(config: TrainConfig, data: DataSet, processes: int = 1) -> None:
    """Raises `ConfigError` if there are fewer than two classes, fewer training pictures in an epoch
    than a batch or a step needs, or fewer validation pictures than processes."""
    if len(data.classes) < 2:
        raise ConfigError(
            f"{data.title} has one class only, {data.classes.names[0]}: there is nothing to tell "
            "apart. Label at least two, such as an object and its background."
        )
    count, what = len(training_names(config, data)), "training pictures"
    if config.pictures_per_epoch:
        count, what = config.pictures_per_epoch, "pictures of --pictures-per-epoch"
    if not (batches := count // config.batch_size):
        raise ConfigError(f"--batch-size {config.batch_size} is more than the {count} {what}.")
    if batches < config.accumulate:
        raise ConfigError(
            f"--accumulate {config.accumulate} is more than the batches of an epoch: {count} "
            f"{what} are {batches} of --batch-size {config.batch_size}. Lower one of the two."
        )
    if (count := len(data.names("validation"))) < processes:
        raise ConfigError(
            f"{processes} processes share {count} validation pictures: use fewer processes."
        )


class Loaders:
    """Reads all pictures once and then makes batches of them.

    Attributes:
        training, validation: the loaders.
        batches: of `training`, how many make an epoch. Those after them are fewer than a step
            needs: their gradients would be divided as if they were as many.
        samples: what is validated on, unaugmented; pictures, or tiles of them.
        statistics: of the training labels, before scaling.

    Raises: `DataError` and `ImageError` for pictures that cannot be read, or labels that are no
        class.
    """

    training: DataLoader
    validation: DataLoader
    batches: int
    samples: Dataset
    statistics: Statistics

    def __init__(
        self,
        config: TrainConfig,
        data: DataSet,
        preprocessing: Preprocessing,
        processes: Processes,
    ) -> None:
        others = data.names("validation")
        names = training_names(config, data)
        memory = config.cache_gib * 2**30 / (len(names) + len(others))  # per picture
        augmented = SampleDataset(
            data,
            names,
            preprocessing,
            augmentation(preprocessing, config.crop, config.augment, turn=config.turn),
            memory_limit=int(memory * len(names)),
        )
        plain = SampleDataset(data, others, preprocessing, memory_limit=int(memory * len(others)))
        self.statistics = augmented.load("reading pictures for training")
        _check_labels(data, names, self.statistics)
        _check_labels(data, others, plain.load("reading pictures for validation"))
        # Training uses crops of what may be too large for the network as a whole.
        side = {"tile": preprocessing.tile, "crop": TILE}.get(preprocessing.size_policy)
        self.samples = Tiles(plain, side) if side else plain
        collate = Collate(preprocessing)
        share = config.batch_size // processes.count
        batches = (config.pictures_per_epoch or len(names)) // config.batch_size
        self.batches = batches - batches % config.accumulate
        kind, length = DistributedSampler, {}
        if config.pictures_per_epoch:
            # Whole steps: the next epoch begins with the picture after the last one seen.
            kind, length = Passes, {"length": self.batches * config.batch_size}
        sampler = kind(
            augmented,
            num_replicas=processes.count,
            rank=processes.rank,
            seed=config.seed,
            drop_last=True,
            **length,
        )
        # No worker processes: from the cache a batch costs a few per cent of a step, and on
        # two cores workers would take them from the network.
        self.training = DataLoader(
            Seeded(augmented, sampler, config.seed),
            share,
            sampler=sampler,
            # A last batch of one picture would have no variance for BatchNorm to divide by.
            drop_last=True,
            collate_fn=collate,
            # Its own, or a loader would take a number from the global one whenever it starts.
            generator=torch.Generator(),
        )
        # Each picture in one process: padded to equal shares, some would count twice.
        own = range(processes.rank, len(self.samples), processes.count)
        self.validation = DataLoader(
            self.samples,
            batch_sampler=_of_equal_size(self.samples, own, preprocessing, share),
            collate_fn=collate,
            generator=torch.Generator(),
        )


def _check_labels(data: DataSet, names: list[str], statistics: Statistics) -> None:
    """Raises `DataError` naming a picture with labels that are no class: not every loss would
    notice them. Data sets of files refuse them by themselves."""
    pixels = sum(width * height * count for (width, height), count in statistics.sizes_wh.items())
    if statistics.pixels.sum() + statistics.void_pixels == pixels:
        return
    for name in names:
        labels = data.pair(name)[1]
        if (wrong := labels[(labels >= len(data.classes)) & (labels != VOID)]).size:
            raise DataError(
                f"{data.name}: {wrong.size} labels of {name} are no class, such as {wrong[0]}; the "
                f"classes are 0 to {len(data.classes) - 1}, and {VOID} is void. Mend its mask."
            )


def _of_equal_size(
    samples: Dataset, indices: Sequence[int], preprocessing: Preprocessing, most: int
) -> list[list[int]]:
    """Batches of at most `most` samples, all of which are padded to the same size.

    Padding changes what a network sees: in mixed batches IoU, Dice and accuracy would depend on
    which pictures happen to be together, and so on the number of processes.
    """
    sizes: dict[tuple[int, int], list[int]] = {}
    for index in indices:
        sizes.setdefault(preprocessing.padded_hw(*samples[index][1].shape[-2:]), []).append(index)
    return [
        alike[first : first + most]
        for alike in sizes.values()
        for first in range(0, len(alike), most)
    ]


class Passes(DistributedSampler):
    """Goes through all samples again and again, in a new order each time, `length` in an epoch.

    An epoch continues where the one before it ended, so that over a run all are seen equally often.
    What an epoch holds follows from seed and epoch alone, as with `DistributedSampler`.

    Yields: the sample's number, raised by the number of all samples each time that it is repeated
        in the epoch.
    """

    def __init__(self, samples: Dataset, *, length: int, **shared) -> None:
        super().__init__(range(length), **shared)
        self.samples = samples

    def __iter__(self) -> Iterator[int]:
        whole = islice(self._epoch(), self.total_size)
        return islice(whole, self.rank, None, self.num_replicas)

    def _epoch(self) -> Iterator[int]:
        count = len(self.samples)
        number, first = divmod(self.epoch * self.total_size, count)
        seen = np.zeros(count, np.int64)
        while True:
            order = np.random.default_rng((self.seed, number)).permutation(count)
            for sample in order[first:].tolist():
                yield sample + count * int(seen[sample])
                seen[sample] += 1
            number, first = number + 1, 0


class Seeded(Dataset):
    """Makes the augmentation of a sample follow from seed, epoch and the sampler's number alone.

    It is then the same in a resumed run, and whichever process the sample falls to; a sample
    that comes twice in an epoch is augmented in two ways.
    """

    def __init__(self, samples: Dataset, sampler: DistributedSampler, seed: int) -> None:
        self.samples = samples
        self.sampler = sampler
        self.seed = seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        # Lightning tells the sampler which epoch it is.
        own = np.random.SeedSequence((self.seed, self.sampler.epoch, index))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(own.generate_state(1, np.uint64)[0]))
            return self.samples[index % len(self.samples)]
