"""What a picture of any size takes in memory and time: tiles against the whole picture at once.

    python -m bench.memory
    python -m bench.memory --checkpoint carla-scratch --sizes 4000x3000 --precision bf16

Memory is the peak of a process's resident memory, from the JPEG file to the labels, above what
it held after its first picture, of 512 x 512 pixels. Every size runs in a separate process.
"trained" is the checkpoint's own scale, "native" processes every pixel, "rotated" has an EXIF
orientation. Time compares native tiles with one tile that is as large as the picture, in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from bench.timing import in_turns, machine
from model.data import streets
from model.evaluation.cost import process_status
from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter

ROTATED = 6
"""EXIF orientation of a phone held upright."""
KINDS = ("trained", "native", "native, with maps", "rotated")


@dataclass(frozen=True)
class Arguments:
    """Peak memory by size of the picture, and the time that tiles cost."""

    checkpoint: str = "carla-resnet34"
    """A name in weights/, or a checkpoint folder's path."""
    engine: str = "auto"
    precision: str = "f32"
    sizes: tuple[str, ...] = ("4000x3000", "11500x8600")
    """Width x height in pixels."""
    whole: tuple[str, ...] = ("1024x1024", "2048x1536")
    """Sizes at which tiles are timed against the whole picture."""
    rounds: int = 5


def picture(width: int, height: int) -> np.ndarray:
    """A drawn street, uint8 (H, W, 3)."""
    street = Image.fromarray(streets.draw(0, (800, 600))[0])
    return np.asarray(street.resize((width, height), Image.Resampling.BICUBIC))


def options(kind: str) -> SegmentOptions:
    maps = "maps" in kind
    scale = "trained" if kind in ("trained", "rotated") else "native"
    return SegmentOptions(scale=scale, confidence=maps, entropy=maps)


def peak(path: str, kind: str, arguments: Arguments) -> None:
    """Prints bytes above the loaded segmenter and seconds as JSON. For a separate process."""
    segmenter = Segmenter(
        arguments.checkpoint, engine=arguments.engine, precision=arguments.precision
    )
    segmenter.segment(picture(512, 512))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    loaded = process_status("VmRSS")
    start = time.perf_counter()
    segmenter.segment(path, options(kind))
    seconds = time.perf_counter() - start
    print(json.dumps([process_status("VmHWM") - loaded, seconds]))


def measure(path: Path, kind: str, arguments: Arguments) -> tuple[int, float]:
    code = f"from bench import memory; memory.peak({str(path)!r}, {kind!r}, memory.{arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    arguments = tyro.cli(Arguments, prog="python -m bench.memory", description=__doc__)
    print(f"{arguments.checkpoint}, {arguments.precision}, {machine()}")
    print(f"{'picture':14}{'kind':20}{'peak above loaded, MB':>22}{'s':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            image = Image.fromarray(picture(*map(int, size.split("x"))))
            exif = image.getexif()
            exif[0x0112] = ROTATED
            upright, rotated = Path(folder, "upright.jpg"), Path(folder, "rotated.jpg")
            image.save(upright, quality=90)
            image.save(rotated, quality=90, exif=exif)
            del image
            for kind in KINDS:
                path = rotated if kind == "rotated" else upright
                taken, seconds = measure(path, kind, arguments)
                print(f"{size:14}{kind:20}{taken / 1e6:>22.0f}{seconds:>8.1f}", flush=True)
    segmenter = Segmenter(
        arguments.checkpoint, engine=arguments.engine, precision=arguments.precision
    )
    for size in arguments.whole:
        compare(segmenter, picture(*map(int, size.split("x"))), arguments.rounds)


def compare(segmenter: Segmenter, image: np.ndarray, rounds: int) -> None:
    """Prints the time that tiles take, relative to the whole picture."""
    height, width = image.shape[:2]
    side = -(-max(height, width) // 32) * 32
    whole = SegmentOptions(scale="native", tile=side)
    tiles = SegmentOptions(scale="native")
    labels = [segmenter.segment(image, way).labels for way in (whole, tiles)]
    times = in_turns(
        {
            "whole": lambda: segmenter.segment(image, whole),
            "tiles": lambda: segmenter.segment(image, tiles),
        },
        rounds,
    )
    ratio = times["whole"].times_faster_than(times["tiles"])
    alone, agreement = 1e3 * times["whole"].median, (labels[0] == labels[1]).mean()
    print(
        f"{width}x{height}: tiles take {ratio} times the whole's {alone:.0f} ms; "
        f"labels agree on {agreement:.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
