"""Videos in, videos out: the same frames at the same times, as overlay or as exact masks.

Overlays are H.264 in MP4, which everything plays; if a side is odd, the last row or column is
repeated, as players want even sides. Masks are FFV1 in Matroska, which is lossless: each grey value
is a class id. Neither has sound. Frames are turned upright as the file says, as pictures are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.data.images import MAX_PIXELS
from model.errors import ConfigError, ImageError, ImageTooLargeError
from model.writing import complete, provisional

if TYPE_CHECKING:
    import av

VIDEO_EXPORTS = {"overlay": ".mp4", "mask": ".mkv"}
"""The exports that exist for videos, and the suffixes of their files."""

BT_709 = 1
"""FFmpeg's number for the colours of high-definition video."""

_CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}

# FFmpeg goes by the content, not by the name, and playlists and lists of files would make it open
# whatever else they name.
_ONLY = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg",
    "protocol_whitelist": "file",
}


def require_library() -> None:
    """Raises `ConfigError` if the package that reads videos is missing."""
    try:
        import av  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError("Videos need the package av: pip install -r requirements.txt") from error


class VideoReader:
    """The frames of a video.

    Attributes:
        rate: frames per second, on average.
        time_base: the unit of frame times, in seconds.
        length: how many frames the file says it has; 0 if it does not say.
        pixel_aspect: a pixel's width over its height in the frames, once the first was read; None
            if the file does not say, as with square ones.

    Raises: `ImageError` if it cannot be read as a video, `ImageTooLargeError` before anything is
        decoded if a picture of its size would be too large.
    """

    def __init__(self, path: Path) -> None:
        import av

        self.path = path
        try:
            self._container = av.open(str(path), metadata_errors="replace", container_options=_ONLY)
            self._stream = self._container.streams.video[0]
        except IndexError as error:
            raise ImageError(f"{path.name} contains no video.") from error
        except av.FFmpegError as error:
            raise ImageError(f"{path.name} cannot be read as a video ({error}).") from error
        context = self._stream.codec_context
        if context is None:
            self._container.close()
            raise ImageError(f"{path.name} cannot be read as a video: its codec is not supported.")
        try:
            _check_size(path, context.width, context.height)
        except ImageTooLargeError:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self.rate: Fraction = self._stream.average_rate or Fraction(25)
        self.time_base: Fraction = self._stream.time_base or 1 / self.rate
        self.length: int = self._stream.frames
        self.pixel_aspect: Fraction | None = None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Time, in units of `time_base` and strictly increasing, and RGB, uint8 (H, W, 3).

        Raises: `ImageError` naming the frame where the file is damaged; `ImageTooLargeError`.
        """
        import av

        step = max(1, round(1 / (self.rate * self.time_base)))
        number, time = 0, None
        try:
            for frame in self._container.decode(self._stream):
                after = 0 if time is None else time + 1
                expected = 0 if time is None else time + step
                time = expected if frame.pts is None else max(frame.pts, after)
                _check_size(self.path, frame.width, frame.height)  # it may change within the file
                if not number and (aspect := self._stream.sample_aspect_ratio):
                    self.pixel_aspect = 1 / aspect if _quarters(frame) % 2 else aspect
                yield time, _upright(frame)
                number += 1
        except av.FFmpegError as error:
            raise ImageError(
                f"{self.path.name} is damaged or cut short after frame {number} ({error})."
            ) from error
        if not number:
            raise ImageError(f"{self.path.name} has no frames.")

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


class VideoWriter:
    """Writes a video, which gets its name only once it is finished; if it is left unfinished,
    nothing remains.

    Args:
        path: ends in one of the suffixes of `VIDEO_EXPORTS`, which says how.
        rate, time_base, pixel_aspect: as in `VideoReader`.
    """

    def __init__(
        self,
        path: Path,
        rate: Fraction,
        time_base: Fraction,
        pixel_aspect: Fraction | None = None,
    ) -> None:
        import av

        self.path = path
        self._part = provisional(path)
        self._exact = path.suffix == VIDEO_EXPORTS["mask"]
        options = {} if self._exact else {"movflags": "faststart"}
        self._container = av.open(
            str(self._part), "w", format=_CONTAINERS[path.suffix], options=options
        )
        codec, codec_options = (
            ("ffv1", {"level": "3"})
            if self._exact
            else ("libx264", {"crf": "18", "preset": "fast"})
        )
        self._stream = self._container.add_stream(codec, rate=rate, options=codec_options)
        self._stream.codec_context.time_base = time_base
        if pixel_aspect is not None:
            self._stream.codec_context.sample_aspect_ratio = pixel_aspect
        self._time_base = time_base
        self._size_hw: tuple[int, int] | None = None

    def add(self, time: int, pixels: np.ndarray) -> None:
        """A frame: RGB, uint8 (H, W, 3), or labels, uint8 (H, W) for masks.

        Raises: `ImageError` for one of a different size than the first.
        """
        if self._size_hw is None:
            self._begin(*pixels.shape[:2])
        elif pixels.shape[:2] != self._size_hw:
            sizes = (self._size_hw, pixels.shape[:2])
            before, now = (f"{width} x {height}" for height, width in sizes)
            raise ImageError(
                f"Its frames change size from {before} to {now} pixels, which one video cannot. "
                "Cut it in two there."
            )
        frame = self._frame(pixels)
        frame.pts, frame.time_base = time, self._time_base
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Completes the file and gives it its name."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        complete(self.path)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        import av

        with contextlib.suppress(av.FFmpegError):
            self._container.close()
        self._part.unlink(missing_ok=True)

    def _begin(self, height: int, width: int) -> None:
        self._size_hw = (height, width)
        if self._exact:
            self._stream.height, self._stream.width = height, width
            self._stream.pix_fmt = "gray"
        else:
            # Players expect colours at half the resolution, which odd sides do not have.
            self._stream.height, self._stream.width = height + height % 2, width + width % 2
            self._stream.pix_fmt = "yuv420p"
            context = self._stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT_709

    def _frame(self, pixels: np.ndarray) -> av.VideoFrame:
        import av

        if self._exact:
            return av.VideoFrame.from_ndarray(pixels, format="gray")
        height, width = pixels.shape[:2]
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        return frame.reformat(format=self._stream.pix_fmt, dst_colorspace=BT_709)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLargeError(
            f"{path.name} has {width} x {height} pixels; the limit is {MAX_PIXELS / 1e6:.0f} "
            "megapixels. Make it smaller."
        )


def _upright(frame: av.VideoFrame) -> np.ndarray:
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, _quarters(frame)))


def _quarters(frame: av.VideoFrame) -> int:
    """By how many quarter turns a frame is to be turned, counterclockwise."""
    return round(frame.rotation / 90)
