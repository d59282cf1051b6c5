"""What goes over the wire: the API's arguments and answers, as its OpenAPI page shows them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.limits import LARGEST_TILE, MOST_ZOOMS
from model import __version__
from model.errors import ConfigError
from model.inference.engines.precision import Precision
from model.inference.exports import EXPORTS
from model.inference.options import (
    LEAST_ZOOM,
    MOST_ZOOM,
    TILE_MULTIPLE,
    Flips,
    Scale,
    SegmentOptions,
)

JSON = "json"

Output = StrEnum("Output", {name: name for name in (*EXPORTS, JSON)})
"""What a picture's segmentation can be had as: every export, and figures as JSON."""

Side = Annotated[int, Field(ge=0, le=LARGEST_TILE, multiple_of=TILE_MULTIPLE)]
Zoom = Annotated[float, Field(ge=LEAST_ZOOM, le=MOST_ZOOM)]
Area = Annotated[str, Field(max_length=200, pattern=r"^.+=[0-9]{1,9}$")]


class Wishes(BaseModel):
    """How a picture is to be segmented. Each argument may stand in the address or in the form."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        None,
        max_length=200,
        description="A name in /api/models; by default the one that is marked there.",
        examples=["pets-mobilenet"],
    )
    precision: Precision | None = Field(
        None,
        description="Arithmetic of the network; auto takes the fastest that costs at most 0.1 "
        "points of mean IoU.",
        examples=["f32"],
    )
    classes: list[Annotated[str, Field(max_length=200)]] | None = Field(
        None,
        max_length=256,
        description="Names of the classes in overlay, cut-out and polygons; repeat it for several. "
        "By default all but background.",
        examples=[["pet"]],
    )
    confidence: bool = Field(False, description="Put the confidence into `zip`.", examples=[True])
    entropy: bool = Field(False, description="Put the entropy into `zip`.")
    probabilities: bool = Field(
        False, description="Put the probabilities of all classes into `zip`."
    )
    flips: Flips = Field(
        "none",
        description="Test-time augmentation: also look at the mirrored picture, average.",
        examples=["horizontal"],
    )
    zooms: list[Zoom] = Field(
        [],
        max_length=MOST_ZOOMS,
        description="Test-time augmentation: also look at the picture magnified by these factors.",
        examples=[[0.75, 1.5]],
    )
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="For two classes: a pixel is of the second one where that is more probable.",
    )
    minimum_area: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Smaller regions, in pixels, go to the largest region beside them.",
        examples=[64],
    )
    minimum_areas: list[Area] = Field(
        [],
        max_length=256,
        description="The same for single classes: `name=pixels`; repeat it for several.",
    )
    scale: Scale = Field("trained", description="native: look at every pixel, which takes longer.")
    tile: Side | None = Field(
        None,
        description="Side of tiles in pixels, a multiple of 32. Times the largest of `zooms` it "
        f"is at most {LARGEST_TILE}.",
    )
    overlap: Side | None = Field(
        None, description="Of tiles, in pixels, a multiple of 32; at most half of `tile`."
    )

    def options(self) -> SegmentOptions:
        """Raises `ConfigError` for what cannot be, or would take too much memory."""
        magnified = max([1.0, *self.zooms])
        if self.tile is not None and self.tile * magnified > LARGEST_TILE:
            largest = int(LARGEST_TILE / magnified) // TILE_MULTIPLE * TILE_MULTIPLE
            raise ConfigError(
                f"Tiles of {self.tile} pixels, magnified by {magnified:g}, have "
                f"{self.tile * magnified:.0f}; the limit is {LARGEST_TILE}. Choose tile={largest} "
                "or less, smaller zooms, or leave tile out."
            )
        areas = [entry.rpartition("=") for entry in self.minimum_areas]
        return SegmentOptions(
            confidence=self.confidence,
            entropy=self.entropy,
            probabilities=self.probabilities,
            flips=self.flips,
            zooms=tuple(self.zooms),
            threshold=self.threshold,
            minimum_area=self.minimum_area,
            minimum_areas=tuple((name, int(area)) for name, _, area in areas),
            scale=self.scale,
            tile=self.tile,
            overlap=self.overlap,
        )


class PredictWishes(Wishes):
    """What one picture is to become."""

    output: Output = Field(Output.mask, description="What to answer with.", examples=["mask"])


class BatchWishes(Wishes):
    """What several pictures are to become."""

    output: list[Output] = Field(
        [Output.mask],
        min_length=1,
        max_length=len(Output),
        description="What to make of each picture; repeat it for several.",
        examples=[["mask", "csv"]],
    )


class Problem(BaseModel):
    """Any answer with a 4xx or 5xx status."""

    detail: str = Field(
        description="What was wrong and what to do.",
        examples=["There is no model 'cats'. Models: pets-mobilenet, pets-scratch."],
    )


class ClassEntry(BaseModel):
    """A class that a model knows."""

    id: int = Field(description="The class's value in masks.", examples=[0])
    name: str = Field(examples=["pet"])
    colour: str = Field(description="#rrggbb, the mask's palette.", examples=["#D55E00"])


class ClassResult(ClassEntry):
    """A class that occurs in the picture."""

    pixels: int = Field(examples=[81920])
    share: float = Field(description="Fraction of the picture, 0 to 1.", examples=[0.3125])
    mean_confidence: float = Field(
        description="Mean softmax probability of the class over its own pixels, 0 to 1.",
        examples=[0.94],
    )


class Prediction(BaseModel):
    """The answer to `output=json`."""

    model: str = Field(examples=["pets-mobilenet"])
    width: int = Field(description="Pixels, after EXIF rotation.", examples=[640])
    height: int = Field(description="Pixels, after EXIF rotation.", examples=[480])
    classes: list[ClassResult] = Field(description="Classes that occur, largest share first.")
    engine: str = Field(description="What ran the network.", examples=["openvino"])
    precision: str = Field(description="Arithmetic of the network.", examples=["f32"])
    milliseconds: dict[str, float] = Field(
        description="Wall time by step.",
        examples=[{"decode": 4.1, "network": 92.0, "labels": 11.3}],
    )


class Figures(BaseModel):
    """Scores over all pixels of a split of the model's own data set."""

    mean_iou: float = Field(description="0 to 1.", examples=[0.812])
    mean_dice: float = Field(description="0 to 1.", examples=[0.893])
    accuracy: float = Field(description="0 to 1.", examples=[0.951])
    pictures: int = Field(description="Pictures in the split.", examples=[85])
    split: str = Field(examples=["test"])
    resolution: str = Field(description="What the masks were compared at.", examples=["original"])
    precision: str = Field(examples=["f32"])


class ModelEntry(BaseModel):
    """A model that can be named in `POST /api/predict`."""

    name: str = Field(examples=["pets-mobilenet"])
    title: str = Field(examples=["Oxford-IIIT Pet · MobileNetV2 (pretrained)"])
    default: bool = Field(description="Used when a request names no model.")
    data: str = Field(description="The data set it was trained on.", examples=["pets"])
    network: str = Field(examples=["unet-mobilenet_v2"])
    parameters: int | None = Field(examples=[6629091])
    encoder: str | None = Field(
        description="What the encoder was pretrained on; null if from scratch.",
        examples=["ImageNet-1k"],
    )
    classes: list[ClassEntry]
    figures: Figures | None = Field(
        description="On the test split; null where they have not been measured."
    )
    prices: dict[str, float] = Field(
        description="What arithmetic below f32 costs, in points of mean IoU on the validation "
        "split, or test where it learned from validation; missing where it has not been measured.",
        examples=[{"bf16": 0.02, "int8": 0.31}],
    )
    licence: str | None = Field(description="Of the training data.", examples=["CC BY-SA 4.0"])
    source: str | None = Field(description="Of the training data.")


class ModelList(BaseModel):
    models: list[ModelEntry]


class ClassFigures(BaseModel):
    """Scores of one class, null where nothing of it occurs."""

    name: str = Field(examples=["pet"])
    iou: float | None = Field(examples=[0.86])
    dice: float | None = Field(description="Also called F1.", examples=[0.92])
    precision: float | None = Field(examples=[0.93])
    recall: float | None = Field(examples=[0.92])
    pixels: int | None = Field(description="In the truth of the split.", examples=[2634873])


class SplitFigures(Figures):
    classes: list[ClassFigures]


class ModelDetail(ModelEntry):
    """All that is known of a model."""

    splits: list[SplitFigures] = Field(
        description="Every split and precision that has been measured."
    )
    epochs: int | None = Field(description="That it was trained.", examples=[30])
    open: bool = Field(description="Whether it is in memory.")


class Queue(BaseModel):
    """What is being done, and what waits."""

    turns: int = Field(description="Pictures in hand at most.", examples=[2])
    running: int = Field(description="Pictures in hand.", examples=[1])
    waiting: dict[str, int] = Field(
        description="Pictures that wait for their turn, by lane.",
        examples=[{"page": 0, "api": 3, "batch": 1}],
    )
    places: dict[str, int] = Field(
        description="Requests that each lane takes; further ones get 503.",
        examples=[{"page": 32, "api": 24, "batch": 2}],
    )
    refused: int = Field(description="Requests that got 503 since the start.", examples=[0])


class Health(BaseModel):
    """Whether the server can answer, and what it has."""

    ready: bool = Field(description="The default model is open, and the server not stopping.")
    version: str = Field(examples=[__version__])
    open_models: list[str] = Field(description="Models in memory.", examples=[["pets-mobilenet"]])
    damaged: dict[str, str] = Field(
        description="Checkpoints that cannot be used, with the reason.",
        examples=[{"carla-scratch": "The checkpoint carla-scratch has no config.json."}],
    )
    queue: Queue
