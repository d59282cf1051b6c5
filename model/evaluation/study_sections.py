"""What studies found, as sections of docs/results.md.

`pictures` draws the charts of the small-data studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.checkpoints.titles import title_of
from model.evaluation.report.small_data import colours, groups, how_trained, in_words, points
from model.evaluation.report.words import NOTHING
from model.evaluation.studies import (
    CrossValidationResult,
    SearchResult,
    SmallDataResult,
    Study,
    of_kind,
)
from model.markdown import table
from model.words import CLASS_FIGURES, FIGURES, in_percent, percent_over

CHART_WIDTH = 640

FOLD_RULES = {
    "contiguous": "whole stretches of video held out in turn",
    "random": "pictures drawn at random held out in turn",
    "group": "whole groups, such as tiles, held out in turn",
    "stratified": "equal shares of each kind held out in turn",
}


def sections(studies: Mapping[str, Study]) -> list[str]:
    """Small data, cross-validation, searches. Args: studies: by name."""
    return [
        *_small_data(of_kind(SmallDataResult, studies)),
        *map(_cross_validation, of_kind(CrossValidationResult, studies).values()),
        *map(_search, of_kind(SearchResult, studies).values()),
    ]


def pictures(studies: Mapping[str, Study]) -> dict[str, str]:
    """The charts that `sections` shows, as SVG by file name."""
    from model.evaluation.report.charts import small_data_curve
    from model.evaluation.report.document import PAPER_CONFIG, svg

    drawn = {}
    for file, group in _study_groups(of_kind(SmallDataResult, studies)).items():
        found = points(group)
        drawn[file] = svg(small_data_curve(found, colours(found, {})), CHART_WIDTH, PAPER_CONFIG)
    return drawn


def _small_data(studies: Mapping[str, SmallDataResult]) -> list[str]:
    """The curve of each data set, and the figures behind it."""
    sections = []
    for file, group in _study_groups(studies).items():
        found = points(group)
        models = list(dict.fromkeys(point.model for point in found))
        rows = []
        for count in sorted({point.pictures for point in found}):
            own = {point.model: point for point in found if point.pictures == count}
            cells = [
                percent_over(*own[model].spread(figure)) if model in own else NOTHING
                for figure in ("mean_dice", "mean_iou")
                for model in models
            ]
            seeds = dict.fromkeys(len(own[model].runs) for model in models if model in own)
            rows.append([count, " and ".join(map(str, seeds)), *cells])
        head = [f"{title}, {model}" for title in ("mean Dice", "mean IoU") for model in models]
        study = next(iter(group.values()))
        commands = "\n".join(each.command for each in group.values())
        text = (
            f"## With fewer training pictures: {study.data.title}\n\n"
            f"![Mean Dice on the test part by number of training pictures]({file})\n\n"
            f"{in_words(found)} {how_trained(group)} Each chose its epoch on all "
            f"{study.data.split_sizes['validation']} validation pictures; "
            f"{study.data.split_sizes['test']} test pictures at their original resolution (split "
            f"`{study.data.split_digest}`). Each seed draws other pictures, the same for each "
            "network; ± is the standard deviation over the seeds. The checkpoints on the same "
            "data, above, were trained differently.\n\n"
            f"{table(['training pictures', 'seeds', *head], rows)}\n\n```sh\n{commands}\n```"
        )
        sections.append(text)
    return sections


def _study_groups(studies: Mapping[str, SmallDataResult]) -> dict[str, dict[str, SmallDataResult]]:
    """Those that are drawn together, by the name of their chart's file."""
    named: dict[str, dict[str, SmallDataResult]] = {}
    for group in groups(studies):
        data = next(iter(group.values())).data
        file = f"small-data-{data.name}"
        named[f"{file}-{data.split_digest}.svg" if f"{file}.svg" in named else f"{file}.svg"] = (
            group
        )
    return named


def _cross_validation(result: CrossValidationResult) -> str:
    """All figures as mean and standard deviation over the folds, and pooled."""
    test = result.data.split_sizes["test"]
    rows = [
        [f"over the {result.folds} folds",
         *(percent_over(*result.spread(name)) for name in FIGURES)],
        ["all predictions pooled", *(in_percent(result.pooled.value(name)) for name in FIGURES)],
        [f"all networks together, on the {test} test pictures",
         *(in_percent(result.ensemble_on_test.value(name)) for name in FIGURES)],
    ]  # fmt: skip
    classes = [
        [
            title,
            *(percent_over(*result.spread(name, class_id)) for name in CLASS_FIGURES),
            in_percent(result.pooled.value("iou", class_id)),
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
        f"{table(['class', *CLASS_FIGURES.values(), 'IoU, pooled'], classes)}\n\n"
        f"```sh\n{result.command}\n```"
    )


def _search(result: SearchResult) -> str:
    """The trials, best first."""
    names = sorted({name for trial in result.trials for name in trial.chosen})
    ended = [trial for trial in result.trials if trial.validation_iou is not None]
    rows = [
        [
            trial.trial,
            *(_setting(trial.chosen.get(name, NOTHING)) for name in names),
            trial.epochs,
            in_percent(trial.validation_iou),
        ]
        for trial in sorted(ended, key=lambda trial: -trial.validation_iou)
    ]
    best = ", ".join(f"{name} {_setting(result.chosen[name])}" for name in result.chosen)
    return (
        f"## Search for settings: {result.data.title}\n\n"
        f"{len(ended)} trials of `{result.network}`, judged by the best mean IoU on the "
        f"{result.data.split_sizes['validation']} validation pictures, at the network's "
        "resolution. Those with fewer epochs were pruned below the median, or diverged. "
        f"The best: {best}.\n\n"
        f"{table(['trial', *names, 'epochs', 'mean IoU on validation'], rows)}\n\n"
        f"```sh\n{result.command}\n```"
    )


def _setting(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
