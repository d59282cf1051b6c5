"""The command line.

python -m model train --data streets --network unet --epochs 5 --output runs/first
python -m model evaluate --checkpoint carla-resnet34 --split test
python -m model data info pets
python -m model describe unet
"""

from __future__ import annotations

import sys
from typing import Annotated

import tyro

# Only what describes the arguments: each command imports what it runs on, so that `--help`
# does not wait for torch.
from model.checkpoints.commands import Pull, Push, pull, push
from model.data.commands import DataCommand
from model.data.commands import run as run_data
from model.errors import StudioError
from model.evaluation.commands import Evaluate, Results, evaluate, results
from model.networks.commands import Describe, describe
from model.training.config import TrainConfig


def train(config: TrainConfig) -> int:
    """Trains, and prints the figures. Returns 130 after Ctrl-C, as shells expect."""
    from model.evaluation.commands import summary
    from model.training import run

    try:
        checkpoint = run.train(config)
    except KeyboardInterrupt:
        print(
            f"\nStopped. Once an epoch was finished, {config.output} is a usable checkpoint of the "
            "best one; the same command with --resume continues."
        )
        return 130
    title = checkpoint.description["data"]["title"]
    print(summary(str(config.output), title, checkpoint.metrics["splits"]))
    return 0


RUNNERS = {
    TrainConfig: train,
    Evaluate: evaluate,
    Results: results,
    Describe: describe,
    Pull: pull,
    Push: push,
}

Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Results, tyro.conf.subcommand("results")]
    | Annotated[
        DataCommand,
        tyro.conf.subcommand("data", description="Data sets, and masks from annotations."),
    ]
    | Annotated[Describe, tyro.conf.subcommand("describe")]
    | Annotated[Pull, tyro.conf.subcommand("pull")]
    | Annotated[Push, tyro.conf.subcommand("push")]
)


def main() -> int:
    """Returns the exit code: 0, 2 for wrong arguments or data, 130 after Ctrl-C."""
    try:
        command = tyro.cli(
            Command,
            prog="python -m model",
            description="U-Net Studio: train, score, publish U-Nets; look after their data.",
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        return RUNNERS.get(type(command), run_data)(command) or 0
    except StudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
