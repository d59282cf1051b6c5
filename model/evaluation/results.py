"""The figures of the bundled checkpoints as Markdown: generated, never typed.

`markdown_table` is the README's table, `document` the whole of docs/results.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model.checkpoints.card import parts_in_words
from model.checkpoints.data_notes import DATA_NOTES
from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import data_key
from model.evaluation import study_sections
from model.evaluation.compare import Sureness, pictures_seen, recorded, unlike
from model.evaluation.goals import GOALS
from model.evaluation.published import PUBLISHED
from model.evaluation.report.candidate import Candidate, candidates, leader_first
from model.evaluation.report.verdict import Verdict, judge
from model.evaluation.report.words import NOTHING, points, probability
from model.evaluation.studies import Study
from model.inference.engines.precision import MOST_POINTS
from model.markdown import table
from model.words import FIGURES, in_percent, with_interval

GOALS_INTRODUCTION = """\
What this project set out to reach, in per cent on the test part, and what the best checkpoint of
that start reaches: "scratch" from random weights, "pretrained" on a pretrained encoder."""

INTRODUCTION = """\
# Results

Written by `python -m model results --output docs/results.md` from the `metrics.json` of each
checkpoint; only the goals, with what was tried for them, and others' figures are written by hand.
Every figure is in per cent, from one confusion matrix over all pictures of a part at their original
resolution, void pixels left out. F1 is another name for Dice. In parentheses: the 95 % bootstrap
interval over pictures, or blocks of neighbouring frames, which says how the figure would change
with other pictures, not with another training run.

Mean IoU and mean Dice are over the classes that occur in truth or prediction: one that is predicted
but never occurs counts as 0. Mean precision is over the classes that are predicted, mean recall
over the classes that occur in the truth; a network that never predicts its weakest classes has a
higher precision as a result. Others may compute their means differently, over pictures or batches;
where their protocol says "pooled" they are computed like ours.

The networks of a data set differ in size and decoder as well as in their start, and the tables say
by how much: the gain of a pretrained encoder is not separated from that of the larger network
around it. Times are those of the median epoch, scaled to all epochs, as some runs had to share
their machine; bench/README.md has comparisons of speed.

`python -m model evaluate --checkpoint NAME --split test` measures each figure of a checkpoint with
weights again, on the same files: the digests say which."""


ARITHMETIC = {"32-true": "float32", "bf16-mixed": "bf16", "16-mixed": "float16"}
"""By Lightning's names of it."""

DIFFERENCES = """\
Each pair by itself: by how many points of mean IoU the pretrained network is ahead, with the 95 %
interval; p of the permutation test; whether both of these see a difference (clear), one of them
(probable) or neither (none shown); whether their recorded training settings are alike."""
DIFFERENCES_HEAD = [
    *("from scratch", "pretrained", "ahead by", "p", "difference", "settings"),
]
SHOWN = {
    Sureness.CLEAR: "clear",
    Sureness.PROBABLE: "probable",
    Sureness.NOT_SHOWN: "none shown",
}


def markdown_table(checkpoints: Sequence[Checkpoint]) -> str:
    """One row per checkpoint with figures on the test split."""
    rows = []
    for checkpoint in checkpoints:
        figures = checkpoint.figures("test")
        if figures is None:
            continue
        network = checkpoint.description.get("network", {})
        rows.append(
            [
                f"`{checkpoint.name}`",
                checkpoint.network_name,
                _start(checkpoint),
                f"{network.get('parameters', 0) / 1e6:.1f} M",
                *(f"{in_percent(figures[n])} %" for n in ("mean_iou", "mean_dice", "accuracy")),
                figures["num_images"],
            ]
        )
    head = ["checkpoint", "network", "start", "parameters", "mean IoU", "mean Dice", "accuracy"]
    return table([*head, "pictures"], rows)


def document(checkpoints: Sequence[Checkpoint], studies: Mapping[str, Study] | None = None) -> str:
    """Everything that is recorded, data set by data set, then the studies' results.

    Args:
        checkpoints: those without weights are marked as reported, not shipped.
        studies: by name; their charts are `study_sections.pictures`.
    """
    groups: dict[str, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        if checkpoint.figures("test"):
            groups.setdefault(data_key(checkpoint), []).append(checkpoint)
    sections = [
        _goals(groups),
        *(_section(group) for _, group in sorted(groups.items())),
        *study_sections.sections(studies or {}),
    ]
    return "\n\n".join([INTRODUCTION, *sections]) + "\n"


def _section(group: list[Checkpoint]) -> str:
    whole = [c for c in group if not c.learned_from_validation]
    others = [_name(checkpoint) for checkpoint in group if checkpoint not in whole]
    data = (whole or group)[0].description["data"]
    learned = f" {' and '.join(others)} learned from the validation pictures too." if others else ""
    parts = [
        f"## {data.get('title', data['name'])}",
        f"Pictures: {parts_in_words((whole or group)[0])}; split: {data.get('split_rule')} "
        f"(digest `{data.get('split_digest')}`).{learned} {data.get('licence')}, "
        f"{data.get('source')}.",
        DATA_NOTES.get(data.get("digest"), ""),
        _scores("test", group),
        _scores("validation", group),
        *_verdicts(group),
        _trainings(group),
        _prices(group),
        _classes(group),
        *_published(data["name"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _scores(part: str, group: list[Checkpoint]) -> str:
    scored = [(c, figures) for c in group if (figures := c.figures(part))]
    if not scored:
        return ""
    rows = [
        [_name(checkpoint), *(with_interval(figures, name) for name in FIGURES)]
        for checkpoint, figures in scored
    ]
    heading = f"**{part.capitalize()}**, {scored[0][1]['num_images']} pictures, float32:"
    return f"{heading}\n\n{table(['checkpoint', *FIGURES.values()], rows)}"


def _goals(groups: Mapping[str, list[Checkpoint]]) -> str:
    """What this project set out to reach, and what it reached."""
    rows = []
    told = set()
    for goal in GOALS:
        concerned = [c for c in groups.get(goal.data, []) if goal.concerns(c)]
        best = max(concerned, key=goal.margin, default=None)
        found = [NOTHING, NOTHING, "no checkpoint yet"]
        if best is not None:
            margin = goal.margin(best)
            size = in_percent(abs(margin)) if abs(margin) >= 0.0005 else "less than 0.1"
            by = f"{'reached' if margin > 0 else 'missed'} by {size}"
            tried = ""
            if margin <= 0 and goal.tried:
                tried = ". As above." if goal.tried in told else f". {goal.tried}"
                told.add(goal.tried)
            found = [_name(best), in_percent(goal.figure(best)), by + tried]
        side = "above" if goal.above else "under"
        aim = f"{goal.what} {side} {in_percent(goal.threshold)}"
        rows.append([goal.data, aim, goal.start, *found])
    head = ["data", "goal on test", "start", "best checkpoint", "figure", "result"]
    return f"## Goals\n\n{GOALS_INTRODUCTION}\n\n{table(head, rows)}"


def _verdicts(group: list[Checkpoint]) -> list[str]:
    """Each model from scratch against the best pretrained one in words, and against all of them in
    a table."""
    by_name = {checkpoint.name: checkpoint for checkpoint in group}
    models = candidates(by_name, {name: recorded(c) for name, c in by_name.items()})
    scratch = [model for model in models if not model.checkpoint.is_pretrained]
    pretrained = [model for model in leader_first(models) if model.checkpoint.is_pretrained]
    if not scratch or not pretrained:
        return []
    pairs = [(first, second) for first in scratch for second in pretrained]
    verdicts = {(first.name, second.name): judge([first, second]) for first, second in pairs}
    words = []
    for model in scratch:
        verdict = verdicts[model.name, pretrained[0].name]
        told = [*verdict.details, *verdict.warnings, *verdict.cautions]
        words.append(" ".join([f"**{verdict.headline}.**", *told]))
    if len(pairs) > 1:
        rows = [_difference(*pair, verdicts[pair[0].name, pair[1].name]) for pair in pairs]
        words.append(f"{DIFFERENCES}\n\n{table(DIFFERENCES_HEAD, rows)}")
    return words


def _difference(scratch: Candidate, pretrained: Candidate, verdict: Verdict) -> list[str]:
    """A row of the table of pairs."""
    checkpoints = (scratch.checkpoint, pretrained.checkpoint)
    names = [_name(checkpoint) for checkpoint in checkpoints]
    difference = verdict.pairs[0].by_iou if verdict.pairs else None
    if difference is None:
        return [*names, *[NOTHING] * 4]
    gap, low, high = difference.gap, difference.low, difference.high
    if verdict.pairs[0].leader == scratch.title:
        gap, low, high = -gap, -high, -low
    return [
        *names,
        f"{points(gap)} ({points(low)} to {points(high)})",
        probability(difference.p).removeprefix("p = ").removeprefix("p "),
        SHOWN[difference.sureness],
        "differ" if unlike((scratch.title, pretrained.title), *checkpoints) else "alike",
    ]


def _trainings(group: list[Checkpoint]) -> str:
    rows = []
    for checkpoint in group:
        training = checkpoint.description.get("training", {})
        size = "not shipped"
        if checkpoint.is_shipped:
            size = f"{checkpoint.weights_path.stat().st_size / 1e6:.1f} MB"
        rows.append(
            [
                _name(checkpoint),
                checkpoint.network_name,
                _start(checkpoint),
                f"{checkpoint.description['network']['parameters'] / 1e6:.1f} M",
                size,
                f"{training.get('best_epoch')} of {training.get('epochs_done')}",
                f"{seen:,}" if (seen := pictures_seen(checkpoint)) else NOTHING,
                f"{taken / 60:.0f} min" if (taken := checkpoint.training_seconds) else NOTHING,
                training.get("machine", NOTHING),
                ARITHMETIC.get(training.get("arithmetic"), "not recorded"),
            ]
        )
    head = ["checkpoint", "network", "start", "parameters", "file", "epoch kept"]
    return table([*head, "pictures seen", "time", "machine", "arithmetic"], rows)


def _prices(group: list[Checkpoint]) -> str:
    """What bf16 and int8 cost, in points of mean IoU."""
    if not any(checkpoint.prices() for checkpoint in group):
        return ""
    rows = []
    for checkpoint in (c for c in group if c.is_shipped):
        prices = checkpoint.prices()
        costs = [f"{prices[p]:.3f}" if p in prices else NOTHING for p in ("bf16", "int8")]
        rows.append([f"`{checkpoint.name}`", checkpoint.price_split, *costs])
    head = ["points of mean IoU lost", "on", "bf16", "int8"]
    return (
        f"Cost of faster arithmetic; below 0 is a gain, and up to {MOST_POINTS:g} is accepted "
        f"automatically:\n\n{table(head, rows)}"
    )


def _classes(group: list[Checkpoint]) -> str:
    """IoU of each class on test."""
    figures = [checkpoint.figures("test")["per_class"] for checkpoint in group]
    support = figures[0]["support"]
    rows = [
        [
            info.name,
            in_percent(support[info.id] / max(1, sum(support)), 2),
            *(in_percent(per_class["iou"][info.id]) for per_class in figures),
        ]
        for info in group[0].classes
    ]
    head = ["IoU on test", "% of pixels", *(f"`{c.name}`" for c in group)]
    return f"Each class:\n\n{table(head, rows)}"


def _published(name: str) -> list[str]:
    if name not in PUBLISHED:
        return []
    rows = [[p.what, p.figure, p.protocol, p.differs] for p in PUBLISHED[name]]
    head = ["published by others", "figure", "their protocol", "what differs here"]
    return [table(head, rows)]


def _start(checkpoint: Checkpoint) -> str:
    if not checkpoint.is_pretrained:
        return "scratch"
    return checkpoint.description["encoder"].get("origin", "pretrained").split(" (")[0]


def _name(checkpoint: Checkpoint) -> str:
    return f"`{checkpoint.name}`" + ("" if checkpoint.is_shipped else " (reported, not shipped)")
