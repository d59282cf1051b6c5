"""From a case to its report: every file is looked at once, then each check runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from model.data import splits
from model.data.datasets.folder import OWN_PARTS, own_split
from model.data.doctor import balance, duplicates, pairs
from model.data.doctor.case import Case
from model.data.doctor.findings import SEVERITIES, Finding, Report
from model.data.doctor.look import (
    MaskLook,
    PictureLook,
    look_at_mask,
    look_at_painted,
    look_at_picture,
)
from model.data.doctor.pairs import turn
from model.data.doctor.reading import Reading, read_encoding
from model.data.recognise import look_at_all
from model.errors import DataError


@dataclass
class Examination:
    """What was seen of a case.

    Attributes:
        case: the files.
        pictures, masks: the looks of those that can be read, by name.
        reading: how the masks become labels, None if they cannot.
        turned: pictures that EXIF rotates, and whose masks are not.
        superfluous: pictures to leave out so that no copy is in two parts.
        report: what was found.
    """

    case: Case
    pictures: dict[str, PictureLook] = field(default_factory=dict)
    masks: dict[str, MaskLook] = field(default_factory=dict)
    reading: Reading | None = None
    turned: set[str] = field(default_factory=set)
    superfluous: set[str] = field(default_factory=set)
    report: Report | None = None

    def labels(self, name: str) -> np.ndarray | None:
        """The labels of a pair, mended, uint8 (H, W); None if the mask cannot be read.

        Raises: `DataError`, `ImageError` if the files have changed since they were examined.
        """
        case, picture, mask = self.case, self.pictures[name], self.masks.get(name)
        if mask is None or self.reading is None or mask.kind not in self.reading.storages:
            return None
        if name in case.painters:
            return case.painters[name](*picture.size_wh[::-1])
        labels = self.reading.labels(case.masks[name], mask.kind)
        return turn(labels, picture.orientation) if name in self.turned else labels


def examine_case(case: Case) -> Examination:
    """Looks at all files of a case. Nothing that is wrong with them raises an error."""
    seen = Examination(case)
    findings = [*case.findings, *_look(seen), *_split(case)]
    both = {
        name: (seen.pictures[name], seen.masks[name])
        for name in case.pairs
        if name in seen.pictures and name in seen.masks
    }
    findings += pairs.sizes(case, both)
    seen.turned, found = pairs.rotation(case, both)
    findings += found
    seen.reading, found = read_encoding(case, seen.masks)
    findings += found
    counts = {}
    if seen.reading:
        counts = {
            name: seen.reading.counts(look)
            for name, look in seen.masks.items()
            if look.kind in seen.reading.storages
        }
    if counts:
        findings += balance.balance(case, seen.reading.classes, counts)
    split = {name: look for name, look in seen.pictures.items() if name in case.part_of}
    found = duplicates.copies_among(case.images, split, seen.labels, film=case.film)
    findings += duplicates.copies(case, split, found)
    seen.superfluous = duplicates.superfluous(case, found)
    seen.report = _report(seen, findings, counts)
    return seen


def _look(seen: Examination) -> Iterator[Finding]:
    case = seen.case
    names = sorted(case.images.keys() | case.masks.keys())
    problems: dict[str, dict[str, str]] = {"picture": {}, "mask": {}}

    def look(name: str):
        picture = look_at_picture(case.images[name]) if name in case.images else None
        if name in case.masks:
            return picture, look_at_mask(case.masks[name])
        if name in case.painters and isinstance(picture, PictureLook):
            return picture, look_at_painted(case.painters[name], picture.size_wh)
        return picture, None

    for name, found in zip(names, look_at_all(look, names, "examining"), strict=True):
        for thing, looks, look_or_problem in zip(
            problems, (seen.pictures, seen.masks), found, strict=True
        ):
            if isinstance(look_or_problem, str):
                problems[thing][name] = look_or_problem
            elif look_or_problem is not None:
                looks[name] = look_or_problem
    for thing, bad in problems.items():
        yield from pairs.unreadable(bad, thing, case)


def _split(case: Case) -> Iterator[Finding]:
    """Sets the parts of a folder's pictures, as training would split them."""
    if case.part_of or not case.pairs:
        return
    try:
        split, rule = own_split(case.pairs)
        case.fixed_parts = rule == OWN_PARTS
        case.part_of = {name: part for part, names in split.items() for name in names}
        splits.check(split)
    except DataError as error:
        yield Finding(
            code="split",
            severity="error",
            what=str(error),
            why=balance.PARTS_NEEDED,
            mend="Add pictures, or put them into other parts.",
        )


def _report(seen: Examination, findings: list[Finding], counts: dict) -> Report:
    case = seen.case
    report = Report(
        target=case.target,
        pictures=len(case.images),
        masks=len(case.masks) or len(case.painters),
        findings=sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)),
    )
    if seen.reading:
        report.encoding = seen.reading.words
    if counts:
        report.classes, report.void_share = balance.figures(seen.reading.classes, counts)
    return report
