"""The command line.

python -m model train --data streets --network unet --epochs 5 --output runs/first
python -m model evaluate --checkpoint carla-resnet34 --data carla --split test
python -m model describe unet
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from model.errors import StudioError
from model.training.config import TrainConfig


@dataclass(frozen=True)
class Evaluate:
    """Score a checkpoint on a part of a data set, at the original resolution."""

    checkpoint: str
    """A name in weights/, or a checkpoint folder's path."""
    data: str
    """The data set."""
    split: Literal["train", "validation", "test"] = "test"
    data_root: Path | None = None
    """Folder that holds the data sets; by default UNET_STUDIO_DATA, else data/."""
    engine: Literal["auto", "openvino", "torch"] = "auto"


@dataclass(frozen=True)
class Describe:
    """Print a network's parameters and receptive field."""

    network: tyro.conf.Positional[str]
    """"unet" or "unet-<encoder>"."""
    num_classes: int = 2
    base_width: int = 32
    depth: int = 4


Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Describe, tyro.conf.subcommand("describe")]
)


def main() -> int:
    try:
        command = tyro.cli(Command, prog="python -m model")
        return _run(command)
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(command: TrainConfig | Evaluate | Describe) -> int:
    # Each branch imports what it needs: `--help` must not wait for torch.
    if isinstance(command, TrainConfig):
        from model.training.run import train

        try:
            checkpoint = train(command)
        except KeyboardInterrupt:
            print(
                f"\nStopped. {command.output} holds the best epoch so far, if one was finished; "
                "continue with --resume."
            )
            return 130
        print(_summary(checkpoint.metrics["splits"], checkpoint.path))
    elif isinstance(command, Evaluate):
        from model.data import datasets
        from model.evaluation.evaluate import evaluate
        from model.inference.segmenter import Segmenter

        segmenter = Segmenter(command.checkpoint, engine=command.engine)
        data = datasets.load(command.data, command.data_root)
        result = evaluate(segmenter, data, data.names(command.split))
        figures = {command.split: {result.precision: result.to_json()}}
        print(_summary(figures, segmenter.checkpoint.path))
        print(_class_table(segmenter.classes.names, result.to_json()["per_class"]))
    else:
        from model.networks.registry import build, parameter_count

        options = {"base_width": command.base_width, "depth": command.depth}
        network = build(command.network, command.num_classes, **options)
        print(f"{command.network}: {parameter_count(network):,} parameters")
        if hasattr(network, "receptive_field"):
            side = network.receptive_field()
            print(f"receptive field: {side} x {side} pixels")
        print(f"input: float (B, 3, H, W) -> logits (B, {command.num_classes}, H, W)")
    return 0


def _summary(splits: dict, path: Path) -> str:
    lines = [str(path)]
    for split, precisions in splits.items():
        for precision, f in precisions.items():
            lines.append(
                f"  {split} ({f['num_images']} pictures, original resolution, {f['engine']} "
                f"{precision}): mean IoU {100 * f['mean_iou']:.1f} %, mean Dice "
                f"{100 * f['mean_dice']:.1f} %, accuracy {100 * f['accuracy']:.1f} %"
            )
    return "\n".join(lines)


def _class_table(names: list[str], per_class: dict) -> str:
    def percent(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f}"

    columns = ("iou", "dice", "precision", "recall")
    lines = [f"  {'class, %':16}" + "".join(f"{name:>10}" for name in columns)]
    for index, name in enumerate(names):
        figures = "".join(f"{percent(per_class[column][index]):>10}" for column in columns)
        lines.append(f"  {name:16}{figures}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
