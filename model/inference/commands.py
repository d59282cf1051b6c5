"""The commands `segment` and `export`: what they take, and what they print."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from model.checkpoints import zoo
from model.errors import ConfigError
from model.inference.engines import EngineName
from model.inference.engines.precision import Precision
from model.inference.options import SegmentOptions

Format = Literal[
    "mask", "overlay", "cutout", "coco", "coco-rle", "geojson", "yolo", "csv", "confidence",
    "entropy", "npz", "zip",
]  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """Segment files, folders with all below them, patterns such as 'a/**/*.jpg', and videos; also
    s3:// addresses of folders, and Parquet files whose column 'path' lists pictures.

    Exit code: 0, or 1 if a file could not be read (it is listed, the others are done), 2 for
    arguments that cannot work or an output that cannot be written, 130 after Ctrl-C.
    """

    inputs: tyro.conf.Positional[tuple[str, ...]]
    """What to segment."""
    checkpoint: str
    """A name in weights/, a checkpoint folder's path, or owner/name[@revision] on the Hub."""
    output: Path
    """Folder for the results, empty or new; nothing is written elsewhere."""
    formats: tuple[Format, ...] = ("mask",)
    """What to write. Videos become 'overlay' (MP4) and 'mask' (Matroska, lossless)."""
    classes: tuple[str, ...] = ()
    """Names of the classes in overlays, cut-outs and polygons; by default all but background."""
    resume: bool = False
    """Complete what an earlier run with the same settings left undone."""
    ray: str | None = None
    """Share the work: 'local', or the address of a Ray cluster (docs/cluster.md)."""
    ray_workers: int | None = None
    """How many workers run at a time; by default one on each machine, which uses all its cores."""
    engine: EngineName = "auto"
    """What computes: OpenVINO (auto, on x86 processors) or PyTorch."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto takes the fastest that costs next to nothing."""
    options: Annotated[SegmentOptions, tyro.conf.arg(name="")] = field(
        default_factory=SegmentOptions
    )


@dataclass(frozen=True)
class Export:
    """Write a checkpoint as one ONNX file: uint8 (H, W, 3) RGB in, uint8 (H, W) labels out."""

    checkpoint: str
    """A name in weights/, a checkpoint folder's path, or owner/name[@revision] on the Hub."""
    output: Path
    """The file to write, such as pets.onnx; an existing one is not overwritten."""


def segment(command: Segment) -> int:
    """Runs `segment`. Returns the exit code. Raises `StudioError`."""
    from tqdm import tqdm

    from model.inference import folders, inputs, video
    from model.inference.exports import EXPORTS, choose
    from model.inference.segmenter import Segmenter

    items = inputs.find(command.inputs, command.output)
    maps = [name for name, e in EXPORTS.items() if e.needs and getattr(command.options, e.needs)]
    formats = list(dict.fromkeys((*command.formats, *maps)))
    if videos := [item for item in items if item.is_video]:
        video.require_library()
        if not set(formats) & set(video.VIDEO_EXPORTS):
            raise ConfigError(
                f"--formats: videos such as {videos[0].name} can become "
                f"{' and '.join(video.VIDEO_EXPORTS)}; name at least one of them."
            )
    run = folders.segment_here
    if command.ray is not None:
        from model.inference import cluster

        cluster.require_library()
        run = cluster.Cluster(command.ray, command.checkpoint, command.ray_workers)
    elif command.ray_workers is not None:
        raise ConfigError("--ray-workers needs --ray: 'local', or the address of a Ray cluster.")
    segmenter = Segmenter(command.checkpoint, engine=command.engine, precision=command.precision)
    needed = {name: True for f in formats if (name := EXPORTS[f].needs)}
    job = folders.Job(
        segmenter,
        formats,
        choose(segmenter.classes, command.classes or None),
        replace(command.options, **needed),
    )
    start = time.perf_counter()
    # On a terminal only; a log gets the sentences below.
    with tqdm(total=len(items), unit="picture", disable=None, smoothing=0.1) as bar:
        done = 0

        def progress(more: int, finished: int) -> None:
            nonlocal done
            done += finished
            bar.total += more
            bar.update(finished)

        try:
            report = folders.segment_files(
                job, items, command.output, resume=command.resume, progress=progress, run=run
            )
        except KeyboardInterrupt:
            bar.close()
            print(f"\nStopped after {done}. The same command with --resume continues.")
            return 130
    seconds = time.perf_counter() - start
    print(_summary(report, done - len(report.skipped), seconds, segmenter, command.output))
    for name, reason in report.failed.items():
        print(f"  {name}: {reason}", file=sys.stderr)
    return 1 if report.failed else 0


def export(command: Export) -> None:
    """Runs `export`. Raises `StudioError`."""
    from model.inference.onnx_export import write_onnx

    if command.output.suffix != ".onnx":
        raise ConfigError(f"--output must end in .onnx, got {command.output}.")
    if command.output.exists():
        raise ConfigError(f"--output: {command.output} already exists. Choose another name.")
    write_onnx(zoo.find(command.checkpoint), command.output)
    size = command.output.stat().st_size / 1e6
    print(f"{command.output}: {size:.1f} MB; image, uint8 (H, W, 3) -> labels, uint8 (H, W).")


def _summary(report, pictures: int, seconds: float, segmenter, output: Path) -> str:
    parts = [f"{len(report.segmented)} segmented"]
    if report.skipped:
        parts.append(f"{len(report.skipped)} there already")
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    rate = pictures / seconds
    return (
        f"{', '.join(parts)} with {segmenter.name} ({segmenter.engine}, {segmenter.precision}), "
        f"{rate:.1f} pictures/s, in {output}."
    )
