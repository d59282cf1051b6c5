"""Pictures that are copies of each other.

*Exact* copies have the same pixels. *Near* copies are found in two steps:

- Scaled to 64 x 64 grey pixels and blurred over 3 x 3, the two differ by at most `MOST_DIFFERENCE`
  of 255 levels in every pixel, and correlate to at least `CORRELATION`. Each picture is compared
  with the `NEAREST` that resemble it most.
- At the size of the smaller one, up to `DETAIL_SIDE`, they differ nowhere by more than
  `MOST_LOCAL_DIFFERENCE`, again in grey and blurred over 3 x 3. Copies that were compressed again
  (JPEG quality 30) or resized (to a quarter) pass; pictures of one scene in which anything visible
  moved do not, nor do those of a fixed camera with a small object in other places.

What is faint could still be missed. So near copies are certain only if their masks agree as well,
and show more than one class; others are worth a look, no more. Pictures without contrast never
count. Copies of copies belong together.

In videos, neighbours may look alike because nothing moved. There, two pictures count as copies
only if some picture between them, in the order of names, looks different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from model.data.datasets import FileDataSet
from model.data.doctor.case import Case
from model.data.doctor.findings import Finding, Severity, counted
from model.data.doctor.look import FINGERPRINT, PictureLook, look_at_picture
from model.data.images import decode
from model.data.recognise import look_at_all
from model.errors import StudioError
from model.processor import available_cores

MOST_DIFFERENCE = 10
CORRELATION = 0.99
LEAST_CONTRAST = 2.0
COARSE = 8
"""Side of the blocks whose means are compared first."""

NEAREST = 8
DETAIL_SIDE = 512
MOST_LOCAL_DIFFERENCE = 32
DETAILS_KEPT = 1024
"""Pictures of `DETAIL_SIDE` that are kept in memory: 256 MiB."""

LEAST_OVERLAP = 0.8
"""Intersection over union of every class from which on two masks agree."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Copies:
    """Names of pictures that are copies of each other, in sorted groups of two or more.

    Attributes:
        certain: groups of exact copies, and of near copies whose masks agree.
        likely: the same with all near copies.
    """

    certain: list[list[str]]
    likely: list[list[str]]


def copies_among(
    images: Mapping[str, Path],
    looks: Mapping[str, PictureLook],
    labels: Callable[[str], np.ndarray | None],
    *,
    film: bool = False,
) -> Copies:
    """The copies among some pictures.

    Args:
        images: the files by name.
        looks: of those that can be read.
        labels: the labels of a picture, uint8 (H, W), None if they are not known; it may raise
            `StudioError`.
        film: neighbours in the order of names are frames of a video.
    """
    names = [n for n in sorted(looks) if looks[n].fingerprint.std() >= LEAST_CONTRAST]
    first: dict[bytes, str] = {}  # of the pictures with these pixels
    exact = [(first.setdefault(looks[name].content, name), name) for name in names]
    near = _near(images, looks, list(first.values()))
    labels_kept = lru_cache(NEAREST)(labels)
    verdicts = look_at_all(lambda pair: _masks_agree(*pair, labels_kept), near, "comparing")
    agreeing = [pair for pair, agree in zip(near, verdicts, strict=True) if agree]
    stretches = _stretches([looks[n].fingerprint for n in names]) if film else range(len(names))
    return Copies(
        _connected(names, exact + agreeing, stretches), _connected(names, exact + near, stretches)
    )


def copies_in(data: FileDataSet) -> Copies:
    """The copies in a data set. Pictures that cannot be read are none."""
    found = look_at_all(lambda name: look_at_picture(data.images[name]), data.images, "comparing")
    looks = {
        name: look
        for name, look in zip(data.images, found, strict=True)
        if isinstance(look, PictureLook)
    }
    return copies_among(data.images, looks, data.labels)


def copies(case: Case, looks: dict[str, PictureLook], found: Copies) -> Iterator[Finding]:
    """Copies in more than one part of the split, and copies within one."""

    def across(groups: list[list[str]]) -> list[list[str]]:
        return [g for g in groups if len({case.part_of[name] for name in g}) > 1]

    certain = across(found.certain)
    exact = [g for g in certain if _equal_across(case, looks, g)]
    if exact:
        yield _leak(case, exact, "as exact copies", "error" if case.own else "warning")
    near = [g for g in certain if g not in exact]
    # What is tested on decides: validation only chooses an epoch.
    tested = [g for g in near if case.own and "test" in {case.part_of[name] for name in g}]
    if tested:
        yield _leak(case, tested, "as near copies", "error")
    if others := [g for g in near if g not in tested]:
        yield _leak(case, others, "as near copies", "warning")
    alike = [name for g in across(found.likely) if g not in certain for name in g]
    if alike:
        yield Finding(
            code="copies",
            severity="warning",
            what=f"{len(alike)} pictures hardly differ from others in another part of the split, "
            "but their masks do, or show one class only.",
            why="A fixed camera makes such pictures. If they are copies, what was trained on is "
            "tested on.",
            mend="Look at them, and remove what is a copy; "
            f"`{case.fix}` leaves all of them in. With a video, put whole stretches into train/, "
            "val/ and test/."
            if case.own
            else "The published data set has them.",
            files=[f"{name} ({case.part_of[name]})" for name in alike],
        )
    within = [g for g in found.certain if g not in certain]
    if within and not case.film:
        yield Finding(
            code="copies",
            severity="note",
            what=f"{counted(len(within), 'picture occurs', 'pictures occur')} several times in one "
            "part.",
            why="They count several times, which is harmless unless the set is split again.",
            files=[" = ".join(group) for group in within],
        )


def superfluous(case: Case, found: Copies) -> set[str]:
    """Names to leave out so that no copy is in two parts: those of test stay, then validation's."""
    order = {"test": 0, "validation": 1}
    drop = set()
    for group in found.certain:
        first, *others = sorted(group, key=lambda name: order.get(case.part_of[name], 2))
        part = case.part_of[first]
        # Without fixed parts the copy may end up anywhere, as leaving pictures out moves others.
        drop |= {n for n in others if case.part_of[n] != part or not case.fixed_parts}
    return drop


def _leak(case: Case, groups: list[list[str]], how: str, severity: Severity) -> Finding:
    return Finding(
        code="copies",
        severity=severity,
        what=f"{counted(len(groups), 'picture occurs', 'pictures occur')} {how} in several parts "
        "of the split.",
        why="What was trained on is tested on: the figures come out too good.",
        mend=f"`{case.fix}` keeps one of each. With a video, put whole stretches into train/, val/ "
        "and test/; train --skip-check trains anyway."
        if case.own
        else "The published data set has them; say so beside results.",
        files=[" = ".join(f"{name} ({case.part_of[name]})" for name in group) for group in groups],
    )


def _equal_across(case: Case, looks: dict[str, PictureLook], group: list[str]) -> bool:
    parts: dict[bytes, set[str]] = {}
    for name in group:
        parts.setdefault(looks[name].content, set()).add(case.part_of[name])
    return any(len(found) > 1 for found in parts.values())


def _near(
    images: Mapping[str, Path], looks: Mapping[str, PictureLook], names: Sequence[str]
) -> list[Pair]:
    """The pairs of pictures that are near copies of each other."""
    from scipy.spatial import KDTree

    if len(names) < 2:
        return []
    prints = np.stack([looks[name].fingerprint for name in names]).astype(np.int16)
    side = FINGERPRINT // COARSE
    means = prints.reshape(-1, side, COARSE, side, COARSE).mean((2, 4), np.float32)
    means = means.reshape(len(names), -1)
    # Means differ by no more than pixels may; rounding adds a little.
    _, places = KDTree(means).query(
        means,
        NEAREST + 1,
        p=np.inf,
        distance_upper_bound=MOST_DIFFERENCE + 0.01,
        workers=available_cores(),
    )
    candidates = sorted(
        {
            (min(i, j), max(i, j))
            for i, found in enumerate(places.tolist())
            for j in found
            if i != j < len(names) and _alike(prints[i], prints[j])
        }
    )
    sizes = {name: looks[name].size_wh for name in names}

    @lru_cache(DETAILS_KEPT)
    def detail(name: str, size_wh: tuple[int, int]) -> np.ndarray:
        grey = Image.fromarray(decode(images[name])).convert("L")
        small = grey.resize(size_wh, Image.Resampling.LANCZOS)
        return np.asarray(small.filter(ImageFilter.BoxBlur(1)))

    def confirmed(pair: Pair) -> bool:
        width, height = np.minimum(*(sizes[name] for name in pair)).clip(max=DETAIL_SIDE).tolist()
        try:
            a, b = (detail(name, (width, height)).astype(np.int16) for name in pair)
        except StudioError:  # changed since it was looked at
            return False
        return bool(np.abs(a - b).max() <= MOST_LOCAL_DIFFERENCE)

    pairs = [(names[i], names[j]) for i, j in candidates]
    verdicts = look_at_all(confirmed, pairs, "comparing")
    return [pair for pair, same in zip(pairs, verdicts, strict=True) if same]


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two fingerprints, int16 (64, 64), may be of the same picture."""
    if np.abs(a - b).max() > MOST_DIFFERENCE:
        return False
    return np.corrcoef(a.ravel(), b.ravel())[0, 1] >= CORRELATION


def _stretches(prints: list[np.ndarray]) -> list[int]:
    """For each frame of a video, the number of the stretch it is in, through which all frames
    resemble those before them."""
    still = [_alike(a.astype(np.int16), b) for a, b in pairwise(prints)]
    return np.cumsum([0, *np.logical_not(still)]).tolist()


def _masks_agree(a: str, b: str, labels: Callable[[str], np.ndarray | None]) -> bool:
    """Whether the masks of two pictures show the same. With one class only, they show nothing."""
    try:
        first = labels(a)
        if first is None or first.min() == first.max():
            return False
        second = labels(b)
    except StudioError:
        return False
    if second is None:
        return False
    small, large = sorted((first, second), key=lambda mask: mask.size)
    large = np.asarray(Image.fromarray(large).resize(small.shape[::-1], Image.Resampling.NEAREST))
    # Pixels of each class of one that are of each class of the other.
    pixels = np.bincount(small.ravel().astype(np.intp) * 256 + large.ravel(), minlength=256**2)
    pixels = pixels.reshape(256, 256)
    both = pixels.diagonal()
    either = pixels.sum(0) + pixels.sum(1) - both
    return bool((both >= LEAST_OVERLAP * either).all())


def _connected(
    names: Sequence[str], pairs: Sequence[Pair], stretches: Sequence[int]
) -> list[list[str]]:
    """Groups of two or more names that pairs connect; of those in one stretch only the first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return []
    place = {name: number for number, name in enumerate(names)}
    ends = np.array([(place[a], place[b]) for a, b in pairs]).T
    graph = coo_array((np.ones(len(pairs), bool), tuple(ends)), shape=(len(names),) * 2)
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[int]] = {}
    for number, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(number)
    groups = []
    for group in members.values():
        group = [i for k, i in enumerate(group) if not k or stretches[group[k - 1]] != stretches[i]]
        if len(group) > 1:
            groups.append([names[i] for i in group])
    return groups
