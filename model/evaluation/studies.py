"""What a study leaves: one JSON file, which is published by copying it to `weights/studies/`.

There are three kinds: small data, cross-validation, and the search for settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, RootModel

from model.checkpoints import zoo
from model.data.schema import Record, parse_json, validate
from model.errors import DataError
from model.evaluation.metrics import Metrics

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class StudyData(Record):
    """The data set and the split of a study, as a checkpoint records them."""

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


class Trained(Record):
    """One run: what it was trained on, and its figures on the test part, in [0, 1]."""

    pictures: Annotated[int, Field(ge=1)]
    seed: Count
    mean_iou: Share
    mean_dice: Share
    accuracy: Share
    epochs: Count
    best_epoch: Count
    steps: Count
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SmallDataResult(Record):
    """A small-data study: all runs of one network, on more and more pictures.

    `encoder` says whether and on what it was pretrained, as in a checkpoint; `training` holds the
    settings that the runs share, by their names in `TrainConfig`, and the machine.
    """

    kind: Literal["small-data"] = "small-data"
    schema_version: Literal[1] = 1
    data: StudyData
    network: Network
    encoder: dict[str, Any]
    resolution: Literal["original"] = "original"
    training: dict[str, Any]
    command: str
    runs: list[Trained]


class PerClass(Record):
    """Figures by class id, in [0, 1]; None where a class neither occurs nor is predicted.
    `support` counts pixels."""

    iou: list[Share | None]
    dice: list[Share | None]
    precision: list[Share | None]
    recall: list[Share | None]
    support: list[Count]


class Figures(Record):
    """Figures of one confusion matrix, in [0, 1], over the classes that occur."""

    mean_iou: Share
    mean_dice: Share
    mean_precision: Share
    mean_recall: Share
    accuracy: Share
    per_class: PerClass
    confusion_matrix: list[list[Count]]

    @classmethod
    def of(cls, metrics: Metrics) -> Figures:
        return cls.model_validate(metrics.to_json())

    def value(self, figure: str, class_id: int | None = None) -> float | None:
        """Args: figure: an attribute, with `class_id` one of `per_class`."""
        if class_id is None:
            return getattr(self, figure)
        return getattr(self.per_class, figure)[class_id]


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
    """One trial: its settings, and its best mean IoU on validation, in [0, 1]; None if no epoch
    was finished. `state` is Optuna's: "complete", "pruned" (ended early, or diverged), "fail"
    (resumed by another trial), "running", "waiting"."""

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


Study = SmallDataResult | CrossValidationResult | SearchResult
Kind = TypeVar("Kind", bound=Record)


class _File(RootModel[Annotated[Study, Field(discriminator="kind")]]):
    pass


def read(kind: type[Kind], path: Path) -> Kind:
    """Raises `DataError` naming the file and what is wrong in it."""
    return validate(kind, parse_json(path), path)


def published() -> tuple[dict[str, Study], dict[str, str]]:
    """The studies in `weights/studies/` by the names of their files, and for each damaged file
    its error message."""
    good: dict[str, Study] = {}
    damaged: dict[str, str] = {}
    for path in zoo.study_files():
        try:
            good[path.stem] = read(_File, path).root
        except DataError as error:
            damaged[path.stem] = str(error)
    return good, damaged


def of_kind(kind: type[Kind], studies: Mapping[str, Study]) -> dict[str, Kind]:
    """Those of one kind."""
    return {name: study for name, study in studies.items() if isinstance(study, kind)}
