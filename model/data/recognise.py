"""Detects the encoding of a set of masks from the pixels of all of them.

The rules, in this order:

- RGB files, or palette files in which one index has several colours: if every colour is a
  grey, or every colour is pure red, the red channel is the value; else the colours are the
  classes. Palette and RGB files together are read by their colours.
- Grey and palette files: if the values are 0 and 255, two classes; else class ids, of
  which 255 is void where the others look like ids, see `SMALL_ID`.

Grey and RGB files in one set contradict each other, and more than `MOST_VALUES` values or
colours are refused: compression and smoothed edges make such masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.data.class_file import ClassFile
from model.data.classes import VOID, ClassTable, default_classes
from model.data.images import open_image
from model.data.masks import (
    TRANSPARENT,
    MaskEncoding,
    Storage,
    pack_colour,
    read_colours,
    read_index,
    read_stored,
    show_colour,
)
from model.errors import DataError
from model.processor import available_cores

MOST_VALUES = 64
SMALL_ID = 64
"""Values besides 255 look like ids if they are all below this, or leave out no more numbers than
they use. Grey levels, such as 0, 127 and 255, do neither: there 255 is a class."""

ADVICE = "Export them as PNG, unsmoothed, with one value or colour for each class."


@dataclass(frozen=True)
class MaskScan:
    """What one mask file holds.

    Attributes:
        kind: "bit", "grey", "palette" or "rgb".
        values: the distinct values, sorted: for "rgb" colours as `read_colours` returns
            them, else as `read_index` does.
        colours: of the indices, for "palette".
    """

    kind: str
    values: tuple[int, ...]
    colours: tuple[int, ...] = ()


def scan(path: Path) -> MaskScan:
    """Looks at all pixels of a mask. Raises `DataError`, `ImageError` as the readers do."""
    kind, stored = read_by_kind(path)
    values = distinct(stored)
    colours = palette_colours(path, stored, values) if kind == "palette" else ()
    return MaskScan(kind, values, colours)


def read_by_kind(path: Path) -> tuple[str, np.ndarray]:
    """A mask's kind, see `MaskScan`, and its values as stored, int32 (H, W).

    Raises: `DataError`, `ImageError` as the readers do.
    """
    mode = open_image(path).mode
    if mode in ("RGB", "RGBA", "RGBX"):
        return "rgb", read_colours(path)
    kind = {"1": "bit", "P": "palette", "PA": "palette"}.get(mode, "grey")
    return kind, read_index(path)


def palette_colours(path: Path, stored: np.ndarray, values: Sequence[int]) -> tuple[int, ...]:
    """The colours of these indices of a palette file, as `read_colours` returns them."""
    flat = stored.ravel()
    colours = read_colours(path).ravel()
    return tuple(int(colours[(flat == value).argmax()]) for value in values)


def distinct(values: np.ndarray) -> tuple[int, ...]:
    """The distinct values of an array, sorted."""
    flat = values.ravel()
    # Masks are made of runs; without the repetitions there is little left to sort.
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return tuple(np.unique(flat[np.concatenate([[0], changes])]).tolist())


def look_at_all(look: Callable, items: Iterable, description: str = "masks") -> list:
    """`look(item)` for many items, in their order, on all cores, with a progress bar where there
    are many. Threads help because the decoders release the GIL."""
    from tqdm import tqdm

    items = list(items)
    disable = True if len(items) < 200 else None  # None: shown on a terminal
    with ThreadPoolExecutor(available_cores()) as pool:
        try:
            results = pool.map(look, items)
            return list(tqdm(results, description, len(items), unit="file", disable=disable))
        except BaseException:
            # Ctrl-C, or the first bad file: the others need not be looked at.
            pool.shutdown(cancel_futures=True)
            raise


def recognise(
    paths: Sequence[Path], described: ClassFile | None = None
) -> tuple[MaskEncoding, ClassTable]:
    """The encoding and the classes of a set of masks.

    Args:
        paths: the mask files.
        described: what `classes.yaml` says, which takes precedence over the pixels. With
            both encoding and classes in it, no mask is opened.

    Raises: `DataError` if the masks contradict each other or `described`, or look compressed.
    """
    described = described or ClassFile()
    if described.encoding and described.classes:
        return described.mask_encoding(described.encoding), described.table()
    if described.encoding:
        storage: Storage = described.encoding
        found = look_at_all(lambda path: distinct(read_stored(path, storage)), paths)
        values = sorted({value for file in found for value in file})
    else:
        names, scans = [path.name for path in paths], look_at_all(scan, paths)
        storage, values = storage_of(names, scans, described)
    return interpret(storage, values, described)


def interpret(
    storage: Storage, values: list[int], described: ClassFile
) -> tuple[MaskEncoding, ClassTable]:
    """What stored values mean: as `described`, else each its own class.

    Args: values: the stored values that occur, sorted, as the reader for `storage` returns them.

    Raises: `DataError` if the values contradict `described`, are too many, or too few.
    """
    two_levels = {"binary": [0, 1], "red": [0, 255]}.get(storage) == values
    if described.classes:
        encoding = described.mask_encoding(storage)
        if two_levels and described.values is None and len(described.classes) == 2:
            encoding = MaskEncoding(storage, dict(zip(values, described.two_levels(), strict=True)))
        if unknown := sorted(set(values) - set(encoding.values)):
            shown = [show_colour(v) if storage == "colour" else v for v in unknown[:8]]
            raise DataError(f"The masks have the values {shown}, which classes.yaml lacks.")
        return encoding, described.table()
    if two_levels:
        classes = default_classes(["background", "foreground"])
        return MaskEncoding(storage, {values[0]: 0, values[1]: 1}), classes
    return _by_values(storage, values, described.void)


class MixedMasksError(DataError):
    """Grey masks and coloured ones in one set."""


def storage_of(
    names: Sequence[str], scans: Sequence[MaskScan], described: ClassFile
) -> tuple[Storage, list[int]]:
    """How the masks are to be read, and the values that are then found, sorted.

    Args: described: if it states colours, RGB files are read by colour even where all of these are
        grey or pure red; with a void of 255, grey masks of 0 and 255 hold class ids.
    Raises: `MixedMasksError` naming a grey and a coloured mask.
    """
    kinds = {entry.kind for entry in scans}
    values = sorted({value for entry in scans for value in entry.values})
    levels = {value for entry in scans for value in entry.values if entry.kind != "bit"}
    pairs = {p for s in scans for p in zip(s.values, s.colours, strict=False)}
    ambiguous = len(pairs) > len({index for index, _ in pairs})
    if kinds & {"bit", "grey"} and ("rgb" in kinds or ambiguous):
        grey = next(n for n, s in zip(names, scans, strict=True) if s.kind in ("bit", "grey"))
        other = next(n for n, s in zip(names, scans, strict=True) if s.kind in ("palette", "rgb"))
        raise MixedMasksError(
            f"The masks mix encodings: {grey} holds grey values, {other} colours. {ADVICE}"
        )
    if "rgb" not in kinds and not ambiguous:
        stated_void = 255 in described.void and "bit" not in kinds
        if levels <= {0, 255} and (255 in levels or "bit" in kinds) and not stated_void:
            return "binary", [0, 1]
        return "index", values
    colours = {c for s in scans for c in (s.colours if s.kind == "palette" else s.values)}
    channels = np.array(sorted(colours))[:, None] >> np.array([16, 8, 0]) & 255
    red, green, blue = channels.T
    plain = not green.any() and not blue.any()
    grey_levels = (red == green).all() and (green == blue).all()
    one_channel = (plain or grey_levels) and TRANSPARENT not in colours
    if kinds == {"rgb"} and one_channel and not described.states_colours(colours):
        return "red", sorted(red.tolist())
    return "colour", sorted(colours)


def _by_values(
    storage: Storage, values: list[int], stated_void: list[int | str]
) -> tuple[MaskEncoding, ClassTable]:
    """Each value except void is a class, in their order."""
    void = {pack_colour(v) if isinstance(v, str) else v for v in stated_void}
    if storage == "colour":
        void.add(TRANSPARENT)
    elif not stated_void and _look_like_ids([value for value in values if value != 255]):
        void.add(255)
    classes = [value for value in values if value not in void]
    if len(classes) > MOST_VALUES:
        what = "colours" if storage == "colour" else "values"
        raise DataError(
            f"The masks have {len(classes)} different {what}, too many for classes: their "
            f"compression was lossy, or they have smoothed edges. {ADVICE}"
        )
    if len(classes) < 2:
        found = [show_colour(value) if storage == "colour" else value for value in values]
        raise DataError(
            f"All masks hold one class only (values {found}); there is nothing to tell apart."
        )
    labels = {value: label for label, value in enumerate(classes)}
    if storage == "colour":
        table = ClassTable.of((show_colour(value), show_colour(value)) for value in classes)
    else:
        table = default_classes(f"class {value}" for value in classes)
    return MaskEncoding(storage, dict.fromkeys(void, VOID) | labels), table


def _look_like_ids(values: list[int]) -> bool:
    """Args: values: sorted."""
    return max(values, default=0) < max(SMALL_ID, 2 * len(values))
