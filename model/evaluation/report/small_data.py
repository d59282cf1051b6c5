"""The small-data study: the same training on more and more pictures, and its results.

Two results on the same data and split make the comparison: from scratch, pretrained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from model.checkpoints.titles import title_of, told_apart
from model.evaluation.compare import Protocol
from model.evaluation.report.candidate import MODEL_COLOURS
from model.evaluation.studies import SmallDataResult, Trained
from model.words import in_percent


@dataclass(frozen=True)
class Point:
    """The runs of one network on one number of pictures.

    Attributes: model: in words; runs: by seed.
    """

    model: str
    pictures: int
    runs: tuple[Trained, ...]

    def spread(self, figure: str) -> tuple[float, float | None]:
        """Mean and standard deviation (n - 1; None for a single run), in [0, 1]."""
        values = self.values(figure)
        return fmean(values), stdev(values) if len(values) > 1 else None

    def values(self, figure: str) -> list[float]:
        """Of each run. Args: figure: "mean_dice", "mean_iou" or "accuracy"."""
        return [getattr(run, figure) for run in self.runs]


def on_the_same_split(
    studies: Mapping[str, SmallDataResult], protocol: Protocol
) -> dict[str, SmallDataResult]:
    """Those of the data and split that models were scored on."""
    key = (protocol.data, protocol.digest, protocol.split_digest)
    return {name: study for name, study in studies.items() if study.data.key == key}


def groups(studies: Mapping[str, SmallDataResult]) -> list[dict[str, SmallDataResult]]:
    """Those that can be compared together: of the same data and split."""
    by_key: dict[tuple[str, str, str], dict[str, SmallDataResult]] = defaultdict(dict)
    for name, study in studies.items():
        by_key[study.data.key][name] = study
    return [by_key[key] for key in sorted(by_key)]


def how_drawn(studies: Mapping[str, SmallDataResult]) -> str:
    """What the curve shows and was measured on, in sentences. Args: as for `points`."""
    data = next(iter(studies.values())).data
    return (
        "Each dot is a training run with its own pictures and random numbers, by seed; the line "
        "runs through their means; the band, where there are several, goes from the lowest to the "
        f"highest. {how_trained(studies)} Dice on the {data.split_sizes['test']} test "
        "pictures at their original resolution."
    )


def how_trained(studies: Mapping[str, SmallDataResult]) -> str:
    """The length of each training run and what it saw, in sentences. Args: as for `points`."""
    steps = _either(run.steps for study in studies.values() for run in study.runs)
    settings = [study.training for study in studies.values()]
    batch = _either(each.get("batch_size") for each in settings)
    crop = _either(each.get("crop") for each in settings)
    sides = {each.get("longest_side") for each in settings}
    scaled = f" of pictures scaled to {_either(sides)} on the longer side" if all(sides) else ""
    crops = f", with batches of {batch} crops of {crop} pixels{scaled}" if batch and crop else ""
    length = f"{steps} optimizer steps{crops}"
    return f"Each run took {length}, whatever the number of pictures."


def _either(values: Iterable[int | None]) -> str:
    """ "640", or "320 or 640" where they differ."""
    return " or ".join(f"{value:,}" for value in sorted({v for v in values if v is not None}))


def points(studies: Mapping[str, SmallDataResult]) -> list[Point]:
    """By network, those from scratch first, and number of pictures.

    Args: studies: by name; of the same data and split.
    """
    titles = told_apart({name: title_of(study.encoder) for name, study in studies.items()})
    found = []
    for name in sorted(studies, key=lambda n: (bool(studies[n].encoder.get("pretrained")), n)):
        by_count: dict[int, list[Trained]] = defaultdict(list)
        for run in studies[name].runs:
            by_count[run.pictures].append(run)
        found += [Point(titles[name], n, tuple(by_count[n])) for n in sorted(by_count)]
    return found


def colours(found: Iterable[Point], known: Mapping[str, str]) -> dict[str, str]:
    """A colour for each model of the points. Args: known: those that models have already."""
    names = dict.fromkeys(point.model for point in found)
    free = [colour for colour in MODEL_COLOURS if colour not in {known.get(n) for n in names}]
    # More lines than colours: they repeat, but legend and tooltips still name them.
    return {n: known.get(n) or (free or list(MODEL_COLOURS))[i % len(free or MODEL_COLOURS)]
            for i, n in enumerate(names)}  # fmt: skip


def in_words(found: Sequence[Point]) -> str:
    """What each network needs to reach the Dice that the other has with the fewest pictures."""
    lines: dict[str, list[Point]] = defaultdict(list)
    for point in found:
        lines[point.model].append(point)
    if len(lines) != 2:
        return ""

    def dice(point: Point) -> float:
        return point.spread("mean_dice")[0]

    better, worse = sorted(lines, key=lambda name: -dice(lines[name][0]))
    first = lines[better][0]
    if min(first.values("mean_dice")) <= max(lines[worse][0].values("mean_dice")):
        return (
            f"With {first.pictures} training pictures the runs of the two overlap: which network "
            "does better there depends on the pictures and the seed."
        )
    reached = next((p.pictures for p in lines[worse] if dice(p) >= dice(first)), None)
    needs = f"needs {reached}"
    if not reached:
        best = max(lines[worse], key=dice)
        needs = (
            f"does not reach with {lines[worse][-1].pictures} in as many steps: its best is "
            f"{in_percent(dice(best))} %, with {best.pictures}"
        )
    return (
        f"What {better} reaches with {first.pictures} training pictures, "
        f"{in_percent(dice(first))} % mean Dice, {worse} {needs}."
    )
