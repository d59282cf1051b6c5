"""What the stored values of a case's masks mean, and what is wrong with them.

They are read as training on the folder would read them (`recognise.interpret`). Where training
would stop, or would read something that is hardly intended, there is a finding and, where
possible, a reading that fixes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.data.classes import VOID, ClassTable
from model.data.doctor.case import Case
from model.data.doctor.findings import Finding, counted, some
from model.data.doctor.groups import (
    NUMBERS,
    Group,
    assign_storages,
    groups_of,
    noise_findings,
    show,
)
from model.data.doctor.look import MaskLook, read_lossy
from model.data.doctor.noise import Noise, closeness, snap
from model.data.masks import MaskEncoding, Storage, as_binary, read_stored, to_labels
from model.data.recognise import interpret
from model.errors import DataError

IN_WORDS: dict[Storage, str] = {
    "index": "the pixel's value is the class",
    "binary": "two classes, as 0 and 255",
    "red": "the red channel is the class",
    "colour": "the colour is the class",
}


@dataclass
class Reading:
    """How masks become labels.

    Attributes:
        words: the encoding, for people.
        classes: the class table.
        storages: how each kind of mask (see `MaskLook.kind`) is read; kinds it lacks cannot be.
        labels_of: for each kind, the label of each stored value; others become void.
        noise: for kinds that hold more than their classes.
    """

    words: str
    classes: ClassTable
    storages: dict[str, Storage] = field(default_factory=dict)
    labels_of: dict[str, dict[int, int]] = field(default_factory=dict)
    noise: dict[str, Noise] = field(default_factory=dict)

    def labels(self, path: Path, kind: str) -> np.ndarray:
        """The labels of a mask file, uint8 (H, W). Raises `DataError`, `ImageError`."""
        if kind.startswith("lossy"):
            values = read_lossy(path)[1]
        else:
            values = _read_all(path, self.storages[kind], kind)
        if kind in self.noise:
            values = snap(values, self.noise[kind])
        return to_labels(values, self.labels_of[kind], path, unknown=VOID)

    def counts(self, look: MaskLook) -> np.ndarray:
        """Pixels of each label, int64 (256,), as `labels` gives them; of masks with noise only
        those of values that are certain, if there are any."""
        storage, noise = self.storages[look.kind], self.noise.get(look.kind)
        values, counts = look.values, look.counts
        if storage == "colour" and look.colours is not None:
            values = look.colours
        if noise:
            distance, certain = closeness(values, noise)
            values = np.array(noise.classes)[distance.argmin(1)]
            if certain.any():
                values, counts = values[certain], counts[certain]
        elif storage == "red":
            values = values >> 16 & 255
        elif storage == "binary" and look.kind != "bit":
            values = as_binary(values)
        labels = [self.labels_of[look.kind].get(value, VOID) for value in values.tolist()]
        return np.bincount(labels, counts, 256).astype(np.int64)


def _read_all(path: Path, storage: Storage, kind: str) -> np.ndarray:
    """The stored values, including those that training would refuse, int32 (H, W)."""
    if storage == "binary" and kind != "bit":
        return as_binary(read_stored(path, "index"))
    return read_stored(path, storage)


def read_encoding(case: Case, looks: dict[str, MaskLook]) -> tuple[Reading | None, list[Finding]]:
    """How the masks of a case are read, None if they cannot be, and what is wrong with them.

    Args: looks: of the masks that can be read, by name.
    """
    if not looks:
        return None, []
    if case.painters:
        labels = {entry.id: entry.id for entry in case.classes} | {VOID: VOID}
        reading = Reading("outlines", case.classes, {"painted": "index"}, {"painted": labels})
        return reading, []
    groups = groups_of(case, looks)
    findings = [*assign_storages(case, groups), *noise_findings(case, groups)]
    try:
        reading, found = _reading(case, [group for group in groups if group.storage])
    except DataError as error:
        return None, [*findings, _contradiction(error)]
    return reading, findings + found


def _reading(case: Case, groups: list[Group]) -> tuple[Reading | None, list[Finding]]:
    findings: list[Finding] = []
    encodings: dict[bool, MaskEncoding] = {}
    for of_numbers in (True, False):
        side = [group for group in groups if (group.storage in NUMBERS) == of_numbers]
        if not side:
            continue
        values = sorted({value for group in side for value in group.values().values()})
        storage = side[0].storage
        if len({group.storage for group in side}) > 1:
            storage = "red" if values == [0, 255] else "index"  # of red, 255 may be a class
        encoding, classes = _meaning(case, storage, values)
        encoding, found = _with_all_values(case, encoding, classes, storage, values, side)
        findings += found
        encodings[of_numbers] = encoding
    if not encodings:
        return None, findings
    reading = Reading(_words(groups, encodings), classes)
    for group in groups:
        known = encodings[group.storage in NUMBERS].values
        reading.storages[group.kind] = group.storage
        if not group.noise and group.kind != "bit":
            reading.labels_of[group.kind] = dict(known)
            continue
        if group.noise:
            reading.noise[group.kind] = group.noise
        reading.labels_of[group.kind] = {
            raw: known[value] for raw, value in group.values().items() if value in known
        }
        reading.storages[group.kind] = "colour" if group.tally.colours else "index"
    findings += _peculiarities(case, groups, encodings)
    return reading, findings


def _meaning(case: Case, storage: Storage, values: list[int]) -> tuple[MaskEncoding, ClassTable]:
    """What the values mean, whether or not all are known. Raises `DataError` if nothing fits."""
    described = case.described
    if case.encoding:
        return case.encoding, case.classes
    if not described.classes:
        return interpret(storage, values, described)
    table = described.table()
    if described.encoding:
        return described.mask_encoding(storage), table
    try:
        return interpret(storage, values, described)
    except DataError:
        return described.mask_encoding(storage), table


def _with_all_values(
    case: Case,
    encoding: MaskEncoding,
    classes: ClassTable,
    storage: Storage,
    values: list[int],
    groups: list[Group],
) -> tuple[MaskEncoding, list[Finding]]:
    """The encoding with values that it lacked: shifted, or as void; and what was wrong."""
    unknown = sorted(set(values) - set(encoding.values))
    if not unknown:
        return encoding, []
    where = [name for g in groups for name, look in g.looks.items() if _holds(g, look, unknown)]
    source = "classes.yaml" if case.described.classes else f"the data set '{case.target}'"
    ids = sorted(value for value, label in encoding.values.items() if label != VOID)
    number = len(classes)
    plain_ids = storage != "colour" and ids == list(range(number))
    if plain_ids and unknown == [number] and 0 not in values:
        shifted = {value + 1: value for value in ids}
        void = {value: label for value, label in encoding.values.items() if label == VOID}
        return MaskEncoding(storage, void | shifted), [
            Finding(
                code="off-by-one",
                severity="error",
                what=f"The masks count from 1 to {number}, but {source} from 0 to {number - 1}.",
                why="Every class would be taken for the next one, and the last for an error.",
                mend=f"`{case.fix}` counts from 0. Or state in classes.yaml "
                f"`values: {{{', '.join(f'{e.id + 1}: {e.name}' for e in classes)}}}`.",
                files=where,
            )
        ]
    if plain_ids and number == 2 and set(values) <= {0, 255}:
        return MaskEncoding(storage, {0: 0, 255: 1}), [
            Finding(
                code="zero-255",
                severity="error",
                what=f"The masks hold 0 and 255, but {source} says that the values are 0 and 1.",
                why="255 is not a class id: training would stop, or leave these pixels out.",
                mend=f"`{case.fix}` writes 0 and 1. Or state `encoding: binary` in classes.yaml.",
                files=where,
            )
        ]
    pixels = {v: sum(_pixels(g, v) for g in groups) for v in unknown}
    listed = ", ".join(
        f"{show(v, storage == 'colour')} ({counted(pixels[v], 'pixel')})"
        for v in sorted(unknown, key=lambda v: -pixels[v])[:8]
    )
    more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
    finding = Finding(
        code="unknown-value",
        severity="error",
        what=f"The masks have {'colours' if storage == 'colour' else 'values'} {listed}{more} that "
        f"{source} does not know.",
        why="Training stops at the first mask with such a value.",
        mend=_where_unknown_belong(unknown, number, plain_ids and 0 in values)
        + f"`{case.fix}` makes them void.",
        files=where,
    )
    return encoding, [finding]


def _where_unknown_belong(unknown: list[int], number: int, counts_from_0: bool) -> str:
    if unknown == [255]:
        return "If 255 means void, state `void: 255` in classes.yaml. "
    if counts_from_0 and unknown == [number]:
        return (
            f"There are {number + 1} ids: if 0 is the background, name it first in classes.yaml. "
        )
    return "Name them in classes.yaml, under `classes`, `values` or `void`. "


def _holds(group: Group, look: MaskLook, unknown: list[int]) -> bool:
    raw = {value for value, stored in group.values().items() if stored in unknown}
    own = look.colours if group.tally.colours and look.colours is not None else look.values
    return not raw.isdisjoint(own.tolist())


def _pixels(group: Group, stored: int) -> int:
    raw = [value for value, as_stored in group.values().items() if as_stored == stored]
    return int(group.tally.counts[np.isin(group.tally.values, raw)].sum())


def _contradiction(error: DataError) -> Finding:
    return Finding(
        code="values",
        severity="error",
        what=str(error),
        why="Training stops with this error.",
        mend="State in classes.yaml what the values mean; docs/masks.md shows how.",
    )


def _peculiarities(
    case: Case, groups: list[Group], encodings: dict[bool, MaskEncoding]
) -> Iterator[Finding]:
    """What is read as intended here, but not by every program."""
    storages = {group.storage for group in groups}
    values = sorted({v for g in groups if g.storage in NUMBERS for v in g.values().values()})
    if storages == {"binary"} and any(group.kind != "bit" for group in groups):
        yield Finding(
            code="zero-255",
            severity="note",
            what="The masks hold 0 and 255: they are read as 0 and 1.",
            why="Elsewhere this ends in 'Target 255 is out of bounds'.",
        )
    stated = case.described.classes or case.encoding
    if "index" in storages and not stated:
        classes = [v for v in values if encodings[True].values.get(v) != VOID]
        if classes == list(range(1, len(classes) + 1)):
            yield Finding(
                code="off-by-one",
                severity="note",
                what=f"The masks count from 1 to {len(classes)}: 1 is read as class 0.",
                why="Other programs take 0 for a class that never occurs, or stop at the last.",
            )
        elif classes != list(range(len(classes))) and classes != [0, 255]:
            yield Finding(
                code="gaps",
                severity="note",
                what=f"The class ids have gaps: {some(map(str, classes))} are read as 0 to "
                f"{len(classes) - 1}.",
                why="A class that is missing here but occurs in later pictures would change what "
                "the others are called. classes.yaml fixes the meaning.",
            )
        yield from _two_ways_of_255(case, groups, values)


def _two_ways_of_255(case: Case, groups: list[Group], values: list[int]) -> Iterator[Finding]:
    """0 and 1 in some masks, 0 and 255 in others: 255 is taken for void, hardly as intended."""
    if values != [0, 1, 255] or len(groups) > 1:
        return
    held = {n: set(look.values.tolist()) for g in groups for n, look in g.looks.items()}
    high = [name for name, found in held.items() if 255 in found]
    if all(1 not in held[name] for name in high):
        yield Finding(
            code="zero-255",
            severity="warning",
            what=f"{counted(len(high), 'mask holds', 'masks hold')} 0 and 255, the others 0 and 1.",
            why="255 is read as void; if it means the same as 1, these objects are lost.",
            mend="If it does, state in classes.yaml `classes: [background, foreground]` and "
            "`values: {0: background, 1: foreground, 255: foreground}`, then "
            f"`{case.fix}`.",
            files=high,
        )


def _words(groups: list[Group], encodings: dict[bool, MaskEncoding]) -> str:
    """The encoding in words: how values are stored, which ones occur, in what files."""
    parts = []
    for of_numbers, encoding in encodings.items():
        side = [group for group in groups if (group.storage in NUMBERS) == of_numbers]
        storages = " or ".join(dict.fromkeys(IN_WORDS[group.storage] for group in side))
        found = sorted({v for group in side for v in group.values().values()})
        classes = [v for v in found if encoding.values.get(v, VOID) != VOID]
        void = [v for v in found if encoding.values.get(v) == VOID]
        listed = _ranges(classes) if of_numbers else some(show(v, True) for v in classes)
        if void:
            listed += f"; void {', '.join(show(v, not of_numbers) for v in void)}"
        parts.append(f"{storages}: {listed}")
    files: dict[str, int] = {}
    for group in groups:
        for look in group.looks.values():
            files[look.stored] = files.get(look.stored, 0) + 1
    return f"{'; '.join(parts)} ({', '.join(f'{n} x {kind}' for kind, n in files.items())})"


def _ranges(values: list[int]) -> str:
    """ "0-10, 12": whole numbers, runs of them shortened."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:12])
