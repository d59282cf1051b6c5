"""The commands `crossval`, `tune` and `small-data`: what they print."""

from __future__ import annotations

from model.evaluation.commands import class_lines, summary
from model.interrupts import going_on, stopping_at_once
from model.training.studies.configs import GOES_ON, CrossValidation, SmallData, Tuning
from model.words import FIGURES, in_percent, percent_over


def crossval(config: CrossValidation) -> int:
    """Trains the folds, and prints mean ± standard deviation."""
    with stopping_at_once():
        from model.training.studies import crossval as folds

    with going_on(GOES_ON):
        found = folds.cross_validate(config)
    print(f"{config.folds} folds of {config.data}, original resolution; % over the folds:")
    result = found.result
    for figure, title in FIGURES.items():
        print(f"  {title:16}{percent_over(*result.spread(figure))}")
    print("All out-of-fold predictions in one confusion matrix:")
    print(class_lines(result.class_names, result.pooled.per_class.model_dump()))
    print(
        f"  mean IoU {in_percent(result.pooled.mean_iou)} %, "
        f"mean Dice {in_percent(result.pooled.mean_dice)} %"
    )
    print(
        summary(
            f"All folds together ({config.output} is their checkpoint)",
            found.ensemble.description["data"]["title"],
            {"test": found.ensemble.metrics["splits"]["test"]},
        )
    )
    print(f"All figures: {config.output / folds.TABLE_FILE}, {config.output / folds.SUMMARY_FILE}")
    return 0


def tune(config: Tuning) -> int:
    """Searches, and prints the winner."""
    with stopping_at_once():
        from model.training.studies import tuning

    with going_on(GOES_ON):
        checkpoint = tuning.tune(config)
    print(f"The best settings: {config.output / tuning.BEST_FILE}")
    print(f"All trials: {config.output / tuning.TABLE_FILE}, {', '.join(tuning.PLOTS)}")
    if checkpoint:
        splits = {"test": checkpoint.metrics["splits"]["test"]}
        print(summary(str(checkpoint.path), checkpoint.description["data"]["title"], splits))
    return 0


def small_data(config: SmallData) -> int:
    """Trains, and prints mean ± standard deviation by number of pictures."""
    with stopping_at_once():
        from model.evaluation.report.small_data import points
        from model.training.studies import small_data as study

    with going_on(GOES_ON):
        found = study.small_data(config)
    print(f"{found.data.title}, {found.data.split_sizes['test']} test pictures, original "
          "resolution; % over the seeds:")  # fmt: skip
    for point in points({"": found}):
        figures = ", ".join(
            f"{FIGURES[name]} {percent_over(*point.spread(name))}"
            for name in ("mean_iou", "mean_dice")
        )
        print(f"  {point.pictures:6} training pictures: {figures}")
    path = config.output / study.SUMMARY_FILE
    print(f"All runs: {path}. To publish them: cp {path} weights/studies/{config.output.name}.json")
    return 0
