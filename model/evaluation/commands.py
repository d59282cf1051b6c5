"""The commands `evaluate` and `results`: what they take, and what they print."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model import writing
from model.checkpoints import folder, zoo
from model.errors import CheckpointError, ConfigError, DataError
from model.inference.engines import EngineName
from model.inference.engines.precision import Precision
from model.words import CLASS_FIGURES, FIGURES, in_percent, with_interval


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint on a part of a data set, at the original resolution."""

    checkpoint: str
    """A name in weights/, a checkpoint folder's path, or owner/name[@revision] on the Hub."""
    data: str | None = None
    """The data set; by default the one that the checkpoint was trained on."""
    split: Literal["train", "validation", "test"] = "test"
    split_file: Path | None = None
    """The --split-file that it was trained with; by default the data set's own split."""
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    engine: EngineName = "auto"
    """What computes: OpenVINO (auto, on x86 processors) or PyTorch."""
    precision: Precision = "f32"
    """The arithmetic: float32, that of the published figures, or another; auto takes what the app
    takes, the fastest that costs next to nothing according to metrics.json."""
    record: bool = False
    """Write the figures into the checkpoint's metrics.json, next to those of other precisions;
    those of test in float32 also picture by picture, for comparisons."""


@dataclass(frozen=True)
class Results:
    """Print the table of figures of the bundled checkpoints, as the README shows it."""

    output: Path | None = None
    """Write all figures here instead, as in docs/results.md, with charts next to it."""
    report: tuple[Path, ...] = ()
    """First put what these runs recorded, without their weights, into weights/reported/: figures of
    checkpoints that are not shipped."""


def evaluate(command: Evaluate) -> None:
    """Runs `evaluate`. Raises `StudioError`."""
    from model.checkpoints.card import write_card
    from model.checkpoints.trained_on import other_split
    from model.data import datasets
    from model.evaluation import evaluate as scoring
    from model.evaluation import recording
    from model.inference.segmenter import Segmenter

    checkpoint = zoo.find(command.checkpoint)
    data = datasets.load(
        command.data or checkpoint.data_name, command.data_root, command.split_file
    )
    if warning := other_split(checkpoint, data):
        print(f"warning: {warning} Give that split as --split-file.")
    if command.record:
        recording.check(checkpoint, data, command.split)
    segmenter = Segmenter(checkpoint, engine=command.engine, precision=command.precision)
    result = scoring.evaluate(segmenter, data, data.names(command.split))
    figures = result.to_json()
    print(summary(checkpoint.name, data.title, {command.split: {figures["precision"]: figures}}))
    print(class_lines(checkpoint.classes.names, figures["per_class"]))
    if command.record:
        checkpoint = recording.record(checkpoint, command.split, result)
        write_card(checkpoint)
        print(f"Recorded in {checkpoint.path / folder.METRICS_FILE}.")
        for precision, points in checkpoint.prices().items():
            print(
                f"  {precision} costs {points:.2f} points of mean IoU on {checkpoint.price_split}"
            )


def results(command: Results) -> None:
    """Runs `results`. Raises `ConfigError` if a file cannot be written, `CheckpointError` or
    `DataError` if one of those in weights/ is damaged."""
    from model.evaluation.results import document, markdown_table
    from model.evaluation.studies import published
    from model.evaluation.study_sections import pictures

    for run in command.report:
        from model.checkpoints.reporting import report

        print(f"Reported: {report(folder.read(run))}")
    checkpoints, damaged = zoo.list_bundled()
    for reason in damaged.values():
        raise CheckpointError(reason)
    if command.output is None:
        print(markdown_table(checkpoints))
        return
    studies, damaged = published()
    for reason in damaged.values():
        raise DataError(reason)
    try:
        text = document([*checkpoints, *zoo.list_reported()], studies)
        writing.write_text(command.output, text)
        for name, picture in pictures(studies).items():
            writing.write_text(command.output.parent / name, picture)
    except OSError as error:
        raise ConfigError(
            f"--output {command.output} cannot be written: {error.strerror}."
        ) from error
    print(f"Written: {command.output}")


def summary(name: str, data_title: str, splits: dict[str, Any]) -> str:
    """Figures by split and precision, each with its protocol.

    Args: splits: as under "splits" in `metrics.json`.
    """
    lines = [f"{name} on {data_title}, original resolution"]
    for split, precisions in splits.items():
        for precision, figures in precisions.items():
            lines.append(
                f"  {split}, {figures['num_images']} pictures, {figures['engine']} {precision}; "
                f"in per cent{', with 95 % intervals' if figures.get('intervals') else ''}:"
            )
            lines += [f"    {FIGURES[n]:16}{with_interval(figures, n)}" for n in FIGURES]
    return "\n".join(lines)


def class_lines(names: list[str], per_class: dict[str, list[float | None]]) -> str:
    """IoU, Dice, precision and recall by class, in per cent; a dash where they are undefined."""
    width = max(len("class, %"), *map(len, names)) + 2
    lines = [f"  {'class, %':{width}}" + "".join(f"{name:>11}" for name in CLASS_FIGURES)]
    for index, name in enumerate(names):
        figures = "".join(f"{in_percent(per_class[column][index]):>11}" for column in CLASS_FIGURES)
        lines.append(f"  {name:{width}}{figures}")
    return "\n".join(lines)
