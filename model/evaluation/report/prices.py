"""What each model costs: recorded by its checkpoint, or measured on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.checkpoints import folder
from model.errors import CheckpointError
from model.evaluation.cost import SIZES_WH, TYPICAL_WH, Cost
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.table import Cell, Column, Table


def price_table(models: Sequence[Candidate], costs: Mapping[str, Cost]) -> Table:
    """What each model costs; columns of what was measured here only if it was."""
    measured = [costs[model.name] for model in models if model.name in costs]
    columns = [
        Column("Model"),
        Column("Parameters", "count"),
        Column("File", "megabytes"),
        Column("Training", "minutes"),
        Column("Epochs", "count"),
    ]
    if measured:
        columns += [
            Column("Operations", "billions"),
            *(Column(f"{width} x {height}", "milliseconds") for width, height in SIZES_WH),
            Column("Memory", "megabytes"),
            Column("Computed with"),
        ]
    measurements = len(columns) - 5
    columns += [
        Column("Starts from"),
        Column("Network"),
        Column("Checkpoint"),
        Column("Trained on"),
    ]
    rows = []
    for model in models:
        price = recorded_price(model)
        row: list[Cell] = [
            model.title,
            price.parameters,
            None if price.file_bytes is None else price.file_bytes / 1e6,
            None if price.seconds is None else price.seconds / 60,
            price.epochs,
        ]
        if measured:
            cost = costs.get(model.name)
            row += (
                [
                    cost.flops / 1e9,
                    *(cost.latency[size].median for size in SIZES_WH),
                    None if cost.memory_bytes is None else cost.memory_bytes / 1e6,
                    f"{cost.engine} {cost.precision}",
                ]
                if cost
                else [None] * measurements
            )
        row += [price.start, model.checkpoint.network_name, model.name, price.machine]
        rows.append(row)
    width, height = TYPICAL_WH
    return Table(
        "price",
        "Price",
        columns,
        rows,
        "Latency: median wall time from a decoded picture to its labels, models taking turns, on "
        f"this machine. Operations for a picture of {width} x {height}, a multiplication and the "
        "addition after it counted as two. Memory: what opening the model and segmenting that "
        "picture add to the peak of a process."
        if measured
        else "",
    )


@dataclass(frozen=True)
class RecordedPrice:
    """What a checkpoint says about its cost; None where it does not."""

    parameters: int | None
    file_bytes: int | None
    seconds: float | None
    epochs: int | None
    start: str
    machine: str


def recorded_price(model: Candidate) -> RecordedPrice:
    """From the checkpoint's description, however incomplete; of an ensemble, of all networks."""
    description = model.checkpoint.description
    training = description.get("training", {})
    try:
        networks = folder.members(model.checkpoint)
    except CheckpointError:  # for an ensemble that cannot be opened nothing is known in full
        networks = []

    def total(part: str, key: str) -> float | None:
        return _sum(_number(one.description.get(part, {}).get(key)) for one in networks)

    origin = str(description.get("encoder", {}).get("origin") or "")
    # What an origin says in parentheses is for the model card.
    start = "random weights" if origin == "none" else origin.split(" (")[0]
    return RecordedPrice(
        parameters=total("network", "parameters"),
        file_bytes=_sum(_size(one.weights_path) for one in networks),
        seconds=_sum(_number(one.training_seconds) for one in networks),
        epochs=total("training", "epochs_done"),
        start=start,
        machine=str(training.get("machine") or ""),
    )


def _number(value: object):
    return value if isinstance(value, int | float) else None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _sum(values: Iterable[float | None]) -> float | None:
    """None where one is unknown."""
    known = list(values)
    return sum(known) if known and None not in known else None
