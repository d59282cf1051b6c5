"""Masks that hold more than their classes: through lossy compression, or smoothed edges.

It is measured over all masks of a set that are stored in the same way:

- *Smoothed*: at least 12 % of the pixels at edges have a value between those of their two
  neighbours. Masks as drawn have under 2 %, resized ones 25 to 85 %.
- *Compressed*: of such masks, at least 30 % of the pixels at edges also have a value above or below
  those of both neighbours, which averaging does not produce (JPEG: 37 to 69 %; bicubic and Lanczos
  filters overshoot similarly). Or the files are JPEG or the like. Or at least half of all values
  form no areas (under 2 % of their pixels have four equal neighbours), and there are too many
  values for classes, or these lie close to two others that are 20 times as frequent.

The values that are classes are then those that form areas, and in compressed masks are no closer
to a more frequent one than `NEAR`. `snap` gives all other pixels one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.data.doctor.look import MaskLook, channels, ramps
from model.data.recognise import MOST_VALUES

BETWEEN_SHARE = 0.12
BEYOND_SHARE = 0.3
FEWEST_EDGES = 64
"""With fewer edge pixels, nothing is said about smoothing."""

INNER_SHARE = 0.02
LEAST_SPAN = 64
"""Values that all lie closer together cannot be told apart after lossy compression."""

NEAR = 24
"""Levels (of 255, in the channel that differs most) by which compression moves a value."""

RARER = 20
SMALLEST_CLASS = 1e-4
"""Share of the inner pixels of a set below which a value in compressed masks is not a class."""

REACH = 5
"""Side, in pixels, of the window whose classes an uncertain pixel chooses from."""


@dataclass(frozen=True)
class Tally:
    """All values of some masks: int64 (N,) arrays as in `MaskLook`, of the whole set."""

    values: np.ndarray
    counts: np.ndarray
    inner: np.ndarray
    edge: int
    between: int
    beyond: int
    lossy: bool
    colours: bool

    @classmethod
    def of(cls, looks: Sequence[MaskLook], colours: bool = False) -> Tally:
        """Adds up looks of one kind; with `colours`, palette masks count by their colours."""
        every = [
            look.colours if colours and look.colours is not None else look.values for look in looks
        ]
        values, place = np.unique(np.concatenate(every), return_inverse=True)
        sums = [
            np.bincount(place, np.concatenate([getattr(look, name) for look in looks]))
            for name in ("counts", "inner")
        ]
        return cls(
            values,
            *(total.astype(np.int64) for total in sums),
            sum(look.edge for look in looks),
            sum(look.between for look in looks),
            sum(look.beyond for look in looks),
            looks[0].kind.startswith("lossy"),
            colours,
        )


@dataclass(frozen=True)
class Noise:
    """What a set of masks holds besides its classes.

    Attributes:
        kind: see the module's docstring.
        colours: the values are colours.
        classes: the values that are classes, by frequency.
        strays: how many values are not.
        stray_share: the share of all pixels that have such a value.
        near: for each of `classes`, how many of the strays are closest to it.
    """

    kind: Literal["compressed", "smoothed"]
    colours: bool
    classes: tuple[int, ...]
    strays: int
    stray_share: float
    near: tuple[int, ...]


def diagnose(tally: Tally) -> Noise | None:
    """The noise in some masks, or None if every value stands for itself."""
    smoothed = tally.edge >= FEWEST_EDGES and tally.between >= BETWEEN_SHARE * tally.edge
    if not tally.lossy and not smoothed and not _many_strays(tally):
        return None
    ringing = tally.beyond >= BEYOND_SHARE * tally.edge
    kind = "smoothed" if smoothed and not tally.lossy and not ringing else "compressed"
    classes = _areas(tally) if kind == "smoothed" else _peaks(tally)
    places = np.searchsorted(tally.values, classes)
    stray = np.ones(len(tally.values), bool)
    stray[places] = False
    near = np.zeros(len(classes), np.int64)
    if stray.any() and len(classes):
        near += np.bincount(
            _distances(tally.values[stray], classes, tally.colours).argmin(1),
            minlength=len(classes),
        )
    return Noise(
        kind,
        tally.colours,
        tuple(int(value) for value in classes),
        int(stray.sum()),
        float(tally.counts[stray].sum() / max(1, tally.counts.sum())),
        tuple(near.tolist()),
    )


def snap(values: np.ndarray, noise: Noise) -> np.ndarray:
    """Gives every pixel one of the classes' values.

    Pixels that are certain keep theirs: in smoothed masks those that have a class's value and are
    not between two others, in compressed ones those near a class's value. Others get, of the
    classes that are certain within a few pixels, the one whose value is closest; where there
    is none, that of the closest certain pixel.

    Args: values: stored values, int32 (H, W).

    Returns: int32 (H, W).
    """
    from scipy import ndimage

    classes = np.array(noise.classes, np.int32)
    distinct, place = np.unique(values, return_inverse=True)
    place = place.reshape(values.shape)
    distance, near = closeness(distinct, noise)
    closest, certain = distance.argmin(1)[place], near[place]
    if noise.kind == "smoothed":
        certain &= ~ramps(values, noise.colours)[0]
    if certain.all() or not certain.any():
        return classes[closest]
    rows, columns = np.nonzero(~certain)
    cost = distance[place[rows, columns]].astype(np.float64)
    for number in range(len(classes)):
        here = certain & (closest == number)
        reached = ndimage.maximum_filter(here, size=REACH)[rows, columns]
        cost[~reached, number] = np.inf
    chosen = cost.argmin(1)
    lost = np.isinf(cost.min(1))
    if lost.any():
        nearest = ndimage.distance_transform_edt(
            ~certain, return_distances=False, return_indices=True
        )
        chosen[lost] = closest[tuple(nearest[:, rows[lost], columns[lost]])]
    closest[rows, columns] = chosen
    return classes[closest]


def closeness(values: np.ndarray, noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """How far values are from the classes', int32 (N, M), and which are close enough to be certain
    of their class, bool (N,).

    Args: values: stored values, int (N,).
    """
    distance = _distances(values, noise.classes, noise.colours)
    return distance, distance.min(1) <= (0 if noise.kind == "smoothed" else NEAR)


def _many_strays(tally: Tally) -> bool:
    thin = tally.inner < INNER_SHARE * tally.counts
    if thin.sum() < 2 or 2 * thin.sum() < len(thin):
        return False
    if len(tally.values) > MOST_VALUES:
        return True
    if _narrow(tally):
        return False
    distance = _distances(tally.values[thin], tally.values, tally.colours)
    much_rarer = RARER * tally.counts[thin][:, None] <= tally.counts
    near = np.where((distance <= NEAR) & much_rarer, distance, NEAR + 1)
    is_near = near.min(1) <= NEAR
    # Rare class ids are all close to the same frequent one.
    hosts = np.unique(near.argmin(1)[is_near])
    return len(hosts) >= 2 and 2 * is_near.sum() >= len(thin)


def _narrow(tally: Tally) -> bool:
    """Whether the values are class ids, which are close to each other without any noise."""
    return not tally.colours and np.ptp(tally.values) < LEAST_SPAN


def _areas(tally: Tally) -> np.ndarray:
    """The values that form areas, by frequency."""
    found = tally.inner >= np.maximum(1, INNER_SHARE * tally.counts)
    order = np.argsort(-tally.inner, kind="stable")
    return tally.values[order[found[order]]]


def _peaks(tally: Tally) -> np.ndarray:
    """The values that form areas and are not close to a more frequent one, by frequency."""
    total = tally.inner.sum()
    peaks: list[int] = []
    for i in np.argsort(-tally.inner, kind="stable"):
        if tally.inner[i] <= SMALLEST_CLASS * total or len(peaks) > MOST_VALUES:
            break
        value = tally.values[i : i + 1]
        if not peaks or _distances(value, np.array(peaks), tally.colours).min() > NEAR:
            peaks.append(int(value[0]))
    return np.array(peaks, np.int64)


def _distances(values: np.ndarray, others: Sequence[int] | np.ndarray, colours: bool) -> np.ndarray:
    """Between all values and all others, int32 (N, M): in the channel that differs most."""
    a, b = channels(values, colours), channels(np.asarray(others), colours)
    return np.abs(a[:, None] - b[None]).max(-1)
