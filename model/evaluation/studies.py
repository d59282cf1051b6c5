"""What a study leaves: one JSON file, which is published by a copy of it in `weights/studies/`.

Cross-validation and the search for settings are recorded here, small data in
`report.small_data`, where its curve is. Each file says its `kind`.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from model.checkpoints import folder
from model.data.schema import Finite, Record, parse_json, validate
from model.errors import DataError
from model.evaluation.metrics import Metrics

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class StudyData(Record):
    """The data set and the split that a study rests on, as a checkpoint records them."""

    name: str
    title: str
    digest: str
    split_rule: str
    split_digest: str
    split_sizes: dict[Literal["train", "validation", "test"], Count]

    @property
    def key(self) -> tuple[str, str, str]:
        """Name and digest of the data, and digest of the split: what must agree to compare."""
        return self.name, self.digest, self.split_digest


class Network(Record):
    """The network, as a checkpoint records it."""

    name: str
    parameters: Count


class Figures(Record):
    """Figures of one confusion matrix, in [0, 1]; None where a class neither is nor is predicted.

    `per_class` holds "iou", "dice", "precision" and "recall", by class id.
    """

    mean_iou: Share | None
    mean_dice: Share | None
    mean_precision: Share | None
    mean_recall: Share | None
    accuracy: Share | None
    per_class: dict[str, list[Finite | None]]
    confusion_matrix: list[list[Count]]

    @classmethod
    def of(cls, metrics: Metrics) -> Figures:
        return cls.model_validate(metrics.to_json())

    def value(self, figure: str, class_id: int | None = None) -> float | None:
        """Args: figure: an attribute, or with `class_id` a key of `per_class`."""
        return getattr(self, figure) if class_id is None else self.per_class[figure][class_id]


class CrossValidationResult(Record):
    """A cross-validation: `each` fold by the network that did not learn from it, and `pooled`,
    all these predictions in one confusion matrix. The two differ: a rare class may be missing
    from a fold."""

    kind: Literal["cross-validation"] = "cross-validation"
    schema_version: Literal[1] = 1
    data: StudyData
    class_names: list[str]
    folds: Count
    fold_rule: str
    num_images: Count
    resolution: Literal["original"] = "original"
    network: Network
    encoder: dict[str, Any]
    training: dict[str, Any]
    command: str
    pooled: Figures
    each: list[Figures]
    ensemble_on_test: Figures

    def spread(self, figure: str, class_id: int | None = None) -> tuple[float | None, float | None]:
        """Mean and standard deviation (n - 1) over the folds that have the figure, in [0, 1];
        None where too few have. Args: as `Figures.value`."""
        values = [figures.value(figure, class_id) for figures in self.each]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None, stdev(known) if len(known) > 1 else None


class SearchTrial(Record):
    """One trial: its settings, and its best mean IoU on validation, in [0, 1]; None if it has
    come to no end. `state` is Optuna's: "complete", "pruned" (ended early), "fail", "running"."""

    trial: Count
    state: str
    epochs: Count
    chosen: dict[str, Any]
    validation_iou: Share | None


class SearchResult(Record):
    """A search for settings: the winning trial, the commands that train it, as a trial and
    (`retrain`) on the validation pictures too, and all trials."""

    kind: Literal["search"] = "search"
    schema_version: Literal[1] = 1
    data: StudyData
    network: str
    training: dict[str, Any]
    command: str
    trial: Count
    validation_iou: Share
    chosen: dict[str, Any]
    train: str
    retrain: str
    trials: list[SearchTrial]


Kind = TypeVar("Kind", bound=Record)


def read(kind: type[Kind], path: Path) -> Kind:
    """Raises `DataError` naming the file and what is wrong in it."""
    return validate(kind, parse_json(path), path)


def published(kind: type[Kind]) -> tuple[dict[str, Kind], dict[str, str]]:
    """The studies of a kind in `weights/studies/` by the names of their files, and for each
    damaged file its error message."""
    good: dict[str, Kind] = {}
    damaged: dict[str, str] = {}
    for path in folder.study_files():
        try:
            content = parse_json(path)
            named = content.get("kind") if isinstance(content, dict) else None
            if named in _KINDS - {kind.model_fields["kind"].default}:
                continue
            good[path.stem] = validate(kind, content, path)
        except DataError as error:
            damaged[path.stem] = str(error)
    return good, damaged


_KINDS = {"small-data", "cross-validation", "search"}
