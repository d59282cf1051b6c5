"""How many processes train together, and which of them this one is.

Either torchrun has started them and says so in the environment, or Lightning starts as many as
`--devices` and `--num-nodes` say and numbers them there.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from model.errors import ConfigError
from model.training.config import TrainConfig


@dataclass(frozen=True)
class Processes:
    """Attributes: devices: processes on each machine; num_nodes: machines; rank: of this process,
    from 0."""

    devices: int
    num_nodes: int
    rank: int

    @property
    def count(self) -> int:
        return self.devices * self.num_nodes

    @classmethod
    def of(cls, config: TrainConfig) -> Processes:
        """Raises `ConfigError` if a batch cannot be shared equally."""
        found = cls._of(config)
        if config.batch_size % found.count or config.batch_size < 2 * found.count:
            raise ConfigError(
                f"--batch-size {config.batch_size} is shared by {found.count} processes: choose "
                f"a multiple of {found.count} from {2 * found.count}."
            )
        return found

    @classmethod
    def _of(cls, config: TrainConfig) -> Processes:
        environment = os.environ
        if "TORCHELASTIC_RUN_ID" in environment:
            return cls(
                int(environment["LOCAL_WORLD_SIZE"]),
                int(environment["GROUP_WORLD_SIZE"]),
                int(environment["RANK"]),
            )
        node = int(environment.get("NODE_RANK", 0))
        local = int(environment.get("LOCAL_RANK", 0))
        return cls(config.devices, config.num_nodes, node * config.devices + local)

    def check(self, trainer: Trainer) -> None:
        """Raises `ConfigError` if Lightning has numbered the processes differently, as it does
        under a launcher that it knows: pictures would be shared out twice, or not at all."""
        if (trainer.world_size, trainer.global_rank) != (self.count, self.rank):
            raise ConfigError(
                f"A launcher has started process {trainer.global_rank} of {trainer.world_size}, "
                f"where the settings say {self.rank} of {self.count}. Let it start torchrun on "
                "each machine, see docs/machines.md."
            )


class EndTogether(Callback):
    """If the first process fails, ends those that Lightning has started for it.

    Otherwise they would wait for it, with NCCL for half an hour. If one of them fails, Lightning
    kills all of them within seconds, including the first one, unless that one has noticed by
    itself: then it is left to report the error. torchrun itself ends what it has started.
    """

    def on_exception(self, trainer, module, exception: BaseException) -> None:
        launcher = trainer.strategy.launcher
        if launcher is not None and trainer.is_global_zero:
            launcher.kill(signal.SIGKILL)  # they write nothing
            launcher.procs.clear()  # so that they are no longer watched
