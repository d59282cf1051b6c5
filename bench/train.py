"""Training: ours against other loops, with the same network, pictures and batches.

    python -m bench.train                                speed of the steps, all three networks
    python -m bench.train --pictures 96 --validation 10      with each loop's own validation
    python -m bench.train --seeds 3 --epochs 12 --networks unet     the Dice after equal epochs

Each round is one epoch of each loop, in turns, each in its own process: ours is what
`python -m model train` does, which keeps freed memory.

The tutorial loop opens files with PIL for each sample and computes in float32, in PyTorch's
default memory layout; loss, optimizer and schedule are ours, and it validates after each epoch, as
ours does. The other follows the settings that Pytorch-UNet documents for its training: RMSprop
with momentum 0.999 at a learning rate of 1e-5, cross-entropy + Dice from one plane per class,
gradients clipped to norm 1, channels_last, mixed precision off, five validations in each epoch
(after every batch of shorter ones). The others' validation pictures are read once, beforehand.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.utils.data import DataLoader

from bench.data import Arguments as DataArguments
from bench.data import plain_loader, write_files
from bench.timing import Timing, machine
from bench.workers import Worker
from model.data import datasets
from model.data.classes import VOID
from model.data.datasets import DataSet, FileDataSet
from model.data.preprocessing import Preprocessing
from model.data.transforms import Collate, SampleDataset
from model.errors import exit_code
from model.evaluation.metrics import Metrics, confusion_matrix
from model.networks.losses import loss_by_name
from model.networks.registry import architecture, construct
from model.training.config import TrainConfig
from model.training.memory import keep_freed_memory
from model.training.run import train
from model.training.schedules import make_schedule
from model.training.writer import Row

OURS = "ours"
CROP = 256
BATCH = 8


@dataclass(frozen=True)
class Arguments:
    """Training pictures per second; with --seeds the validation Dice after equal epochs instead."""

    networks: tuple[str, ...] = ("unet", "unet-resnet34", "unet-mobilenet_v2")
    pictures: int = 32
    """Training pictures of an epoch, from the drawn streets."""
    epochs: int = 4
    """Rounds; the first does not count for the speed."""
    validation: int = 0
    """Pictures that each loop validates on when the speed is wanted; 1 for 9 training pictures is
    usual. With 0 only ours validates, on one picture."""
    seeds: int = 1
    """From 2 on, the Dice of each is shown instead of the speed."""
    base_width: int = 16
    """Channels of the first block of "unet"."""


class Loop:
    """A hand-written training loop; a call trains one epoch."""

    def __init__(
        self,
        network: nn.Module,
        batches: DataLoader,
        loss: Callable,
        optimizer: torch.optim.Optimizer,
        *,
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
        channels_last: bool = False,
        clip: float | None = None,
        validate: Callable[[], object] | None = None,
        validations: int = 1,
    ) -> None:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=layout)
        self.layout = layout
        self.batches = batches
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip = clip
        self.validate = validate
        # After which steps, counted from 1; the last is one of them.
        self.pauses = {len(batches) * (i + 1) // validations for i in range(validations)}

    def __call__(self) -> float:
        """Returns: seconds."""
        start = time.perf_counter()
        for step, (images, target) in enumerate(self.batches, 1):
            self.network.train()
            loss = self.loss(self.network(images.to(memory_format=self.layout)), target)
            self.optimizer.zero_grad()
            loss.backward()
            if self.clip:
                nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
            self.optimizer.step()
            if self.schedule:
                self.schedule.step()
            loss.item()
            if self.validate and step in self.pauses:
                self.validate()
        return time.perf_counter() - start


def dice_of_planes(logits: Tensor, target: Tensor) -> Tensor:
    """1 - Dice over all classes together, the truth as one float plane per class."""
    counted = (target != VOID)[:, None]
    truth = nn.functional.one_hot(target * counted[:, 0], logits.shape[1])
    truth = truth.permute(0, 3, 1, 2).float() * counted
    probabilities = logits.softmax(1) * counted
    return 1 - 2 * (probabilities * truth).sum() / (probabilities.sum() + truth.sum())


def tutorial(
    config: TrainConfig, network: nn.Module, batches: DataLoader, validate: Callable | None
) -> Loop:
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay)
    steps = len(batches) * config.epochs
    schedule = make_schedule(optimizer, config.schedule, steps=steps, warmup=0, plateau=lambda: 1.0)
    loss = loss_by_name(config.loss)
    return Loop(network, batches, loss, optimizer, schedule=schedule, validate=validate)


def pytorch_unet(
    config: TrainConfig, network: nn.Module, batches: DataLoader, validate: Callable | None
) -> Loop:
    optimizer = torch.optim.RMSprop(
        network.parameters(), lr=1e-5, weight_decay=1e-8, momentum=0.999, foreach=True
    )
    cross_entropy = loss_by_name("ce")
    return Loop(
        network,
        batches,
        lambda logits, target: cross_entropy(logits, target) + dice_of_planes(logits, target),
        optimizer,
        channels_last=True,
        clip=1.0,
        validate=validate,
        validations=5,
    )


LOOPS = {"tutorial, float32": tutorial, "Pytorch-UNet's settings": pytorch_unet}


def validation_batches(data: DataSet) -> list[tuple[Tensor, Tensor]]:
    preprocessing = Preprocessing(data.longest_side)
    samples = SampleDataset(data, data.names("validation"), preprocessing)
    return list(DataLoader(samples, BATCH, collate_fn=Collate(preprocessing)))


def validation_dice(
    network: nn.Module, batches: list[tuple[Tensor, Tensor]], classes: int
) -> float:
    """Mean Dice at the network's resolution, as `history.csv` has it."""
    total = np.zeros((classes, classes), np.int64)
    network.eval()
    with torch.inference_mode():
        for images, target in batches:
            labels = network(images).argmax(1)
            total += confusion_matrix(target.numpy(), labels.numpy(), classes)
    return Metrics.of(total).mean_dice


def serve_ours(connection: Connection, config: TrainConfig, streets: DataSet) -> None:
    """One epoch per turn, answered with its seconds; finally the validation Dice."""
    keep_freed_memory()
    connection.recv()

    def wait(row: Row) -> None:
        connection.send(row["seconds"])
        connection.recv()

    checkpoint = train(config, streets, on_epoch=wait, score=False)
    connection.send(checkpoint.history()[-1]["val_dice"])
    connection.recv()


def serve_loop(
    connection: Connection,
    title: str,
    config: TrainConfig,
    streets: DataSet,
    files: FileDataSet,
    validated: bool,
) -> None:
    """As `serve_ours`, for another loop, which may validate within its epochs."""
    torch.manual_seed(config.seed)
    plan = architecture(config.network, len(streets.classes), base_width=config.base_width)
    arguments = DataArguments(crop=CROP, batch_size=BATCH)
    batches = plain_loader(files, streets.longest_side, arguments)
    network = construct(plan)
    held_out = validation_batches(streets)

    def validate() -> float:
        return validation_dice(network, held_out, len(streets.classes))

    loop = LOOPS[title](config, network, batches, validate if validated else None)
    for _ in range(config.epochs):
        connection.recv()
        connection.send(loop())
    connection.recv()
    connection.send(validate())
    connection.recv()


def settings(name: str, seed: int, arguments: Arguments, output: Path) -> TrainConfig:
    """How ours trains; the other loops have the same pictures, batches and epochs."""
    return TrainConfig(
        network=name,
        **({"base_width": arguments.base_width} if name == "unet" else {}),
        crop=CROP,
        batch_size=BATCH,
        epochs=arguments.epochs,
        seed=seed,
        output=output,
        device="cpu",
        samples_every=0,
        skip_check=True,
    )


def compare(
    name: str, seed: int, arguments: Arguments, streets: DataSet, files: FileDataSet, output: Path
) -> tuple[dict[str, Timing], dict[str, float]]:
    """One run of each loop, epoch by epoch in turns: seconds per epoch, and validation Dice."""
    config = settings(name, seed, arguments, output)
    workers = {OURS: Worker(serve_ours, config, streets)} | {
        title: Worker(serve_loop, title, config, streets, files, arguments.validation > 0)
        for title in LOOPS
    }
    seconds = [{t: w.turn() for t, w in workers.items()} for _ in range(arguments.epochs)]
    dice = {title: worker.turn() for title, worker in workers.items()}
    for worker in workers.values():
        worker.end()
    # The first epoch pays for one-time costs.
    return {t: Timing(np.array([each[t] for each in seconds[1:]])) for t in workers}, dice


def run(arguments: Arguments) -> None:
    streets = datasets.load("streets")
    parts = {"train": streets.names("train")[: arguments.pictures]}
    validation = 40 if arguments.seeds > 1 else arguments.validation
    parts["validation"] = streets.names("validation")[: max(1, validation)]
    parts["test"] = streets.names("test")[:1]
    streets.use_split(parts, "a few for the bench")
    print(
        f"{streets.title}: {arguments.pictures} pictures scaled to {streets.longest_side}, crops "
        f"of {CROP}, batches of {BATCH}; {validation} for validation; {machine()}; "
        f"{arguments.epochs - 1} rounds"
    )
    print(f"{'':20}{'':26}{'images/s':>9}  speed-up of ours         validation Dice")
    with tempfile.TemporaryDirectory(prefix="unet-studio-") as folder:
        files = write_files(streets, parts["train"], Path(folder))
        for name in arguments.networks:
            runs = [
                compare(name, seed, arguments, streets, files, Path(folder) / f"{name} {seed}")
                for seed in range(arguments.seeds)
            ]
            for title in runs[0][0]:
                timing = Timing(np.concatenate([times[title].seconds for times, _ in runs]))
                ours = Timing(np.concatenate([times[OURS].seconds for times, _ in runs]))
                rate = arguments.pictures // BATCH * BATCH / timing.median
                ratio = "" if title == OURS else str(ours.times_faster_than(timing))
                speed, shown = f"{rate:9.2f}  {ratio:24}", "-"
                if arguments.seeds > 1:
                    # No speed: ours also validates on 40 pictures in each epoch, the others do not.
                    speed = f"{'-':>9}  {'':24}"
                    shown = " ".join(f"{100 * scores[title]:.1f}" for _, scores in runs)
                print(f"{name:20}{title:26}{speed} {shown}")


if __name__ == "__main__":
    sys.exit(exit_code(lambda: run(tyro.cli(Arguments, prog="python -m bench.train"))))
