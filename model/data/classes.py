"""Class tables: what each label value means and how it is drawn."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from model.errors import ConfigError, DataError

VOID = 255
"""Label of pixels to ignore: not trained on, not scored, drawn transparent."""

# Okabe & Ito (2008), "Color Universal Design": eight colours that people with the
# common colour vision deficiencies can tell apart.
OKABE_ITO = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#000000",
)


@dataclass(frozen=True)
class ClassInfo:
    """One class: `id` is its value in label arrays, `colour` is `#rrggbb`.

    Raises `ConfigError` for a name that is not text, and for a colour written in another way.
    """

    id: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"The name of class {self.id} must be text, got {self.name!r}.")
        if not re.fullmatch("#[0-9A-Fa-f]{6}", self.colour):
            raise ConfigError(
                f"The class '{self.name}' has the colour '{self.colour}'; write it as #rrggbb."
            )

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three integers in [0, 255]."""
        value = int(self.colour[1:], 16)
        return value >> 16, (value >> 8) & 255, value & 255


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set, `classes[i].id == i`.

    Raises `ConfigError` if the ids do not count up from 0 or there are more than 255.

    >>> table = ClassTable.named(background="#000000", road="#804080")
    >>> table[1].name, len(table)
    ('road', 2)
    """

    classes: tuple[ClassInfo, ...]

    def __post_init__(self) -> None:
        ids = [info.id for info in self.classes]
        if ids != list(range(len(ids))) or not 0 < len(ids) <= VOID:
            raise ConfigError(
                f"Class ids must count up from 0 and stay below {VOID}; got {ids[:10]}."
            )

    @classmethod
    def named(cls, **colours: str) -> ClassTable:
        """A table from `name="#rrggbb"` arguments in the order of their ids."""
        return cls.of(colours.items())

    @classmethod
    def of(cls, pairs) -> ClassTable:
        """A table from (name, "#rrggbb") pairs in the order of their ids."""
        return cls(tuple(ClassInfo(i, name, colour) for i, (name, colour) in enumerate(pairs)))

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[ClassInfo]:
        return iter(self.classes)

    def __getitem__(self, index: int) -> ClassInfo:
        return self.classes[index]

    @property
    def names(self) -> list[str]:
        return [info.name for info in self.classes]

    def palette(self) -> np.ndarray:
        """Colours by label, uint8 (256, 3); labels without a class, void included, are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self)] = [info.rgb for info in self.classes]
        return palette

    def to_json(self) -> list[dict]:
        return [{"id": c.id, "name": c.name, "colour": c.colour} for c in self.classes]

    @classmethod
    def from_json(cls, rows: list[dict]) -> ClassTable:
        return cls(tuple(ClassInfo(row["id"], row["name"], row["colour"]) for row in rows))


def default_classes(names: Iterable[str]) -> ClassTable:
    """A class table with colours that can be told apart; "background" is black.

    The first seven are Okabe and Ito's for common colour vision deficiencies; more are
    spaced around the hue circle by the golden ratio.

    Raises: `DataError` for more classes than an 8-bit mask can hold.
    """
    names = list(names)
    if len(names) > VOID:
        raise DataError(f"There are {len(names)} classes; a mask can hold at most {VOID}.")
    colours = _distinct_colours()
    return ClassTable.of(
        (name, "#000000" if name == "background" else next(colours)) for name in names
    )


def _distinct_colours() -> Iterator[str]:
    yield from (colour.lower() for colour in OKABE_ITO if colour != "#000000")
    hue = 0.0
    for number in range(VOID):
        hue = (hue + (5**0.5 - 1) / 2) % 1
        rgb = colorsys.hls_to_rgb(hue, (0.35, 0.5, 0.65)[number % 3], 0.7)
        yield "#" + "".join(f"{round(255 * channel):02x}" for channel in rgb)
