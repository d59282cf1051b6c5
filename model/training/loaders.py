"""Batches of a data set for training and validation."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset
from torch.utils.data.distributed import DistributedSampler

from model.data.datasets import DataSet
from model.data.preprocessing import Preprocessing
from model.data.statistics import Statistics
from model.data.transforms import Collate, SampleDataset, Tiles, augmentation
from model.errors import ConfigError
from model.training.config import TrainConfig
from model.training.processes import Processes


def check_enough(config: TrainConfig, data: DataSet) -> None:
    """Raises `ConfigError` if there are fewer training pictures than a batch needs."""
    count = len(data.names("train")[: config.limit])
    if count < config.batch_size:
        raise ConfigError(
            f"--batch-size {config.batch_size} is more than the {count} training pictures."
        )


class Loaders:
    """Reads all pictures once, and then makes batches of them.

    Attributes:
        training, validation: the loaders.
        samples: what is validated on, unaugmented; pictures, or tiles of them.
        statistics: of the training labels, before scaling.

    Raises: `DataError` and `ImageError` for pictures that cannot be read.
    """

    training: DataLoader
    validation: DataLoader
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
        names = data.names("train") + (others if config.include_validation else [])
        names = names[: config.limit]
        memory = config.cache_gib * 2**30 / (len(names) + len(others))  # per picture
        augmented = SampleDataset(
            data,
            names,
            preprocessing,
            augmentation(preprocessing, config.crop, config.augment),
            memory_limit=int(memory * len(names)),
        )
        plain = SampleDataset(data, others, preprocessing, memory_limit=int(memory * len(others)))
        self.statistics = augmented.load("reading pictures for training")
        plain.load("reading pictures for validation")
        tiled = preprocessing.size_policy == "tile"
        self.samples = Tiles(plain, preprocessing.tile) if tiled else plain
        collate = Collate(preprocessing)
        share = config.batch_size // processes.count
        sampler = DistributedSampler(
            augmented,
            num_replicas=processes.count,
            rank=processes.rank,
            seed=config.seed,
            drop_last=True,
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
            # Its own, else a loader takes a number from the common one whenever it starts.
            generator=torch.Generator(),
        )
        # Each picture in one process: padded to equal shares, some would count twice.
        own = Subset(self.samples, range(processes.rank, len(self.samples), processes.count))
        self.validation = DataLoader(own, share, collate_fn=collate, generator=torch.Generator())


class Seeded(Dataset):
    """Makes the augmentation of a sample follow from seed, epoch and sample alone.

    It is then the same in a resumed run, and whichever process the sample falls to.
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
            return self.samples[index]
