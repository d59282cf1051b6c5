"""The figures of a comparison as tables: shown on the page and in the report, kept as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.evaluation.boundary import DISTANCE
from model.evaluation.calibration import BINS
from model.evaluation.cost import Cost
from model.evaluation.objects import SIZE_TEXTS, SIZES, recall
from model.evaluation.report.candidate import Candidate, leader_first
from model.evaluation.report.learning import learning
from model.evaluation.report.prices import price_table
from model.evaluation.report.table import Cell, Column, Table, known
from model.evaluation.report.verdict import Verdict
from model.evaluation.report.words import FIGURE_TITLES, SCORE_TITLES
from model.words import CLASS_FIGURES


def all_tables(
    models: Sequence[Candidate], verdict: Verdict, costs: Mapping[str, Cost]
) -> list[Table]:
    """Everything that the models have figures for; empty tables are left out.

    Args: costs: what was measured on this machine, by checkpoint name.
    """
    if verdict.refused:
        return [table for table in (price_table(models, costs),) if table.rows]
    tables = [
        verdict_table(verdict),
        score_table(models),
        class_table(models, verdict),
        *confusion_tables(models),
        boundary_table(models),
        object_table(models),
        calibration_table(models),
        learning_table(models),
        history_table(models),
        price_table(models, costs),
        picture_table(models),
    ]
    return [table for table in tables if table.rows]


def verdict_table(verdict: Verdict) -> Table:
    """Each score of the leader against each other model."""
    rows: list[list[Cell]] = []
    for pair in verdict.pairs:
        for difference in pair.comparison.differences.values() if pair.comparison else ():
            rows.append(
                [
                    SCORE_TITLES[difference.score],
                    pair.leader,
                    pair.other,
                    difference.first,
                    difference.second,
                    difference.gap,
                    difference.low,
                    difference.high,
                    difference.p,
                    difference.sureness.value,
                ]
            )
    pooled = all(pair.comparison.pooled for pair in verdict.pairs if pair.comparison)
    how = (
        "Scores are pooled over all pixels."
        if pooled
        else "Scores are means over pictures: the checkpoints kept no counts to pool."
    )
    return Table(
        "verdict",
        "How sure is this?",
        [
            Column("Score"),
            Column("Ahead in mean IoU"),
            Column("Against"),
            Column("Ahead", "share"),
            Column("Other", "share"),
            Column("Difference", "points"),
            Column("From", "points"),
            Column("To", "points"),
            Column("p", "p"),
            Column("Clear"),
        ],
        rows,
        f"{how} From and To are the ends of the 95 % interval of a paired bootstrap over "
        "pictures; p is from a paired permutation test, two-sided, adjusted by Holm's method if "
        "there are several models. Clear: the interval excludes 0 and p is at most 0.05; "
        "probably: one of the two.",
    )


def score_table(models: Sequence[Candidate]) -> Table:
    """The headline figures of each model."""
    return Table(
        "scores",
        "Scores",
        [
            Column("Model"),
            *(Column(title, "share") for title in SCORE_TITLES.values()),
            Column("Calibration error", "share"),
            Column("Pictures", "count"),
        ],
        [
            [
                model.title,
                known(model.metrics.mean_iou),
                known(model.metrics.mean_dice),
                known(model.metrics.accuracy),
                known(scored.boundary and scored.boundary.mean_iou),
                known(scored.objects and recall(scored.objects.counts.sum(1))),
                known(scored.calibration and scored.calibration.ece),
                scored.protocol.pictures,
            ]
            for model in models
            if (scored := model.scored)
        ],
    )


def class_table(models: Sequence[Candidate], verdict: Verdict) -> Table:
    """Every figure of every class, and the differences of the leader to the others."""
    ordered = [model for model in models if model.scored]
    if not ordered:
        return Table("classes", "Classes", [])
    leader, *others = leader_first(models)
    names = leader.checkpoint.classes.names
    support = leader.metrics.support
    columns = [Column("Class"), Column("Share of pixels", "share")]
    values: list[np.ndarray] = []
    for figure in CLASS_FIGURES:
        for model in ordered:
            columns.append(Column(f"{FIGURE_TITLES[figure]}, {model.title}", "share"))
            values.append(getattr(model.metrics, figure))
        for other in others:
            columns.append(
                Column(
                    f"{FIGURE_TITLES[figure]}, {leader.title} less {other.title}",
                    "points",
                )
            )
            values.append(getattr(leader.metrics, figure) - getattr(other.metrics, figure))
            ends = class_interval(verdict, other.title, figure)
            if ends is not None:
                columns += [Column("From", "points"), Column("To", "points")]
                values += list(ends)
    return Table(
        "classes",
        "Classes",
        columns,
        [
            [names[i], support[i] / support.sum(), *(known(column[i]) for column in values)]
            for i in np.argsort(-support, kind="stable")
        ],
        "From and To are the ends of the difference's 95 % interval. No figure: the class occurs "
        "neither in truth nor in prediction.",
    )


def class_interval(verdict: Verdict, other: str, figure: str) -> np.ndarray | None:
    """Ends of the leader's difference to another model, float64 (2, C), if it was pooled."""
    for pair in verdict.pairs:
        if pair.other == other and pair.comparison:
            return pair.comparison.class_intervals.get(figure)
    return None


def confusion_tables(models: Sequence[Candidate]) -> list[Table]:
    """One per model: pixels by truth (rows) and prediction (columns)."""
    return [
        Table(
            confusion_key(model),
            f"Confusion matrix of {model.title}",
            [
                Column("Truth"),
                *(Column(name, "count") for name in model.checkpoint.classes.names),
            ],
            [
                [name, *map(int, row)]
                for name, row in zip(
                    model.checkpoint.classes.names, model.metrics.matrix, strict=True
                )
            ],
            "Pixels; rows are truth, columns prediction; void left out.",
        )
        for model in models
        if model.scored
    ]


def boundary_table(models: Sequence[Candidate]) -> Table:
    """Boundary IoU per class."""
    having = [model for model in models if model.scored and model.scored.boundary]
    names = having[0].checkpoint.classes.names if having else []
    columns = {model.title: model.scored.boundary.iou for model in having}
    return Table(
        "boundaries",
        "Boundary IoU",
        [Column("Class"), *(Column(title, "share") for title in columns)],
        [
            [name, *(known(column[i]) for column in columns.values())]
            for i, name in enumerate(names)
            if any(not np.isnan(column[i]) for column in columns.values())
        ],
        f"IoU within {100 * DISTANCE:g} % of the diagonal from the contours between classes (Cheng "
        "et al., 2021; the picture's own border is not a contour).",
    )


def object_table(models: Sequence[Candidate]) -> Table:
    """Recall of objects by size, over all classes."""
    having = [model for model in models if model.scored and model.scored.objects]
    if not having:
        return Table("objects", "Objects found, by size", [])
    every = having[0].scored.objects.counts[1].sum(0)
    return Table(
        "objects",
        "Objects found, by size",
        [
            Column("Size"),
            Column("Area, pixels"),
            Column("Objects", "count"),
            *(Column(model.title, "share") for model in having),
        ],
        [
            [
                size,
                SIZE_TEXTS[i],
                int(every[i]),
                *(known(model.scored.objects.by_size[i]) for model in having),
            ]
            for i, size in enumerate(SIZES)
            if every[i]
        ],
        "Objects are connected regions of the truth; found: at least half of the pixels are "
        "predicted as the object's class.",
    )


def calibration_table(models: Sequence[Candidate]) -> Table:
    """The reliability curves."""
    having = [model for model in models if model.scored and model.scored.calibration]
    columns = [Column("Confidence from", "number"), Column("to", "number")]
    for model in having:
        columns += [
            Column(f"{model.title}: pixels", "count"),
            Column(f"{model.title}: confidence", "share"),
            Column(f"{model.title}: accuracy", "share"),
        ]
    rows: list[list[Cell]] = []
    for i in range(BINS) if having else ():
        row: list[Cell] = [i / BINS, (i + 1) / BINS]
        for model in having:
            curve = model.scored.calibration
            row += [int(curve.pixels[i]), known(curve.confidence[i]), known(curve.accuracy[i])]
        rows.append(row)
    return Table(
        "calibration",
        "Confidence against accuracy",
        columns,
        rows,
        f"Pixels in {BINS} bins of confidence, the upper end included; the calibration error is "
        "their mean distance between confidence and accuracy (Guo et al., 2017).",
    )


def learning_table(models: Sequence[Candidate]) -> Table:
    """Best epochs, overfitting, and which model reaches which, and when."""
    found = learning(models)
    columns = [
        Column("Model"),
        Column("Epochs", "count"),
        Column("Minutes", "minutes"),
        Column("Kept epoch", "count"),
        Column("Validation IoU then", "share"),
        Column("Training less validation then", "points"),
    ]
    for one in found:
        columns += [
            Column(f"Epochs to the level of {one.title}", "count"),
            Column("Minutes to it", "minutes"),
        ]
    rows: list[list[Cell]] = []
    for one in found:
        row: list[Cell] = [
            one.title,
            one.epochs,
            one.minutes,
            one.kept and int(one.kept.number),
            one.kept_iou,
            one.gap,
        ]
        for other in found:
            reach = one.reached.get(other.title)
            row += [int(reach.epoch), reach.minutes] if reach else [None, None]
        rows.append(row)
    return Table(
        "learning",
        "Learning in figures",
        columns if len(found) > 1 else columns[:6],
        rows if len(found) > 1 else [row[:6] for row in rows],
        "At the network's resolution, averaged as each epoch went by; training pictures are "
        "augmented. Minutes of wall time on the machine that trained. No figure: never reached.",
    )


def history_table(models: Sequence[Candidate]) -> Table:
    """The curves, one row per model and epoch."""
    histories = {model.title: model.checkpoint.history() for model in models}
    names = list(dict.fromkeys(n for rows in histories.values() for row in rows for n in row))
    return Table(
        "history",
        "Learning curves",
        [Column("Model"), *(Column(name, "number") for name in names)],
        [
            [title, *(known(row.get(name)) for name in names)]
            for title, rows in histories.items()
            for row in rows
        ],
    )


def picture_table(
    models: Sequence[Candidate], disagreement: Mapping[str, float] | None = None
) -> Table:
    """The split's pictures with each model's mean IoU, and the first two models' difference.

    Args: disagreement: by name the share of pixels on which the models differ, where known.
    """
    having = [model for model in models if model.scored and len(model.scored.pictures)]
    scores = [
        dict(zip(m.scored.pictures.names, m.scored.pictures.scores["mean_iou"], strict=True))
        for m in having
    ]
    names = sorted(set().union(*scores)) if scores else []
    columns = [Column("Picture"), *(Column(model.title, "share") for model in having)]
    if len(having) > 1:
        columns.append(Column("Difference", "points"))
    if disagreement:
        columns.append(Column("Disagreement", "share"))
    rows: list[list[Cell]] = []
    for name in names:
        values = [known(score.get(name)) for score in scores]
        row: list[Cell] = [name, *values]
        if len(having) > 1:
            row.append(None if None in values[:2] else values[0] - values[1])
        if disagreement:
            row.append(disagreement.get(name))
        rows.append(row)
    first_two = f"{having[0].title} less {having[1].title}" if len(having) > 1 else ""
    return Table(
        "pictures",
        "Pictures",
        columns,
        rows,
        "Mean IoU over the classes of each picture itself."
        + (f" Differences are {first_two}." if first_two else ""),
    )


def confusion_key(model: Candidate) -> str:
    """The key of a model's confusion table; names may be paths, keys are names of files."""
    return "confusion-" + "".join(c if c.isalnum() or c in "-_" else "-" for c in model.name)
