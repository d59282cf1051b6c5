"""Loading training batches: ours against a plain loader, and against the time of a training step.

    python -m bench.data
    python -m bench.data --data pets --data-root data

Both loaders read the same picture and mask files, scale, crop, flip and recolour alike, and
give normalised batches of the same shape.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import functional

from bench.timing import in_turns, machine
from model.data import class_file, datasets
from model.data.classes import VOID
from model.data.datasets import DataSet, FileDataSet
from model.data.masks import index_png
from model.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from model.data.transforms import Collate, SampleDataset, augmentation
from model.errors import ConfigError, exit_code
from model.networks.losses import loss_by_name
from model.networks.registry import architecture, construct


@dataclass(frozen=True)
class Arguments:
    """Images per second of our loader and of a plain one, and loading's share of a step."""

    data: str = "streets"
    """A data set of `python -m model data list`, or folder:PATH."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    pictures: int = 96
    """How many training pictures an epoch has."""
    longest_side: int | None = None
    """Pictures are scaled to this longer side, in pixels; by default the data set's own."""
    crop: int = 256
    """Side of the training crops, in pixels; a multiple of 32."""
    batch_size: int = 8
    network: str = "unet-mobilenet_v2"
    """The network whose training step loading is compared with."""
    rounds: int = 7

    def __post_init__(self) -> None:
        if self.crop < 32 or self.crop % 32:
            raise ConfigError(f"--crop must be a multiple of 32, got {self.crop}.")
        if not 2 <= self.batch_size <= self.pictures:
            raise ConfigError(
                f"--batch-size must be from 2 to --pictures ({self.pictures}), got "
                f"{self.batch_size}."
            )
        if self.rounds < 1:
            raise ConfigError(f"--rounds must be at least 1, got {self.rounds}.")


class PlainDataset(Dataset):
    """What a tutorial writes: opens both files for each sample and works on PIL pictures."""

    def __init__(self, images: list[Path], masks: list[Path], longest_side: int, crop: int) -> None:
        self.images, self.masks = images, masks
        self.longest_side = longest_side
        self.crop = crop
        self.jitter = transforms.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = Image.open(self.images[index]).convert("RGB"), Image.open(self.masks[index])
        scale = random.uniform(0.75, 1.5) * self.longest_side / max(image.size)
        size_wh = [max(1, round(side * scale)) for side in image.size]
        image = image.resize(size_wh, Image.Resampling.BILINEAR)
        mask = mask.resize(size_wh, Image.Resampling.NEAREST)
        right, bottom = (max(0, self.crop - side) for side in size_wh)
        if right or bottom:
            mean_colour = tuple(round(255 * value) for value in IMAGENET_MEAN)
            image = functional.pad(image, [0, 0, right, bottom], fill=mean_colour)
            mask = functional.pad(mask, [0, 0, right, bottom], fill=VOID)
        window = transforms.RandomCrop.get_params(image, (self.crop, self.crop))
        image, mask = functional.crop(image, *window), functional.crop(mask, *window)
        if random.random() < 0.5:
            image, mask = functional.hflip(image), functional.hflip(mask)
        tensor = functional.normalize(
            functional.to_tensor(self.jitter(image)), IMAGENET_MEAN, IMAGENET_STD
        )
        return tensor, torch.from_numpy(np.array(mask, np.int64))


def write_files(data: DataSet, names: list[str], folder: Path) -> FileDataSet:
    """Writes samples as pictures and index masks into a folder, and opens it as a data set.

    Pictures that are files of their own are copied, others become PNGs.
    """
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    files = data.images if isinstance(data, FileDataSet) else {}
    for number, name in enumerate(names):
        image, labels = data.pair(name)
        if name in files:
            shutil.copy(files[name], folder / "images" / f"{number:06d}{files[name].suffix}")
        else:
            Image.fromarray(image).save(folder / "images" / f"{number:06d}.png")
        (folder / "masks" / f"{number:06d}.png").write_bytes(index_png(labels, data.classes))
    (folder / class_file.NAME).write_text(class_file.text(data.classes, void=[VOID]))
    return datasets.load(f"folder:{folder}")


def plain_loader(data: FileDataSet, longest_side: int, arguments: Arguments) -> DataLoader:
    names = sorted(data.images)
    plain = PlainDataset(
        [data.images[name] for name in names],
        [data.masks[name] for name in names],
        longest_side,
        arguments.crop,
    )
    return DataLoader(plain, arguments.batch_size, shuffle=True, drop_last=True)


def our_loader(
    data: FileDataSet, longest_side: int, arguments: Arguments, **cache: int
) -> DataLoader:
    """Loads all samples into the cache, and returns what training iterates over."""
    preprocessing = Preprocessing(longest_side)
    transform = augmentation(preprocessing, arguments.crop)
    samples = SampleDataset(data, sorted(data.images), preprocessing, transform, **cache)
    samples.load()
    return DataLoader(
        samples,
        arguments.batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=Collate(preprocessing),
    )


def training_step(arguments: Arguments, num_classes: int, bf16: bool) -> Callable[[], None]:
    """A function that trains the network on one batch of noise, as `train` does on the CPU."""
    network = construct(architecture(arguments.network, num_classes))
    network = network.to(memory_format=torch.channels_last).train()
    loss = loss_by_name("ce+dice")
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    shape = (arguments.batch_size, 3, arguments.crop, arguments.crop)
    images = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    target = torch.randint(num_classes, (shape[0], *shape[2:]))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(images).float()
            value = loss(logits, target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def consume(batches: Iterable) -> None:
    for _ in batches:
        pass


def run(arguments: Arguments) -> None:
    data = datasets.load(arguments.data, arguments.data_root)
    names = data.names("train")[: arguments.pictures]
    if len(names) < arguments.batch_size:
        raise ConfigError(f"{arguments.data} has only {len(names)} training pictures.")
    longest_side = arguments.longest_side or data.longest_side
    bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    with tempfile.TemporaryDirectory(prefix="unet-studio-") as folder:
        files = write_files(data, names, Path(folder))
        plain = plain_loader(files, longest_side, arguments)
        memory = our_loader(files, longest_side, arguments)
        mapped = our_loader(files, longest_side, arguments, memory_limit=0)
        times = in_turns(
            {
                "PIL + torchvision, any epoch": lambda: consume(plain),
                "ours, first epoch": lambda: consume(our_loader(files, longest_side, arguments)),
                "ours, second epoch, from memory": lambda: consume(memory),
                "ours, second epoch, from a file": lambda: consume(mapped),
                "step": training_step(arguments, len(data.classes), bf16),
            },
            arguments.rounds,
        )
    step = times.pop("step")
    baseline, *_ = times.values()
    batches = len(memory)
    print(
        f"{data.title}: {len(names)} pictures scaled to {longest_side}, crops of {arguments.crop}, "
        f"batches of {arguments.batch_size}; {machine()}, no worker processes; "
        f"median of {arguments.rounds} rounds"
    )
    print(f"{'':34}{'images/s':>9}  speed-up     share of step")
    for name, timing in times.items():
        per_second = batches * arguments.batch_size / timing.median
        ratio = timing.times_faster_than(baseline)
        share = timing.median / batches / step.median
        print(f"{name:34}{per_second:9.0f}  {ratio!s:15}{share:11.1%}")
    print(
        f"A step is one of {arguments.network} in {'bf16' if bf16 else 'float32 (no bf16 here)'}: "
        f"{1e3 * step.median:.0f} ms."
    )


if __name__ == "__main__":
    sys.exit(exit_code(lambda: run(tyro.cli(Arguments, prog="python -m bench.data"))))
