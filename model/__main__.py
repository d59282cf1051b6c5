"""The command line.

python -m model train --data streets --network unet --epochs 5 --output runs/first
python -m model evaluate --checkpoint carla-resnet34 --split test
python -m model data info pets
python -m model describe unet
"""

from __future__ import annotations

import os
import signal
import sys

from model.interrupts import INTERRUPTED, stop_at_once

if __name__ == "__main__":  # before the imports, which take a second
    signal.signal(signal.SIGINT, stop_at_once)

from typing import Annotated

import tyro

# Only what describes the arguments: each command imports what it runs on, so that `--help`
# does not wait for torch.
from model.checkpoints.commands import Pull, Push, pull, push
from model.data.commands import DataCommand
from model.data.commands import run as run_data
from model.errors import exit_code
from model.evaluation.commands import Evaluate, Results, evaluate, results
from model.evaluation.report.commands import Compare, compare
from model.inference.commands import Export, Segment, export, segment
from model.inference.engines.commands import Quantise, quantise
from model.networks.commands import Describe, describe
from model.training.commands import train
from model.training.config import TrainConfig
from model.training.memory import keep_freed_memory
from model.training.studies.commands import crossval, small_data, tune
from model.training.studies.configs import CrossValidation, SmallData, Tuning

RUNNERS = {
    TrainConfig: train,
    CrossValidation: crossval,
    Tuning: tune,
    SmallData: small_data,
    Evaluate: evaluate,
    Results: results,
    Compare: compare,
    Quantise: quantise,
    Segment: segment,
    Export: export,
    Describe: describe,
    Pull: pull,
    Push: push,
}

Command = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[CrossValidation, tyro.conf.subcommand("crossval")]
    | Annotated[Tuning, tyro.conf.subcommand("tune")]
    | Annotated[SmallData, tyro.conf.subcommand("small-data")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Results, tyro.conf.subcommand("results")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Quantise, tyro.conf.subcommand("quantise")]
    | Annotated[Segment, tyro.conf.subcommand("segment")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[
        DataCommand,
        tyro.conf.subcommand("data", description="Data sets, and masks from annotations."),
    ]
    | Annotated[Describe, tyro.conf.subcommand("describe")]
    | Annotated[Pull, tyro.conf.subcommand("pull")]
    | Annotated[Push, tyro.conf.subcommand("push")]
)


TRAININGS = {kind.COMMAND: kind for kind in (TrainConfig, CrossValidation, Tuning, SmallData)}


def main() -> int:
    """Returns the exit code: 0, 2 for wrong arguments or data, 130 after Ctrl-C, 141 if the reader
    of the output has gone."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return exit_code(_run)
    except KeyboardInterrupt as stop:
        print(f"\nStopped. {stop}".rstrip(), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run() -> int | None:
    command = _read(sys.argv[1:])
    if isinstance(command, TrainConfig):  # every command that trains derives from it
        keep_freed_memory()
    return RUNNERS.get(type(command), run_data)(command)


def _read(words: list[str]) -> object:
    """The command with its settings. Raises `ConfigError` for an unknown preset; like tyro,
    `SystemExit` for arguments that cannot be parsed."""
    prog = "python -m model"
    if kind := TRAININGS.get(next(iter(words), "")):
        # Parsed on its own: among all commands tyro mistakes these for `train`, which they derive
        # from, and would give it the preset's settings, which the other flags override.
        own = f"{prog} {kind.COMMAND}"
        default = kind.of_words(words)
        # A flag can be named as a preset has it, and the other way: `--turn` and `--no-turn`.
        return tyro.cli(kind, args=words[1:], default=default, prog=own)
    about = "U-Net Studio: train, score and publish U-Nets; manage their data."
    return tyro.cli(
        Command, args=words, prog=prog, description=about, config=(tyro.conf.FlagCreatePairsOff,)
    )


if __name__ == "__main__":
    sys.exit(main())
