"""The small-data study: the same training on more and more pictures, where somebody ran it.

It consists of checkpoints of one data set and split that differ in `limit`, the number of
training pictures. Two of one network and start make a line; those of equal number (other seeds)
are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import title
from model.evaluation.compare import Protocol, recorded_protocol, split_metrics


def study(checkpoints: Sequence[Checkpoint], protocol: Protocol) -> list[dict]:
    """Rows for `charts.small_data_curve`; empty without a line of two points.

    Args: protocol: what they must have been scored on.
    """
    lines: dict[str, dict[int, list[float]]] = {}
    for checkpoint in checkpoints:
        pictures = _training_pictures(checkpoint)
        own = recorded_protocol(checkpoint)
        same = (own.digest, own.split_digest) == (protocol.digest, protocol.split_digest)
        metrics = split_metrics(checkpoint) if same and own.data == protocol.data else None
        if pictures and metrics:
            line = lines.setdefault(title(checkpoint), {})
            line.setdefault(pictures, []).append(metrics.mean_iou)
    return [
        {"model": name, "pictures": pictures, "value": fmean(line[pictures])}
        for name, line in sorted(lines.items())
        if len(line) > 1
        for pictures in sorted(line)
    ]


def _training_pictures(checkpoint: Checkpoint) -> int | None:
    description = checkpoint.description
    every = description.get("data", {}).get("split_sizes")
    every = every.get("train") if isinstance(every, dict) else None
    limit = description.get("training", {}).get("limit")
    known = [n for n in (every, limit) if isinstance(n, int) and n > 0]
    return min(known, default=None)
