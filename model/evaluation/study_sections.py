"""What studies found, as sections of docs/results.md.

`pictures` draws the charts of those of small data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.checkpoints.titles import title_of
from model.evaluation.markdown import FIGURES, percent, table
from model.evaluation.report.small_data import Point, Study, colours, groups, in_words, points
from model.evaluation.report.words import NOTHING
from model.evaluation.studies import CrossValidationResult, SearchResult

CHART_WIDTH = 640

OF_A_CLASS = {"iou": "IoU", "dice": "Dice (F1)", "precision": "precision", "recall": "recall"}

FOLD_RULES = {
    "contiguous": "whole stretches of film held out in turn",
    "random": "pictures drawn at random held out in turn",
    "group": "whole groups, such as tiles, held out in turn",
    "stratified": "equal shares of each kind held out in turn",
}


def small_data_sections(studies: Mapping[str, Study]) -> list[str]:
    """The curve of each data set, and the figures behind it."""
    sections = []
    for file, group in _study_groups(studies).items():
        found = points(group)
        models = list(dict.fromkeys(point.model for point in found))
        rows = []
        for count in sorted({point.pictures for point in found}):
            own = {point.model: point for point in found if point.pictures == count}
            cells = [
                _with_deviation(own[model], figure) if model in own else NOTHING
                for figure in ("mean_dice", "mean_iou")
                for model in models
            ]
            rows.append([count, max(len(point.runs) for point in own.values()), *cells])
        head = [f"{title}, {model}" for title in ("mean Dice", "mean IoU") for model in models]
        study = next(iter(group.values()))
        steps = sorted({run.steps for each in group.values() for run in each.runs})
        commands = "\n".join(each.command for each in group.values())
        text = (
            f"## With fewer training pictures: {study.data.title}\n\n"
            f"![Mean Dice on the test part by number of training pictures]({file})\n\n"
            f"{in_words(found)} Each run took {' or '.join(f'{n:,}' for n in steps)} steps of the "
            "optimizer, whatever the number of pictures, and chose its epoch on all "
            f"{study.data.split_sizes['validation']} validation pictures; "
            f"{study.data.split_sizes['test']} test pictures at their original resolution (split "
            f"`{study.data.split_digest}`). Each seed draws other pictures, the same for each "
            "network; ± is the standard deviation over the seeds.\n\n"
            f"{table(['training pictures', 'seeds', *head], rows)}\n\n```sh\n{commands}\n```"
        )
        sections.append(text)
    return sections


def pictures(studies: Mapping[str, Study]) -> dict[str, str]:
    """The charts that `document` shows, as SVG by file name."""
    from model.evaluation.report.charts import small_data_curve
    from model.evaluation.report.document import PAPER_CONFIG, svg

    drawn = {}
    for file, group in _study_groups(studies).items():
        found = points(group)
        drawn[file] = svg(small_data_curve(found, colours(found, {})), CHART_WIDTH, PAPER_CONFIG)
    return drawn


def _study_groups(studies: Mapping[str, Study]) -> dict[str, dict[str, Study]]:
    """Those that are drawn together, by the name of their chart's file."""
    named: dict[str, dict[str, Study]] = {}
    for group in groups(studies):
        data = next(iter(group.values())).data
        file = f"small-data-{data.name}"
        named[f"{file}-{data.split_digest}.svg" if f"{file}.svg" in named else f"{file}.svg"] = (
            group
        )
    return named


def _with_deviation(point: Point, figure: str) -> str:
    mean, deviation = point.spread(figure)
    return f"{100 * mean:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")


def cross_validation_section(result: CrossValidationResult) -> str:
    """All figures as mean and standard deviation over the folds, and pooled."""
    test = result.data.split_sizes["test"]
    rows = [
        [f"over the {result.folds} folds", *(_over_folds(result, name) for name in FIGURES)],
        ["all predictions pooled", *(percent(result.pooled.value(name)) for name in FIGURES)],
        [f"all networks together, on the {test} test pictures",
         *(percent(result.ensemble_on_test.value(name)) for name in FIGURES)],
    ]  # fmt: skip
    classes = [
        [
            title,
            *(_over_folds(result, name, class_id) for name in OF_A_CLASS),
            percent(result.pooled.value("iou", class_id)),
        ]
        for class_id, title in enumerate(result.class_names)
    ]
    return (
        f"## Cross-validation: {result.data.title}\n\n"
        f"{title_of(result.encoder)}; {FOLD_RULES.get(result.fold_rule, result.fold_rule)}. Each "
        f"of the {result.num_images} training and validation pictures was predicted once, at its "
        "original resolution, by a network that had not learned from it; no network has learned "
        "from the test part. ± is the standard deviation over the folds; pooled: the predictions "
        "of all folds in one confusion matrix.\n\n"
        f"{table(['', *FIGURES.values()], rows)}\n\n"
        f"{table(['class', *OF_A_CLASS.values(), 'IoU, pooled'], classes)}\n\n"
        f"```sh\n{result.command}\n```"
    )


def _over_folds(result: CrossValidationResult, figure: str, class_id: int | None = None) -> str:
    mean, deviation = result.spread(figure, class_id)
    return percent(mean) + ("" if deviation is None else f" ± {percent(deviation)}")


def search_section(result: SearchResult) -> str:
    """The trials, best first."""
    names = sorted({name for trial in result.trials for name in trial.chosen})
    ended = [trial for trial in result.trials if trial.validation_iou is not None]
    rows = [
        [
            trial.trial,
            *(_setting(trial.chosen.get(name, NOTHING)) for name in names),
            trial.epochs,
            percent(trial.validation_iou),
            "" if trial.state == "complete" else "ended early",
        ]
        for trial in sorted(ended, key=lambda trial: -trial.validation_iou)
    ]
    best = ", ".join(f"{name} {_setting(result.chosen[name])}" for name in result.chosen)
    early = sum(trial.state == "pruned" for trial in result.trials)
    return (
        f"## Search for settings: {result.data.title}\n\n"
        f"{len(result.trials)} trials of `{result.network}`, judged by the best mean IoU on the "
        f"{result.data.split_sizes['validation']} validation pictures, at the network's "
        f"resolution; {early} ended early, being below the median. The best: {best}.\n\n"
        f"{table(['trial', *names, 'epochs', 'mean IoU on validation', ''], rows)}\n\n"
        f"```sh\n{result.command}\n```"
    )


def _setting(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
