"""A model in a comparison: its checkpoint, what it is called, and what it scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import title, told_apart
from model.evaluation.compare import Protocol, Scored, recorded_protocol
from model.evaluation.metrics import Metrics

# Blue, vermilion, bluish green and reddish purple of Okabe & Ito (2008): told apart with
# the common colour vision deficiencies, and with enough contrast on white and on black.
MODEL_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

MOST = len(MODEL_COLOURS)
"""How many models can be compared at once."""


@dataclass(frozen=True)
class Candidate:
    """A model in a comparison.

    Attributes:
        name: as it was requested: a name in `weights/`, "runs/first", a path, a Hub id.
        title: in words, different from all others.
        colour: `#rrggbb`, the same in tiles, curves and bars.
        scored: its figures, None if it has none (yet).
    """

    name: str
    checkpoint: Checkpoint
    title: str
    colour: str
    scored: Scored | None

    @property
    def metrics(self) -> Metrics | None:
        return self.scored and self.scored.metrics

    @property
    def protocol(self) -> Protocol:
        """What it was scored on, or will be."""
        return self.scored.protocol if self.scored else recorded_protocol(self.checkpoint)


def candidates(
    checkpoints: Mapping[str, Checkpoint], scores: Mapping[str, Scored | None]
) -> list[Candidate]:
    """Checkpoints with titles that tell them apart, and a colour each; colours repeat after `MOST`.

    Args: checkpoints, scores: by the name that each goes by.
    """
    titles = told_apart({name: title(checkpoint) for name, checkpoint in checkpoints.items()})
    return [
        Candidate(name, checkpoint, titles[name], colour, scores[name])
        for (name, checkpoint), colour in zip(checkpoints.items(), cycle(MODEL_COLOURS))
    ]


def leader_first(models: Sequence[Candidate]) -> list[Candidate]:
    """Those that have scores, the highest mean IoU first."""
    scored = [model for model in models if model.scored is not None]
    return sorted(scored, key=lambda model: -model.metrics.mean_iou)
