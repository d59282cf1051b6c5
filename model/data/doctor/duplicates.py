"""Pictures that are copies of each other, found by a perceptual hash.

The rule: two pictures are one if, scaled to 64 x 64 grey pixels and blurred over 3 x 3, they
differ by at most `MOST_DIFFERENCE` of 255 levels in every pixel, and correlate to at least
`CORRELATION`. Copies that were compressed again (JPEG quality 30) or resized (to a quarter) pass;
frames of a video in which anything visible moved do not. Pictures without contrast never count.

In videos, neighbours may look alike because nothing moved. There, two pictures count as copies
only if some picture between them, in the order of names, looks different.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from model.data.doctor.case import Case
from model.data.doctor.findings import Finding, counted
from model.data.doctor.look import PictureLook

MOST_DIFFERENCE = 10
CORRELATION = 0.99
LEAST_CONTRAST = 2.0
COARSE = 8
"""Side of the blocks whose means are compared first."""


def groups_of_copies(looks: dict[str, PictureLook], film: bool = False) -> list[list[str]]:
    """Names of pictures that are copies of each other, in groups of two or more."""
    names = [n for n in sorted(looks) if looks[n].fingerprint.std() >= LEAST_CONTRAST]
    if not names:
        return []
    prints = np.stack([looks[name].fingerprint for name in names]).astype(np.int16)
    side = prints.shape[1] // COARSE
    blocks = prints.reshape(len(names), side, COARSE, side, COARSE).mean((2, 4), np.float32)
    half = blocks.shape[1] // 2
    quarters = blocks.reshape(len(names), 2, half, 2, half).mean((2, 4)).reshape(len(names), 4)
    blocks = blocks.reshape(len(names), -1)
    firsts = np.empty(len(names), np.int64)  # the first picture of each group
    seen = 0
    members: dict[int, list[int]] = {}
    for number in range(len(names)):
        # Four numbers of each tell most pictures apart, 64 nearly all others.
        candidates = _close(quarters, firsts[:seen], number)
        for first in _close(blocks, candidates, number).tolist():
            if _same(prints[first], prints[number]):
                members[first].append(number)
                break
        else:
            firsts[seen] = number
            seen += 1
            members[number] = [number]
    groups = []
    for group in members.values():
        if film:
            group = [i for k, i in enumerate(group) if k == 0 or group[k - 1] != i - 1]
        if len(group) > 1:
            groups.append([names[i] for i in group])
    return groups


def copies(case: Case, looks: dict[str, PictureLook], groups: list[list[str]]) -> Iterator[Finding]:
    """Copies in more than one part of the split, and copies within one."""
    across = [g for g in groups if len({case.part_of[name] for name in g}) > 1]
    within = [g for g in groups if g not in across]
    exact = [g for g in across if _equal_across(case, looks, g)]
    if exact:
        yield _leak(case, exact, "as exact copies", "error" if case.own else "warning")
    likely = [g for g in across if g not in exact]
    # What is tested on decides: validation only chooses an epoch.
    tested = [g for g in likely if case.own and "test" in {case.part_of[name] for name in g}]
    if tested:
        yield _leak(case, tested, "as near copies", "error")
    if others := [g for g in likely if g not in tested]:
        yield _leak(case, others, "as near copies", "warning")
    if within and not case.film:
        yield Finding(
            code="copies",
            severity="note",
            what=f"{counted(len(within), 'picture occurs', 'pictures occur')} several times in one "
            "part.",
            why="They count several times, which is harmless unless the set is split again.",
            files=[" = ".join(group) for group in within],
        )


def superfluous(case: Case, groups: list[list[str]]) -> set[str]:
    """Names to leave out so that no copy is in two parts: those of test stay, then validation's."""
    order = {"test": 0, "validation": 1}
    drop = set()
    for group in groups:
        first, *others = sorted(group, key=lambda name: order.get(case.part_of[name], 2))
        part = case.part_of[first]
        # Without fixed parts the copy may end up anywhere, as leaving pictures out moves others.
        drop |= {n for n in others if case.part_of[n] != part or not case.fixed_parts}
    return drop


def _leak(case: Case, groups: list[list[str]], how: str, severity) -> Finding:
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


def _close(means: np.ndarray, candidates: np.ndarray, number: int) -> np.ndarray:
    """Those whose means all differ from the picture's by no more than pixels may differ."""
    differences = np.abs(means[candidates] - means[number]).max(1)
    return candidates[differences <= MOST_DIFFERENCE + 0.01]  # rounding


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if np.abs(a - b).max() > MOST_DIFFERENCE:
        return False
    return np.corrcoef(a.ravel(), b.ravel())[0, 1] >= CORRELATION
