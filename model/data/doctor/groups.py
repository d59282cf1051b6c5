"""The masks of a case by the kind of their files: what each kind holds, and how it is read.

A set should be of one kind. Where it is not, numbers in grey, palette and red-channel files
mean the same, as do colours in palette and RGB files; colours beside numbers can be read
only if `classes.yaml` gives the classes' colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from model.data.doctor.case import Case
from model.data.doctor.findings import Finding, counted, some
from model.data.doctor.look import COLOURED, MaskLook, channels
from model.data.doctor.noise import BETWEEN_SHARE, LEAST_SPAN, NEAR, Noise, Tally, diagnose
from model.data.masks import Storage, as_binary, pack_colour, show_colour
from model.data.recognise import MaskScan, MixedMasksError, storage_of

EXTREME = 8
"""Levels by which compression moves black and white, far more often intended than near-greys."""

PHOTOGRAPHS = 0.9
"""Share of pixels without a class's value above which the files are not masks at all."""

NUMBERS: tuple[Storage, ...] = ("index", "binary", "red")
"""Storages whose values are numbers."""


@dataclass
class Group:
    """The masks of one kind (see `MaskLook.kind`).

    Attributes:
        looks: of the masks, by name.
        tally: of all their values; those of palette masks by colour or by index.
        noise: what they hold besides their classes, if anything.
        meant: for each value that is a class, the value that it stands for: itself, or the
            one that compression moved.
        storage: how they are read; None if they cannot be.
    """

    looks: dict[str, MaskLook]
    tally: Tally
    noise: Noise | None = None
    meant: dict[int, int] = field(default_factory=dict)
    storage: Storage | None = None

    @property
    def kind(self) -> str:
        return next(iter(self.looks.values())).kind

    @property
    def lossy(self) -> bool:
        return self.kind.startswith("lossy")

    def scan(self) -> MaskScan:
        """The whole group as one mask without its noise."""
        kind = "rgb" if self.tally.colours else self.kind.removeprefix("lossy ")
        return MaskScan(kind, tuple(sorted(set(self.meant.values()))))

    def values(self) -> dict[int, int]:
        """For each value in `meant`, what it stands for as `storage` stores it."""
        return {raw: self._as_stored(value) for raw, value in self.meant.items()}

    def _as_stored(self, value: int) -> int:
        if self.storage == "red":
            return value >> 16 & 255
        if self.storage == "binary" and self.kind != "bit":
            return int(as_binary(np.array(value)))
        if self.storage == "colour" and not self.tally.colours:
            return value * (255 if self.kind == "bit" else 1) * 0x010101
        return value


def groups_of(case: Case, looks: dict[str, MaskLook]) -> list[Group]:
    """The masks by kind, lossless files first; `storage` is not set yet."""
    by_kind: dict[str, dict[str, MaskLook]] = {}
    for name, look in looks.items():
        by_kind.setdefault(look.kind, {})[name] = look
    groups: list[Group] = []
    for kind in sorted(by_kind, key=lambda kind: kind.startswith("lossy")):
        members = list(by_kind[kind].values())
        colours = kind in COLOURED or (kind == "palette" and _by_colour(case, by_kind))
        tally = Tally.of(members, colours)
        noise = _noise(case, groups, tally)
        if kind == "palette" and noise and not _stated(case):  # its indices are in no order
            tally = Tally.of(members, colours=True)
            noise = _noise(case, groups, tally)
        group = Group(by_kind[kind], tally, noise)
        group.meant = {value: value for value in tally.values.tolist()}
        if noise:
            _leave_noise_out(group, _known(case, groups, tally.colours))
        groups.append(group)
    return groups


def assign_storages(case: Case, groups: list[Group]) -> Iterator[Finding]:
    """Sets each group's `storage`, and says where they contradict each other or what is stated."""
    stated = _stated(case)
    usable = [group for group in groups if len(group.meant) > 0]
    mixed = False
    if stated:
        for group in usable:
            mixed |= not _set(group, stated)
    elif any(group.kind == "palette" and group.tally.colours for group in usable):
        mixed = not all(_set(group, "colour") and group.tally.colours for group in usable)
    elif usable:
        try:
            storage, _ = storage_of(
                [group.kind for group in usable], [g.scan() for g in usable], case.described
            )
        except MixedMasksError:
            mixed = True
            storage = "index"
        for group in usable:
            _set(group, storage)
    numbers = [group for group in usable if group.storage in NUMBERS]
    if mixed:
        _level_bits(numbers)
    coloured = [group for group in usable if group.storage == "colour"]
    if numbers and coloured and not _has_colours(case):
        fewer = min(numbers, coloured, key=lambda side: sum(len(group.looks) for group in side))
        for group in fewer:
            group.storage = None
    if mixed:
        yield _mixed(case, usable, stated)
    elif {"palette", "rgb"} <= {group.kind for group in usable}:
        yield Finding(
            code="mixed",
            severity="note",
            what=f"Palette and RGB files are mixed: {_how_many(usable)}.",
            why="All are read by their colours, so they agree. Programs that take a palette file's "
            "indices would not see the same classes in them.",
        )


def noise_findings(case: Case, groups: list[Group]) -> Iterator[Finding]:
    """Compressed and smoothed masks."""
    for group in groups:
        if group.noise:
            yield (
                _lossy(case, group) if group.noise.kind == "compressed" else _smoothed(case, group)
            )


def _stated(case: Case) -> Storage | None:
    return case.encoding.storage if case.encoding else case.described.encoding


def _noise(case: Case, groups: list[Group], tally: Tally) -> Noise | None:
    """What the masks hold besides their classes; outlines that are a named class do not count."""
    noise = diagnose(tally)
    if noise is None or noise.kind != "smoothed":
        return noise
    named = _known(case, groups, tally.colours)
    if not tally.colours and case.described.values is None:
        named |= set(range(len(case.described.classes)))
    strays = set(tally.values.tolist()) - set(noise.classes)
    return None if strays and strays <= named else noise


def _by_colour(case: Case, by_kind: dict[str, dict[str, MaskLook]]) -> bool:
    """Whether palette files are read by their colours."""
    if stated := _stated(case):
        return stated == "colour"
    looks = by_kind["palette"].values()
    pairs = {p for x in looks for p in zip(x.values.tolist(), x.colours.tolist(), strict=True)}
    ambiguous = len(pairs) > len({index for index, _ in pairs})
    return ambiguous or bool(by_kind.keys() & set(COLOURED))


def _known(case: Case, groups: list[Group], colours: bool) -> set[int]:
    """Values that the data set, `classes.yaml` or masks without noise name."""
    known = {v for g in groups if g.tally.colours == colours for v in g.meant.values()}
    described = case.described
    if case.encoding:
        storage, named = case.encoding.storage, list(case.encoding.values)
        if storage == "red" and colours:
            known |= {value << 16 for value in named}
        elif (storage == "colour") == colours:
            known |= {value * 255 for value in named} if storage == "binary" else set(named)
        return known
    stated = [*described.void, *(described.values or ())]
    if colours:
        stated += [entry.colour for entry in described.classes if entry.colour]
        return known | {pack_colour(value) for value in stated if isinstance(value, str)}
    return known | {value for value in stated if isinstance(value, int)}


def _leave_noise_out(group: Group, known: set[int]) -> None:
    """Keeps in `meant` only what stands for a class."""
    noise, tally = group.noise, group.tally
    span = np.ptp(channels(tally.values, tally.colours), axis=0).max()
    too_narrow = noise.kind == "compressed" and span < LEAST_SPAN
    if too_narrow or noise.stray_share > PHOTOGRAPHS:
        group.meant = {}
        return
    group.meant = {value: value for value in noise.classes}
    if noise.kind == "compressed":
        group.meant = {v: _nearest(v, known, tally.colours) for v in noise.classes}
    # A known class may be too thin to form areas, and compression may have moved its value.
    reach = NEAR if noise.kind == "compressed" else 0
    others = np.array(sorted(known - set(group.meant.values())), np.int64)
    away = np.abs(
        channels(others, tally.colours)[:, None] - channels(tally.values, tally.colours)[None]
    ).max(-1)
    thin = set(others[away.min(1, initial=NEAR + 1) <= reach].tolist())
    group.meant |= {value: value for value in thin}
    group.noise = replace(noise, classes=(*noise.classes, *sorted(thin)))


def _nearest(value: int, known: set[int], colours: bool) -> int:
    """The known value that compression turned into this one; else black or white if close to it."""
    if known:
        candidates = np.array(sorted(known))
        away = np.abs(channels(candidates, colours) - channels(np.array([value]), colours)).max(-1)
        if away.min() <= NEAR:
            return int(candidates[away.argmin()])
    levels = channels(np.array([value]), colours)[0].tolist()
    levels = [0 if v <= EXTREME else 255 if v >= 255 - EXTREME else v for v in levels]
    return levels[0] << 16 | levels[1] << 8 | levels[2] if colours else levels[0]


def _set(group: Group, storage: Storage) -> bool:
    """Gives the group that storage, or the closest one. Returns: whether it was possible."""
    if storage == "colour" or group.tally.colours == (storage == "red"):
        group.storage = storage
        return True
    if not group.tally.colours:
        group.storage = "index"
        return False
    red, green, blue = channels(np.array(list(group.meant.values())), True).T
    plain = not green.any() and not blue.any()
    plain |= (red == green).all() and (green == blue).all()
    group.storage = "red" if plain else "colour"
    return False


def _level_bits(groups: list[Group]) -> None:
    """The 1 of one-bit masks beside others of 0 and 255 stands for 255."""
    others = {v for group in groups if group.kind != "bit" for v in group.values().values()}
    if others == {0, 255}:
        for group in groups:
            if group.kind == "bit":
                group.meant = {value: 255 * value for value in group.meant}


def _has_colours(case: Case) -> bool:
    return bool(case.described.classes) and all(e.colour for e in case.described.classes)


def _mixed(case: Case, groups: list[Group], stated: Storage | None) -> Finding:
    lost = [name for group in groups if not group.storage for name in group.looks]
    what = f"The masks are of different kinds: {_how_many(groups)}."
    if stated:
        what = f"The masks should be stored as '{stated}', but there are {_how_many(groups)}."
    mend = f"`{case.fix}` writes all as class ids."
    if lost:
        mend = (
            "State the classes with their colours in classes.yaml, or export all masks the same "
            "way; "
            f"`{case.fix}` leaves {counted(len(lost), 'of them', 'of them')} out."
        )
    fewest = min(groups, key=lambda group: len(group.looks))
    return Finding(
        code="mixed",
        severity="error",
        what=what,
        why="Grey values and colours are read in different ways; training stops with an error.",
        mend=mend,
        files=lost or list(fewest.looks),
    )


def _lossy(case: Case, group: Group) -> Finding:
    noise, tally = group.noise, group.tally
    number = len(group.looks)
    if noise.stray_share > PHOTOGRAPHS:
        return Finding(
            code="not-masks",
            severity="error",
            what=f"{counted(number, 'file has', 'files have')} {len(tally.values)} values "
            "and hardly any areas: these are photographs or maps of another kind, not masks.",
            why="A mask has one value or colour for each class.",
            mend="Replace them with the masks.",
            files=list(group.looks),
        )
    what = f"{counted(number, 'mask has', 'masks have')} lossy compression"
    what += f" ({some(sorted({look.stored for look in group.looks.values()}))})" * group.lossy
    what += (
        f": {len(tally.values)} different values, {len(noise.near)} of which form areas; "
        f"{100 * noise.stray_share:.2f} % of the pixels have another. Near-colours: "
        + ", ".join(
            f"{show(value, tally.colours)} has {near}"
            for value, near in list(zip(noise.classes, noise.near, strict=False))[:8]
        )
        + "."
    )
    mend = f"`{case.fix}` gives every pixel the closest class. Better: export them again as PNG."
    if not case.described.classes:
        mend += (
            f" If a class of small regions is missing from these {len(noise.near)}, name all "
            "classes with their colours in classes.yaml first, or its pixels go to others."
        )
    if not group.meant:
        mend = (
            "Export them again as PNG: the values lie so close together that what compression did "
            "cannot be undone."
        )
    classes = noise.classes
    return Finding(
        code="lossy" if group.lossy else "near-values",
        severity="error",
        what=what,
        why="Compression changes values near edges, as does resizing with bicubic or Lanczos "
        "filters; read exactly, each of these would be a class.",
        mend=mend,
        files=[
            name
            for name, look in group.looks.items()
            if group.lossy or not np.isin(_own_values(group, look), classes).all()
        ],
    )


def _smoothed(case: Case, group: Group) -> Finding:
    noise, tally = group.noise, group.tally
    share = 100 * tally.between / max(1, tally.edge)
    what = f"The masks have smoothed edges: {share:.0f} % of the edge pixels have a value between "
    what += "those of their neighbours"
    if noise.strays:
        what += (
            f"; {noise.strays} of {len(tally.values)} values occur only there, in "
            f"{100 * noise.stray_share:.2f} % of the pixels"
        )
    return Finding(
        code="smoothed",
        severity="error" if noise.strays else "warning",
        what=what + ".",
        why="Masks were drawn with antialiasing or resized with interpolation: along each edge "
        "runs a line of values that are not a class, or are the wrong one.",
        mend=f"`{case.fix}` gives these pixels a neighbour's class. Better: export or resize them "
        "again without smoothing (nearest neighbour). If outlines are a class of their own, name "
        "all classes in classes.yaml.",
        files=[
            name
            for name, look in group.looks.items()
            if look.between >= BETWEEN_SHARE * max(1, look.edge)
        ],
    )


def _own_values(group: Group, look: MaskLook) -> np.ndarray:
    by_colour = group.tally.colours and look.colours is not None
    return look.colours if by_colour else look.values


def _how_many(groups: list[Group]) -> str:
    return " and ".join(f"{len(group.looks)} {group.kind}" for group in groups)


def show(value: int, colours: bool) -> str:
    """A stored value for people."""
    return show_colour(value) if colours else str(value)
