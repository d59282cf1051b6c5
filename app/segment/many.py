"""Many at once: several files, a zip of pictures, or a short film, segmented into one ZIP."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from app import models, overlay
from app.archives import Archive
from app.limits import MADE_BYTES, MOST_FILES, MOST_FRAMES, PAGE_UNPACKED_BYTES
from app.overlay import LegendRow
from app.segment import views
from app.segment.desk import Desk
from app.segment.examples import Example
from app.segment.jobs import Watch
from app.uploads import size_of
from model.data.images import SUFFIXES
from model.errors import ImageError, ImageTooLargeError, StudioError
from model.inference.folders import Job, segment_files
from model.inference.inputs import VIDEO_SUFFIXES, Item
from model.inference.options import SegmentOptions
from model.inference.output import distinct_names, output_keys
from model.inference.segmenter import Picture, Segmentation, Segmenter
from model.inference.video import VIDEO_EXPORTS, VideoReader

FORMATS = ("mask", "overlay", "csv")


def brought(files: Sequence[tuple[Path, str]], folder: Path, watch: Watch) -> Desk:
    """The desk with what a visitor brought: files by path and name, zips unpacked.

    Args: folder: of its own, for unpacked pictures and the first frame; made where it is needed.

    Raises: `ImageError` if there is nothing to segment, or too much of it, before anything is
        unpacked where the zips' lists of contents tell; as `Watch.check`.
    """
    kinds = [Path(name).suffix.lower() for _, name in files]
    if len(files) == 1 and kinds[0] in VIDEO_SUFFIXES:
        (path, name) = files[0]
        return Desk(_first_frame(path, name, folder), name, film=path)
    if any(kind in VIDEO_SUFFIXES for kind in kinds):
        raise ImageError("Bring a film alone, without other files.")
    _check_number(len(files))  # each zip holds a picture, and is held open
    with contextlib.ExitStack() as stack:
        archives = [
            _opened(path, name, stack) if kind == ".zip" else None
            for (path, name), kind in zip(files, kinds, strict=True)
        ]
        _check_number(sum(len(archive.members) if archive else 1 for archive in archives))
        if sum(archive.size for archive in archives if archive) > PAGE_UNPACKED_BYTES:
            raise ImageTooLargeError(
                f"The ZIPs unpack to more than {PAGE_UNPACKED_BYTES // 2**20} MiB together. Bring "
                "one after the other."
            )
        found: list[Example] = []
        for number, (archive, (path, name)) in enumerate(zip(archives, files, strict=True)):
            if archive:
                found += _unpacked(archive, name, folder / str(number), watch)
            else:
                found.append(Example(name, path))
    return _desk(found)


@dataclass(frozen=True)
class LaidOut:
    """What of the brought pictures can be shown.

    Attributes:
        desk: with the pictures that can be read, the first of them in front.
        thumbnails: of these, where they are several.
        refused: names of the other files.
    """

    desk: Desk
    thumbnails: list[tuple[Example, str]]
    refused: list[str]


def laid_out(desk: Desk, watch: Watch) -> LaidOut:
    """Leaves out what cannot be read, where several files were brought.

    Raises: `ImageError` if none can be; as `Watch.check`.
    """
    if not desk.pictures:
        return LaidOut(desk, [], [])
    thumbnails: list[tuple[Example, str]] = []
    refused: dict[str, ImageError] = {}
    for entry in desk.pictures:
        watch.check()
        try:
            thumbnails.append((entry, views.thumbnail(entry)))
        except ImageError as error:
            refused[entry.title] = error
    if not thumbnails:
        reason = next(iter(refused.values()))
        raise ImageError(f"None of the {len(desk.pictures)} files can be opened. {reason}")
    opened = _desk([entry for entry, _ in thumbnails])
    return LaidOut(opened, thumbnails if opened.pictures else [], list(refused))


def _desk(pictures: Sequence[Example]) -> Desk:
    first = pictures[0]
    return Desk(first.path, first.title, pictures=tuple(pictures) if len(pictures) > 1 else ())


def _check_number(pictures: int) -> None:
    if pictures > MOST_FILES:
        raise ImageTooLargeError(
            f"These are {pictures} pictures; {MOST_FILES} can be brought at a time. For more "
            "there is the command line: docs/outputs.md."
        )


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
        watch.check()
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


@contextlib.contextmanager
def removed_on_failure(cache: str | Path) -> Iterator[Path]:
    """Where a folder can be made in Gradio's cache, at a path that nobody can guess; it goes with
    all that is in it where what it was for fails."""
    folder = Path(cache) / secrets.token_hex(16)
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _opened(path: Path, name: str, stack: contextlib.ExitStack) -> Archive:
    """The pictures in a zip, whatever else is in it."""
    with _told_of(name):
        return Archive(stack.enter_context(open(path, "rb")), SUFFIXES, PAGE_UNPACKED_BYTES)


def _unpacked(archive: Archive, name: str, folder: Path, watch: Watch) -> list[Example]:
    """The names of members count, not their folders."""
    found = []
    for number, member in enumerate(archive.names()):
        watch.check()
        plain = PurePosixPath(member).name
        target = folder / str(number) / plain
        with _told_of(name):
            target.parent.mkdir(parents=True)
            target.write_bytes(archive.read(number))
        found.append(Example(plain, target))
    return sorted(found, key=lambda entry: entry.title)


@contextlib.contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Errors say which zip they are of."""
    try:
        yield
    except StudioError as error:
        raise type(error)(f"{name}: {error}") from error
    except OSError as error:
        raise ImageError(f"{name} cannot be unpacked ({error}).") from error


def _too_long(name: str, frames: str) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name} has {frames} frames; the limit is {MOST_FRAMES}. Cut it, or use the command line: "
        "docs/outputs.md."
    )


def _first_frame(path: Path, name: str, folder: Path) -> Path:
    with VideoReader(path) as reader:
        if reader.length > MOST_FRAMES:
            raise _too_long(name, str(reader.length))
        _, image = next(iter(reader))
    target = folder / f"{path.stem}.png"
    target.parent.mkdir(parents=True)
    Image.fromarray(image).save(target, compress_level=1)
    return target
