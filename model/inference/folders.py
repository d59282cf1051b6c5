"""Files in bulk: pictures and videos to exports, in an output folder that can be completed later.

While one picture is computed, which takes all cores, others are read and written.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from model.data import drawing
from model.errors import ConfigError, ImageError
from model.inference.exports import EXPORTS, Picture
from model.inference.inputs import Item
from model.inference.options import SegmentOptions
from model.inference.output import OutputFolder
from model.inference.overlapping import in_order
from model.inference.segmenter import Segmentation, Segmenter
from model.inference.sources import Sources, stamp
from model.inference.video import VideoReader, VideoWriter
from model.processor import available_cores

_OF_ALL_FILES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Write errors that the next file would meet as well."""

Progress = Callable[[int, int], None]
"""Called with how many more pictures there are than was thought, and how many are done."""


Outcome = tuple[Item, str | None]
"""A file, and why it could not be segmented, if so."""


@dataclass
class Report:
    """What became of the files, by name; `failed` with the reasons."""

    segmented: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What is done with each file.

    Attributes:
        segmenter, options: how it is segmented.
        formats: names in `EXPORTS`, for videos those in `VIDEO_EXPORTS`.
        chosen: ids of the classes for the exports that do not hold all.
    """

    segmenter: Segmenter
    formats: Sequence[str]
    chosen: Collection[int]
    options: SegmentOptions

    def settings(self) -> dict:
        """Whatever decides what the outputs contain, ready for JSON."""
        maps = {export.needs for export in EXPORTS.values()}
        options = {name: v for name, v in asdict(self.options).items() if name not in maps}
        return {
            "checkpoint": self.segmenter.name,
            "digests": [
                member.digest(precision)
                for member, precision in zip(
                    self.segmenter.members, self.segmenter.precisions, strict=True
                )
            ],
            "engine": self.segmenter.engine,
            "precision": self.segmenter.precision,
            "options": options,
            "preprocessing": self.segmenter.checkpoint.preprocessing.to_json(),
            "classes": [self.segmenter.classes[i].name for i in sorted(self.chosen)],
            "all_classes": [f"{info.name} {info.colour}" for info in self.segmenter.classes],
        }


def pictures_at_once() -> int:
    """In memory: while all cores compute for one, others are read and written."""
    return max(3, available_cores() // 2)


def segment_here(
    job: Job, items: Sequence[Item], folder: OutputFolder, progress: Progress
) -> Iterator[Outcome]:
    """Segments files on this machine. Raises as `segment_files`."""

    def segment_picture(item: Item) -> Outcome:
        return item, _segment_picture(job, item, folder)

    pictures = [item for item in items if not item.is_video]
    for outcome in in_order(segment_picture, pictures, pictures_at_once()):
        progress(0, 1)
        yield outcome
    for item in items:
        if item.is_video:
            yield item, _segment_video(job, item, folder, progress)


Run = Callable[[Job, Sequence[Item], OutputFolder, Progress], Iterator[Outcome]]


def segment_files(
    job: Job,
    items: Sequence[Item],
    output: Path,
    *,
    resume: bool = False,
    progress: Progress = lambda more, done: None,
    run: Run = segment_here,
) -> Report:
    """Segments files into a folder.

    A file that cannot be read is reported, and the run continues with the next.

    Args:
        output, resume: see `OutputFolder`.
        progress: every frame of a video is a picture; before it is opened it counts as one.
        run: what does the work; the outcomes can come in any order.

    Raises: `ConfigError` for options that do not suit the classes, and if the output folder
        cannot be used or written.
    """
    job.options.check(job.segmenter.classes)  # before the folder is taken
    folder = OutputFolder(output, job.formats, job.settings(), resume=resume)
    sources = Sources(folder)
    report = Report()
    todo: dict[Item, str] = {}
    for item in items:
        found = stamp(item)  # before it is read: it may change meanwhile
        if sources.has(item, found):
            report.skipped.append(item.name)
            progress(0, 1)
        else:
            todo[item] = found
    with sources.recording(todo) as record:
        for item, reason in run(job, list(todo), folder, progress):
            record(item, reason is None)
            if reason is None:
                report.segmented.append(item.name)
            else:
                report.failed[item.name] = reason
    done = [item for item in items if item.name not in report.failed]
    folder.summarise(done, job.segmenter.classes)
    folder.write_failed(report.failed)
    return report


def _segment_picture(job: Job, item: Item, folder: OutputFolder) -> str | None:
    """Returns why it cannot be segmented, if so."""
    try:
        picture = Picture.read(item.source(), item.name)
        segmentation = job.segmenter.segment(picture.image, job.options)
        for name, target in folder.targets(item).items():
            folder.write(target, EXPORTS[name].write(segmentation, picture, job.chosen))
    except ImageError as error:
        return str(error)
    except OSError as error:
        return _not_written(error, folder)
    return None


def _segment_video(job: Job, item: Item, folder: OutputFolder, progress: Progress) -> str | None:
    """Returns why it cannot be segmented, if so."""
    import av

    if isinstance(item.path, str):
        return f"{item.name} is a video at an address. Videos must be files: download it."

    def segment(frame: tuple[int, np.ndarray]) -> tuple[int, dict[str, np.ndarray]]:
        time, image = frame
        return time, _drawn(job, image, job.segmenter.segment(image, job.options))

    with ExitStack() as stack:
        try:
            reader = stack.enter_context(VideoReader(item.path))
            progress(reader.length - 1, 0)
            writers: dict[str, VideoWriter] = {}
            for time, frames in in_order(segment, reader, pictures_at_once()):
                for name, target in folder.targets(item).items():
                    if name not in writers:  # now the reader knows how pixels lie
                        target.parent.mkdir(parents=True, exist_ok=True)
                        writers[name] = stack.enter_context(
                            VideoWriter(target, reader.rate, reader.time_base, reader.pixel_aspect)
                        )
                    writers[name].add(time, frames[name])
                progress(0, 1)
            for writer in writers.values():
                writer.finish()
        except ImageError as error:
            return str(error)
        except OSError as error:
            return _not_written(error, folder)
        except av.FFmpegError as error:
            return f"cannot be encoded as a video ({error})"
    return None


def _drawn(job: Job, image: np.ndarray, segmentation: Segmentation) -> dict[str, np.ndarray]:
    """A video's frames by export."""
    labels = segmentation.labels
    frames = {"mask": labels}
    if "overlay" in job.formats:
        classes = segmentation.classes
        frames["overlay"] = drawing.overlay(image, labels, classes, shown=job.chosen)
    return frames


def _not_written(error: OSError, folder: OutputFolder) -> str:
    """The reason why a single file could not be written. Raises `ConfigError` for a full disk and
    the like."""
    reason = f"cannot be written: {error.strerror or error}"
    if error.errno in _OF_ALL_FILES:
        raise ConfigError(
            f"--output: {folder.path} {reason}. Existing files are complete; the same command with "
            "--resume continues."
        ) from error
    return f"Its outputs: {reason}."
