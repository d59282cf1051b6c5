"""What a request may cost. SECURITY.md states the same figures; a test compares them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from model.data.images import MAX_BYTES
from model.errors import ConfigError, ImageTooLargeError, StudioError

SECONDS_VARIABLE = "UNET_STUDIO_SECONDS"
"""Environment variable with the seconds that a picture may take, once it is its turn."""

MOST_SECONDS = 120.0

FORM_BYTES = MAX_BYTES + 2**20
"""The largest request body: the largest picture, or ZIP of pictures, and the form around it."""

BODIES_BYTES = 8 * FORM_BYTES
"""Bodies that are being received and worked on at a time, together."""

BODY_SECONDS = 300
"""In which a body must have come, whole."""

SEND_SECONDS = 60
"""In which a client must take the next piece of a streamed answer."""

MOST_FILES = 200
"""Pictures in one batch, be they files of a form or members of a ZIP."""

UNPACKED_BYTES = 2**30
"""What all members of a ZIP may unpack to."""

MOST_RATIO = 200
"""How many times larger than packed a member of a ZIP may be, if it is over a megabyte."""

DIRECTORY_BYTES = 2**20
"""The list of contents of a ZIP."""

MOST_PROBABILITIES = 2**28
"""Pixels times classes, in `npz`: half a gigabyte."""

MOST_CORNERS = 2_000_000
"""Corners of the outlines in `coco`, `geojson` and `yolo`, each of which takes up to 550 bytes
until the file is complete: about a gigabyte."""

LARGEST_TILE, MOST_ZOOMS = 1536, 4
"""The side of tiles in pixels, magnified by the largest zoom: what a U-Net of 32 channels keeps of
one takes 1.6 GB."""

MESSAGE_BYTES = 4 * 2**20
"""What programs send to Gradio and its MCP endpoint besides uploads: JSON, read in one piece. MCP's
library takes no more."""

SHOWN_BYTES = 4 * 2**20
"""A picture that stands in an answer of the MCP endpoint itself; larger ones have an address."""

UPLOADS_BYTES = 2 * 2**30
"""Uploads and results that the pages keep together. Gradio deletes files by age only."""

UPLOAD_BYTES = 2**30
"""What one visitor brings to the page at once."""

UPLOADS_SECONDS = 7200
"""How long they are kept."""

COMPARED_BYTES = 2**30
"""Pictures that the compare page holds in memory, of all visitors together."""

PAGE_UNPACKED_BYTES = 512 * 2**20
"""What the pictures of a ZIP take unpacked on the page, which keeps them."""

MADE_BYTES = 2**30
"""What masks and overlays of all pictures that were brought, or of a film, may take."""

MOST_FRAMES = 1500
"""Of a film: a minute at 25 frames a second."""

PAGE_SECONDS = 600
"""How long anything may be computed for one visitor of the page, the wait for its turn included."""

_UNSAFE = frozenset('"*:<>?|')


class TooLongError(StudioError):
    """A picture that takes longer than it may."""

    @classmethod
    def after(cls, seconds: float) -> TooLongError:
        return cls(
            f"This takes longer than the limit of {seconds:g} s. Make the picture smaller, or ask "
            "for less: scale=trained, no zooms, no flips."
        )


def most_seconds() -> float:
    """Seconds that a picture may take, once it is its turn.

    Raises: `ConfigError` if the environment says something that is no number above 0.
    """
    text = os.environ.get(SECONDS_VARIABLE) or str(MOST_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{SECONDS_VARIABLE} is '{text}', but must be a number above 0.")
    return seconds


@dataclass(frozen=True)
class Deadline:
    """When somebody stops waiting, on the clock `time.monotonic`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def passed(self) -> bool:
        return time.monotonic() > self.at


def check_probabilities(pixels: int, classes: int) -> None:
    """Raises `ImageTooLargeError` if the probabilities of all classes would not fit."""
    if pixels * classes > MOST_PROBABILITIES:
        raise ImageTooLargeError(
            f"The probabilities of {classes} classes are limited to pictures of "
            f"{MOST_PROBABILITIES // classes / 1e6:.0f} megapixels; this one has "
            f"{pixels / 1e6:.0f}. Make it smaller, or leave the probabilities out."
        )


def check_outlines(labels: np.ndarray) -> None:
    """Raises `ImageTooLargeError` if polygons of these labels would have too many corners.

    Args: labels: uint8 (H, W).
    """
    rows = 1 + 2**22 // labels.shape[1]
    corners = 0
    for top in range(0, len(labels), rows):
        band = labels[top : top + rows + 1]
        # Four pixels around a point: an outline turns there unless they are equal in pairs.
        upper, lower = band[:-1], band[1:]
        across = (upper[:, :-1] == upper[:, 1:]) & (lower[:, :-1] == lower[:, 1:])
        down = (upper[:, :-1] == lower[:, :-1]) & (upper[:, 1:] == lower[:, 1:])
        corners += int(across.size - np.count_nonzero(across | down))
    if corners > MOST_CORNERS:
        raise ImageTooLargeError(
            f"The outlines have {corners / 1e6:.0f} million corners; the limit is "
            f"{MOST_CORNERS / 1e6:.0f} million. Remove small regions with minimum_area, or ask for "
            "output=mask."
        )


def safe_name(name: str | None) -> str:
    """What a file is called in answers: a path that leads nowhere else wherever it is unpacked.

    Forward slashes only, no `..`, no drive, nothing invisible, at most 200 bytes; "picture" where
    nothing is left.

    >>> safe_name("../../etc/passwd")
    'etc/passwd'
    >>> safe_name("C:\\\\photos\\\\cat.jpg")
    'C_/photos/cat.jpg'
    """
    # What is invisible includes surrogates, which no encoding can write.
    letters = (c if c.isprintable() and c not in _UNSAFE else "_" for c in name or "")
    parts = [part.strip() for part in "".join(letters).replace("\\", "/").split("/")]
    # In bytes, of which file systems allow 255.
    ends = [part.encode()[-150:].decode("utf-8", "ignore") for part in parts]
    kept = [end.strip() for end in ends if end.strip(". ")]
    while len("/".join(kept).encode()) > 200:
        kept = kept[1:]
    return "/".join(kept) or "picture"


def base_name(name: str | None) -> str:
    """The last part of a `safe_name`."""
    return PurePosixPath(safe_name(name)).name
