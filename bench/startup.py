"""How soon the app answers after `python app.py`, and what it takes: OpenVINO against PyTorch.

    python -m bench.startup
    python -m bench.startup --model carla-resnet34 --rounds 5

Both are the same app and differ only in the engine. OpenVINO's network is in the cache, as
from the second start on; the first start, which converts it, is shown separately.
"""

from __future__ import annotations

import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from app.models import ENGINE_VARIABLE
from bench import server
from bench.timing import machine
from model.user_cache import CACHE_VARIABLE


@dataclass(frozen=True)
class Arguments:
    """Time to health, first page and first mask, and resident memory, by engine."""

    model: str = "carla-resnet34"
    """A name in weights/, or a checkpoint folder's path."""
    rounds: int = 3
    """Starts of each engine; medians are shown."""


@dataclass(frozen=True)
class Start:
    """One start of the app: seconds since the command, and resident memory in bytes.

    Attributes:
        health, page, mask: when the first answer of each kind was there.
        memory: resident memory after the mask.
    """

    health: float
    page: float
    mask: float
    memory: int


def measure(model: str, engine: str, cache: Path) -> Start:
    """Starts the app on a free port, asks for health, page and mask, and ends it."""
    body, kind = server.form(server.png(512, 384), model)
    begin = time.perf_counter()
    with server.running({ENGINE_VARIABLE: engine, CACHE_VARIABLE: str(cache)}) as (url, process):
        health = time.perf_counter() - begin
        urllib.request.urlopen(url, timeout=server.PATIENCE).read()
        page = time.perf_counter() - begin
        request = urllib.request.Request(f"{url}/api/predict", body, {"Content-Type": kind})
        urllib.request.urlopen(request, timeout=server.PATIENCE).read()
        mask = time.perf_counter() - begin
        status = Path(f"/proc/{process.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return Start(health, page, mask, int(resident.split()[1]) * 1024)


def main() -> None:
    arguments = tyro.cli(Arguments, prog="python -m bench.startup", description=__doc__)
    starts: dict[str, list[Start]] = {"openvino": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        cold = measure(arguments.model, "openvino", cache)
        for _ in range(arguments.rounds):
            for engine, found in starts.items():
                found.append(measure(arguments.model, engine, cache))
    print(f"{arguments.model}, {machine()}, medians of {arguments.rounds} starts, seconds")
    print(f"{'':22}{'health':>10}{'page':>10}{'mask':>10}{'memory, MB':>12}")
    medians = {}
    for name, found in {**starts, "openvino, cache empty": [cold]}.items():
        rows = np.array([[s.health, s.page, s.mask, s.memory / 1e6] for s in found])
        medians[name] = np.median(rows, 0)
        health, page, mask, memory = medians[name]
        print(f"{name:22}{health:>10.2f}{page:>10.2f}{mask:>10.2f}{memory:>12.0f}")
    ratio = medians["torch"] / medians["openvino"]
    print(f"first mask {ratio[2]:.2f} times sooner, memory {1 / ratio[3]:.2f} of PyTorch's")


if __name__ == "__main__":
    main()
