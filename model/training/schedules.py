"""Learning rates over the course of a run."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import zeros
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from model.training.config import Schedule

ONE_CYCLE_WARMUP = 0.15
"""Share of a run in which "one-cycle" rises, unless warm-up epochs are given."""

POLY_POWER = 0.9
PLATEAU_FACTOR = 0.5


def make_schedule(
    optimizer: Optimizer,
    schedule: Schedule,
    steps: int,
    warmup: float = 0.0,
    plateau: Callable[[], float] = lambda: 1.0,
) -> LRScheduler:
    """Sets the optimizer's learning rates at each step, as factors of their current values.

    In the first `warmup` of the run they rise linearly. From there, with t from 0 to 1 over what
    is left: "constant" stays at 1; "cosine" is (1 + cos(pi t)) / 2 (Loshchilov & Hutter 2017,
    arXiv 1608.03983, without restarts); "poly" is (1 - t)^0.9 (Chen et al. 2017,
    arXiv 1606.00915); "plateau" is what `plateau` returns. "one-cycle" is torch's (Smith &
    Topin 2018, arXiv 1708.07120): it rises from 1/25 and falls to nearly 0 in half cosine waves,
    while momentum does the opposite.

    Args: steps: of the whole run; warmup: share of them, in [0, 1).
    """
    if schedule == "one-cycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        share = warmup or ONE_CYCLE_WARMUP
        if share * steps == 1:
            share = 0.99 / steps  # torch would divide by the distance between the first step and it
        return OneCycleLR(optimizer, rates, total_steps=steps, pct_start=share)
    rising = warmup * steps

    def factor(step: int) -> float:
        if step + 1 < rising:
            return (step + 1) / rising
        t = min(1.0, max(0.0, step - rising) / max(1.0, steps - rising))
        match schedule:
            case "cosine":
                return (1 + math.cos(math.pi * t)) / 2
            case "poly":
                return (1 - t) ** POLY_POWER
            case "plateau":
                return plateau()
        return 1.0

    return LambdaLR(optimizer, factor)


class Plateau:
    """A learning rate factor that halves when a score has not risen for some epochs.

    The arithmetic is torch's `ReduceLROnPlateau`. Lightning could run that one too, but only
    after the epoch's checkpoint has been written: a resumed run would miss one of its steps.

    Args: patience: accepted number of epochs without a better score.
    """

    def __init__(self, patience: int) -> None:
        # It needs an optimizer to change: this one's learning rate is the factor.
        self._optimizer = SGD([zeros(1)], lr=1.0)
        self._plateau = ReduceLROnPlateau(
            self._optimizer, mode="max", factor=PLATEAU_FACTOR, patience=patience, threshold=0.0
        )

    @property
    def factor(self) -> float:
        return self._optimizer.param_groups[0]["lr"]

    def step(self, score: float) -> None:
        """Takes note of an epoch's score, the higher the better."""
        self._plateau.step(score)

    def state_dict(self) -> dict:
        return {"plateau": self._plateau.state_dict(), "factor": self.factor}

    def load_state_dict(self, state: dict) -> None:
        self._plateau.load_state_dict(state["plateau"])
        self._optimizer.param_groups[0]["lr"] = state["factor"]
