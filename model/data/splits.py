"""Which picture belongs to training, validation and test: deterministic rules and a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from model.errors import DataError

Split = dict[str, list[str]]
"""Names of samples under "train", "validation" and "test"."""

FRACTIONS = (0.7, 0.15, 0.15)


def contiguous(names: Sequence[str], *, blocks: int, fractions=FRACTIONS) -> Split:
    """Contiguous ranges, for frames of a drive: neighbours look alike, so they stay together.

    The sorted names are cut into `blocks` equal stretches, and each stretch into a range
    for training, one for validation and one for test, so that each part of the drive is
    both learned from and tested on, while only frames at the few borders have a near-twin
    on the other side.
    """
    names = sorted(names)
    split: Split = {"train": [], "validation": [], "test": []}
    for block in range(blocks):
        start, end = (len(names) * i // blocks for i in (block, block + 1))
        _deal(split, names[start:end], fractions)
    return split


def stratified(
    names: Sequence[str], group_of: Callable[[str], str], *, fractions=FRACTIONS
) -> Split:
    """Each group (a breed, say) is spread over the three parts in the same proportions.

    Within a group the order is that of a hash of the name, so that adding a picture moves
    no other one by chance. Groups too small to share stay in training.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(group_of(name), []).append(name)
    split: Split = {"train": [], "validation": [], "test": []}
    for group in sorted(groups):
        _deal(split, sorted(groups[group], key=_hash), fractions)
    return {part: sorted(members) for part, members in split.items()}


def digest(split: Split) -> str:
    """SHA-256 (first 16 hex digits) of the split; equal exactly if each part has the same names."""
    canonical = json.dumps({part: sorted(split[part]) for part in sorted(split)})
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def check(split: Split) -> Split:
    """Returns the split. Raises `DataError` if a name is in two parts or a part is empty."""
    seen: dict[str, str] = {}
    for part, names in split.items():
        if not names:
            raise DataError(f"The {part} part of the split is empty: too few pictures to split.")
        for name in names:
            if name in seen:
                raise DataError(f"{name} is in both {seen[name]} and {part}: the split leaks.")
            seen[name] = part
    return split


def _deal(split: Split, names: Sequence[str], fractions) -> None:
    validation = round(len(names) * fractions[1])
    test = round(len(names) * fractions[2])
    train = len(names) - validation - test
    split["train"] += names[:train]
    split["validation"] += names[train : train + validation]
    split["test"] += names[train + validation :]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
