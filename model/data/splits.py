"""Which picture belongs to training, validation and test: deterministic rules and a digest.

The rules: `contiguous` ranges of a video, `stratified` by a group such as the breed, `random`
by a hash with a seed, `grouped` by an assignment of whole groups such as tiles, and official
lists, of which `with_validation` takes a validation part out of the training part. Each
data set names its own. `k_folds` cuts training and validation into folds for
cross-validation and leaves the test part alone; `fewer` keeps some of the training part.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from model.errors import ConfigError, DataError

Split = dict[str, list[str]]
"""Names of samples under "train", "validation" and "test"."""

FoldRule = Literal["contiguous", "random", "group", "stratified"]

PARTS = ("train", "validation", "test")
FRACTIONS = (0.7, 0.15, 0.15)


def contiguous(names: Sequence[str], *, blocks: int, fractions=FRACTIONS) -> Split:
    """Contiguous ranges, for frames of a drive: neighbours look alike, so they stay together.

    The sorted names are cut into `blocks` equal stretches, and each stretch into a range
    for training, one for validation and one for test, so that each part of the drive is
    both learned from and tested on, while only frames at the few borders have a near-twin
    on the other side.
    """
    names = sorted(names)
    split: Split = {part: [] for part in PARTS}
    for block in range(blocks):
        start, end = (len(names) * i // blocks for i in (block, block + 1))
        _deal(split, names[start:end], fractions)
    return split


def stratified(names: Sequence[str], group_of: Callable[[str], str]) -> Split:
    """Each group (a breed, say) is spread over the three parts in the same proportions.

    Within a group the order is that of a hash of the name, so that adding a picture does not
    reshuffle the others. Groups too small to share stay in training.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(group_of(name), []).append(name)
    split: Split = {part: [] for part in PARTS}
    for group in sorted(groups):
        _deal(split, sorted(groups[group], key=_hash), FRACTIONS)
    return {part: sorted(members) for part, members in split.items()}


def random(
    names: Sequence[str],
    *,
    seed: int = 0,
    group_of: Callable[[str], str] = str,
    fractions=FRACTIONS,
) -> Split:
    """At random; names of one group (crops of one photograph, say) stay together.

    The order is that of a hash of seed and group: the same on every machine, and adding a
    picture moves others only across the borders of the parts.
    """
    groups = sorted({group_of(name) for name in names}, key=lambda g: _hash(f"{seed} {g}"))
    dealt: Split = {part: [] for part in PARTS}
    _deal(dealt, groups, fractions)
    part_of = {group: part for part, members in dealt.items() for group in members}
    return grouped(names, group_of, part_of)


def grouped(
    names: Sequence[str], group_of: Callable[[str], str], part_of: Mapping[str, str]
) -> Split:
    """Whole groups by assignment; groups that `part_of` does not name are for training."""
    split: Split = {part: [] for part in PARTS}
    for name in sorted(names):
        split[part_of.get(group_of(name), "train")].append(name)
    return split


def with_validation(train: Sequence[str], test: Sequence[str], *, blocks: int) -> Split:
    """A split from two official parts: 15 % of training, in contiguous ranges, become validation.

    The model is chosen by its validation scores, so the official second part must not be
    the validation part if it is what results are reported on.
    """
    split = contiguous(train, blocks=blocks, fractions=(0.85, 0.15, 0))
    return split | {"test": sorted(test)}


def k_folds(
    split: Split,
    count: int,
    *,
    rule: FoldRule = "random",
    group_of: Callable[[str], str] = str,
    seed: int = 0,
    together: Iterable[Sequence[str]] = (),
) -> list[Split]:
    """Cross-validation: `count` splits whose validation parts together are train + validation.

    The test part is the same in all of them, for the model that is trained at the end.

    Args:
        split: the split whose training and validation parts are pooled and split again.
        rule: how, by scikit-learn's splitters: "contiguous" `KFold`, "random" `KFold` with
            `seed`, "group" `GroupKFold`, "stratified" `StratifiedKFold` with `seed`.
        group_of: the group or the stratum of a name.
        together: names that must not come into different folds, such as copies of a picture: the
            first of them is dealt, the others follow it.

    Raises: `ConfigError` if there are fewer names or groups than folds.
    """
    from sklearn import model_selection

    pool = sorted(split["train"] + split["validation"])
    first = {name: name for name in pool}
    for copies in together:
        here = first.keys() & set(copies)
        first |= dict.fromkeys(here, min(here, default=""))
    dealt = sorted(set(first.values()))
    groups = [group_of(name) for name in dealt]
    available = len(set(groups)) if rule == "group" else len(dealt)
    if not 2 <= count <= available:
        unit = "groups" if rule == "group" else "pictures"
        raise ConfigError(
            f"--folds {count}: choose between 2 and {available}, the number of {unit} in the "
            "training and validation parts."
        )
    splitter = {
        "contiguous": lambda: model_selection.KFold(count),
        "random": lambda: model_selection.KFold(count, shuffle=True, random_state=seed),
        "group": lambda: model_selection.GroupKFold(count),
        "stratified": lambda: model_selection.StratifiedKFold(
            count, shuffle=True, random_state=seed
        ),
    }[rule]()
    with warnings.catch_warnings():
        # Strata smaller than the number of folds are spread as far as they go.
        warnings.filterwarnings("ignore", message="The least populated class")
        # The strata are scikit-learn's `y`; a splitter warns about arguments it does not use.
        folds = list(splitter.split(dealt, groups, groups if rule == "group" else None))
    held_out = [{dealt[i] for i in validation} for _, validation in folds]
    return [
        {
            "train": [name for name in pool if first[name] not in fold],
            "validation": [name for name in pool if first[name] in fold],
            "test": list(split["test"]),
        }
        for fold in held_out
    ]


def fewer(
    split: Split, count: int, *, seed: int = 0, group_of: Callable[[str], str] = str
) -> Split:
    """The split with `count` of its training names; validation and test stay as they are.

    They are drawn by seed, in equal shares of the groups or strata, and a smaller count's are a
    subset of a larger one's. The order is that of hashes: the same on every machine.

    Raises: `ConfigError` if there are fewer.
    """
    names = split["train"]
    if not 1 <= count <= len(names):
        raise ConfigError(
            f"{count} training pictures cannot be drawn: there are {len(names)} in the split."
        )
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: _hash(f"{seed} {name}")):
        groups.setdefault(group_of(name), []).append(name)
    # How much of its group is drawn before each name; among equals the hash decides.
    place = {
        name: ((rank + 0.5) / len(members), _hash(f"{seed} {name}"))
        for members in groups.values()
        for rank, name in enumerate(members)
    }
    return split | {"train": sorted(sorted(names, key=place.__getitem__)[:count])}


def digest(split: Split) -> str:
    """SHA-256 (first 16 hex digits) of the split; equal exactly if each part has the same names."""
    canonical = json.dumps({part: sorted(split[part]) for part in sorted(split)})
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def check(split: Split, group_of: Callable[[str], str] | None = None) -> Split:
    """Returns the split, after making sure that nothing leaks.

    Args: group_of: if given, no group may be in two parts either.

    Raises: `DataError` if a name or a group is in two parts, or a part is empty.
    """
    seen: dict[str, str] = {}
    groups: dict[str, str] = {}
    for part, names in split.items():
        if not names:
            raise DataError(f"The {part} part of the split is empty: too few pictures to split.")
        for name in names:
            if name in seen:
                raise DataError(f"{name} is in both {seen[name]} and {part}: the split leaks.")
            seen[name] = part
            if group_of and groups.setdefault(group_of(name), part) != part:
                raise DataError(
                    f"The group {group_of(name)} is in both {groups[group_of(name)]} and {part}: "
                    "the split leaks."
                )
    return split


def _deal(split: Split, names: Sequence[str], fractions) -> None:
    validation = round(len(names) * fractions[1])
    test = round(len(names) * fractions[2])
    train = len(names) - validation - test
    split["train"] += names[:train]
    split["validation"] += names[train : train + validation]
    split["test"] += names[train + validation :]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
