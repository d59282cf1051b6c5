"""Many at once: several files, a zip of pictures, or a short film, segmented into one ZIP."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from app import models, overlay
from app.archives import Archive
from app.limits import MADE_BYTES, MOST_FILES, MOST_FRAMES, PAGE_UNPACKED_BYTES
from app.overlay import LegendRow
from app.segment.desk import Desk
from app.segment.examples import Example
from app.segment.jobs import Watch
from app.uploads import size_of
from model.data.images import SUFFIXES
from model.errors import ImageError, ImageTooLargeError, StudioError
from model.inference.folders import Job, segment_files
from model.inference.inputs import VIDEO_SUFFIXES, Item, distinct_names, output_keys
from model.inference.options import SegmentOptions
from model.inference.segmenter import Cancelled, Picture, Segmentation, Segmenter
from model.inference.video import VIDEO_EXPORTS, VideoReader

FORMATS = ("mask", "overlay", "csv")


def brought(files: Sequence[tuple[Path, str]], cache: str | Path) -> Desk:
    """The desk with what a visitor brought: files by path and name, zips unpacked.

    Args: cache: where folders are made for unpacked pictures and first frames.

    Raises: `ImageError` if there is nothing to segment, or too much of it.
    """
    if len(files) == 1 and Path(files[0][1]).suffix.lower() in VIDEO_SUFFIXES:
        (path, name) = files[0]
        return Desk(_first_frame(path, name, cache), name, film=path)
    found: list[Example] = []
    for path, name in files:
        if Path(name).suffix.lower() == ".zip":
            found += _unpacked(path, name, private_folder(cache))
        else:
            found.append(Example(name, path))
    if len(found) > MOST_FILES:
        raise ImageTooLargeError(
            f"These are {len(found)} pictures; {MOST_FILES} can be brought at a time. For more "
            "there is the command line: docs/outputs.md."
        )
    if any(Path(entry.title).suffix.lower() in VIDEO_SUFFIXES for entry in found):
        raise ImageError("Bring a film alone, without other files.")
    first = found[0]
    return Desk(first.path, first.title, pictures=tuple(found) if len(found) > 1 else ())


@dataclass(frozen=True)
class Made:
    """What came of all pictures of a desk, or of its film.

    Attributes:
        failed: why some could not be segmented, a sentence each.
        film: the overlay to play in browsers, beside the ZIP; None where there was no film.
        legend: the classes in all frames of the film together.
        frames: how many it has.
    """

    failed: list[str]
    film: Path | None = None
    legend: list[LegendRow] = field(default_factory=list)
    frames: int = 0


class _InTurns:
    """A segmenter whose pictures wait for their turn in `models.QUEUE`, as others' do meanwhile.
    It counts what it sees."""

    def __init__(self, segmenter: Segmenter, watch: Watch) -> None:
        self._segmenter = segmenter
        self._watch = watch
        self._lock = threading.Lock()
        self.pictures = 0
        self.pixels = np.zeros(len(segmenter.classes), np.int64)
        self.certainty = np.zeros(len(segmenter.classes))

    def segment(self, picture: Picture, options: SegmentOptions) -> Segmentation:
        with models.QUEUE.turn("batch", self._watch.cancelled):
            result = self._segmenter.segment(picture, options, cancelled=self._watch.cancelled)
        pixels = result.pixels()
        with self._lock:
            self.pictures += 1
            self.pixels += pixels
            if result.confidence is not None:
                self.certainty += pixels * np.nan_to_num(result.mean_confidences())
        return result

    def legend(self) -> list[LegendRow]:
        mean = self.certainty / np.maximum(self.pixels, 1)
        return overlay.legend_rows(self._segmenter.classes, self.pixels, mean)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)


def segment_all(
    desk: Desk, segmenter: Segmenter, shown: Collection[int], target: Path, watch: Watch
) -> Made:
    """Writes masks, overlays and a table of all pictures of a desk, or of its film, as a ZIP.

    Args: shown: ids of the classes in overlays; target: the ZIP, which must not be there yet.
    Raises: `Cancelled`; `ConfigError` as `segment_files`.
    """
    entries = desk.pictures or (Example(desk.name, desk.film or desk.path),)
    names = distinct_names(PurePosixPath(entry.title).name for entry in entries)
    items = [
        Item(entry.path, name, key)
        for entry, name, key in zip(entries, names, output_keys(names), strict=True)
    ]
    formats = FORMATS[:2] if desk.film else FORMATS
    options = desk.chosen.segment_options(segmenter.classes, confidence=bool(desk.film))
    counting = _InTurns(segmenter, watch)
    job = Job(counting, formats, shown, options)
    counts = {"all": len(items), "done": 0}

    def progress(more: int, done: int) -> None:
        counts["all"] += max(more, 0)
        counts["done"] += done
        if watch.cancelled():
            raise Cancelled("The segmentation was cancelled.")
        if counts["done"] > MOST_FRAMES:  # not every film says how long it is
            raise _too_long(desk.name, f"more than {MOST_FRAMES}")
        if size_of(target.parent) > MADE_BYTES:
            raise ImageTooLargeError(
                f"The masks and overlays take more than {MADE_BYTES // 2**30} GiB. Bring fewer or "
                "smaller pictures, or use the command line: docs/outputs.md."
            )
        watch.progress(min(1.0, counts["done"] / counts["all"]))

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
        output = Path(folder) / "segmented"
        report = segment_files(job, items, output, progress=progress)
        if not report.segmented:
            raise ImageError(" ".join(report.failed.values()))
        part = Path(folder) / target.name
        with zipfile.ZipFile(part, "w") as archive:
            for file in sorted(path for path in output.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(output))
        part.rename(target)
        if desk.film is None:
            return Made(list(report.failed.values()))
        (overlay_film,) = output.glob(f"overlay/*{VIDEO_EXPORTS['overlay']}")
        film = overlay_film.rename(target.parent / overlay_film.name)
    return Made([], film, counting.legend(), counting.pictures)


def private_folder(cache: str | Path) -> Path:
    """A folder of its own in Gradio's cache, which nobody can guess."""
    folder = Path(cache) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def _unpacked(path: Path, name: str, folder: Path) -> list[Example]:
    """The pictures in a zip, whatever else is in it; their names count, not their folders."""
    found = []
    try:
        with open(path, "rb") as file:
            archive = Archive(file, SUFFIXES, PAGE_UNPACKED_BYTES)
            for number, member in enumerate(archive.names()):
                plain = PurePosixPath(member).name
                target = folder / str(number) / plain
                target.parent.mkdir(parents=True)
                target.write_bytes(archive.read(number))
                found.append(Example(plain, target))
    except StudioError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise type(error)(f"{name}: {error}") from error
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ImageError(f"{name} cannot be unpacked ({error}).") from error
    return sorted(found, key=lambda entry: entry.title)


def _too_long(name: str, frames: str) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name} has {frames} frames; the limit is {MOST_FRAMES}. Cut it, or use the command line: "
        "docs/outputs.md."
    )


def _first_frame(path: Path, name: str, cache: str | Path) -> Path:
    with VideoReader(path) as reader:
        if reader.length > MOST_FRAMES:
            raise _too_long(name, str(reader.length))
        _, image = next(iter(reader))
    target = private_folder(cache) / f"{path.stem}.png"
    Image.fromarray(image).save(target, compress_level=1)
    return target
