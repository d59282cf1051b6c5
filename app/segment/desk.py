"""What the page remembers of a visitor while it is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.segment.examples import Example
from app.segment.options import Chosen


@dataclass(frozen=True)
class Desk:
    """What lies on a visitor's desk: a picture, and the mask that was made from it.

    Attributes:
        path: the picture's file, exactly as it was uploaded.
        name: what its owner calls it.
        example: whether it is one of ours.
        pictures: all that were brought together, if more than this one.
        film: the film that the picture is the first frame of.
        mask: the index PNG of its segmentation, None before there is one.
        model: name of the checkpoint that made what the page shows.
        chosen: the options it was made with.
        truth: a mask file that says what should have been found.
        second: name of another model that is compared, "" for none.
        added: folders and Hub ids that were named besides the models of the catalogue.
    """

    path: Path
    name: str
    example: bool = False
    pictures: tuple[Example, ...] = ()
    film: Path | None = None
    mask: Path | None = None
    model: str = ""
    chosen: Chosen = field(default_factory=Chosen)
    truth: Path | None = None
    second: str = ""
    added: tuple[str, ...] = ()
