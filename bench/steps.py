"""What would make a training step faster: ours and variants of it, in turns.

    python -m bench.steps
    python -m bench.steps --variants "freed memory returned" "batches of 16" "32 channels"
    LIBRARY=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2 python -m bench.steps --variants preloaded

A step is one of `unet` on noise: forward, loss, backward, optimizer, without loading. Each variant
runs in its own process, as some settings take effect only at its start: 2 GB each, so run only a
few at a time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
import torch
import tyro

from bench.timing import Timing, machine
from bench.workers import Worker
from model.errors import ConfigError, exit_code
from model.evaluation.cost import process_status
from model.networks.losses import loss_by_name
from model.networks.registry import architecture, construct
from model.training.memory import keep_freed_memory

CLASSES = 7


@dataclass(frozen=True)
class Variant:
    """How a step differs from ours."""

    environment: dict[str, str] = field(default_factory=dict)
    keeps_memory: bool = True
    width: int = 16
    batch: int = 8
    bf16: bool = False
    compiled: bool = False
    optimizer: dict[str, bool] = field(default_factory=lambda: {"fused": True})
    set_to_none: bool = True
    channels_last: bool = True


OURS = "ours"
VARIANTS = {
    OURS: Variant(),
    "freed memory returned": Variant(keeps_memory=False),
    "kept, in huge pages": Variant(
        {
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0"
            ":glibc.malloc.trim_threshold=10000000000"
        }
    ),
    "PyTorch's huge pages": Variant({"THP_MEM_ALLOC_ENABLE": "1"}),
    "preloaded": Variant({"LD_PRELOAD": os.environ.get("LIBRARY", "")}),
    "passive waiting": Variant({"OMP_WAIT_POLICY": "PASSIVE"}),
    "batches of 4": Variant(batch=4),
    "batches of 16": Variant(batch=16),
    "24 channels": Variant(width=24),
    "32 channels": Variant(width=32),
    "foreach optimizer": Variant(optimizer={"foreach": True}),
    "plain optimizer": Variant(optimizer={"foreach": False}),
    "gradients zeroed": Variant(set_to_none=False),
    "PyTorch's layout": Variant(channels_last=False),
    "bf16": Variant(bf16=True),
    "torch.compile": Variant(compiled=True),
}


@dataclass(frozen=True)
class Arguments:
    """Pictures per second of training steps, and the memory of their processes."""

    variants: tuple[str, ...] = ("freed memory returned", "24 channels", "batches of 16")
    """Those listed at the top of the file."""
    crop: int = 256
    """Side of the pictures, in pixels."""
    rounds: int = 5

    def __post_init__(self) -> None:
        if unknown := set(self.variants) - set(VARIANTS):
            raise ConfigError(f"--variants: there is no {sorted(unknown)}; use {list(VARIANTS)}.")


def step_of(variant: Variant, crop: int) -> Callable[[], None]:
    """A function that trains the network on one batch of noise, as `train` does but without
    counting pixels for its figures."""
    torch.manual_seed(0)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    network = construct(architecture("unet", CLASSES, base_width=variant.width))
    network = network.to(memory_format=layout).train()
    forward = torch.compile(network) if variant.compiled else network
    loss = loss_by_name("ce+dice")
    optimizer = torch.optim.AdamW(network.parameters(), **variant.optimizer)
    images = torch.randn(variant.batch, 3, crop, crop).contiguous(memory_format=layout)
    target = torch.randint(CLASSES, (variant.batch, crop, crop))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=variant.bf16):
            output = forward(images)
        logits = output.to(torch.float32, memory_format=torch.contiguous_format)
        optimizer.zero_grad(set_to_none=variant.set_to_none)
        loss(logits, target).backward()
        optimizer.step()

    return step


def serve(connection: Connection, variant: Variant, crop: int) -> None:
    """Makes a step whenever asked to, and answers with its seconds and the peak memory."""
    if variant.keeps_memory:
        keep_freed_memory()
    step = step_of(variant, crop)
    while connection.recv():
        start = time.perf_counter()
        step()
        connection.send((time.perf_counter() - start, process_status("VmHWM")))


def run(arguments: Arguments) -> None:
    names = list(dict.fromkeys((OURS, *arguments.variants)))
    workers = {
        name: Worker(serve, VARIANTS[name], arguments.crop, environment=VARIANTS[name].environment)
        for name in names
    }
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peak = {}
    for number in range(arguments.rounds + 1):  # the first pays for one-time costs
        for name in names[:: -1 if number % 2 else 1]:
            taken, peak[name] = workers[name].turn()
            # Per picture, as batches differ.
            seconds[name].append(taken / VARIANTS[name].batch)
    for worker in workers.values():
        worker.end()
    print(
        f"unet, {VARIANTS[OURS].width} channels, batches of {VARIANTS[OURS].batch} crops of "
        f"{arguments.crop} unless stated otherwise; {machine()}; {arguments.rounds} rounds"
    )
    print(f"{'':26}{'images/s':>9}  relative to ours   peak, MB")
    ours = Timing(np.array(seconds[OURS][1:]))
    for name in names:
        timing = Timing(np.array(seconds[name][1:]))
        ratio = timing.times_faster_than(ours)
        shown = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        print(f"{name:26}{1 / timing.median:9.2f}  {shown:18}{peak[name] / 1e6:9.0f}")


if __name__ == "__main__":
    sys.exit(exit_code(lambda: run(tyro.cli(Arguments, prog="python -m bench.steps"))))
