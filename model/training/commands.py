"""The command `train`: what it prints. Its arguments are `TrainConfig`."""

from __future__ import annotations

from model.evaluation.commands import class_lines, summary
from model.interrupts import going_on, stopping_at_once
from model.training.config import TrainConfig


def train(config: TrainConfig) -> int:
    """Trains, and prints the figures."""
    with stopping_at_once():
        from model.training import run
        from model.training.guards import kept

    with going_on(kept(config)):
        checkpoint = run.train(config)
    if checkpoint is None:  # the first process speaks for all
        return 0
    training, splits = checkpoint.description["training"], checkpoint.metrics["splits"]
    print(summary(str(config.output), checkpoint.description["data"]["title"], splits))
    print(class_lines(checkpoint.classes.names, splits["test"]["f32"]["per_class"]))
    ended = f" {training['ended']}" if training["ended"] else ""
    print(f"Kept: epoch {training['best_epoch']} of {training['epochs_done']}.{ended}")
    print(f"All about it: {config.output / 'report.html'}")
    return 0
