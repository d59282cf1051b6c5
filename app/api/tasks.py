"""What is to be done with a picture, and its doing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from app import limits, models, overlay
from app.api.schema import JSON, ClassResult, Prediction, Wishes
from app.limits import Deadline, TooLongError
from model.checkpoints.folder import Checkpoint
from model.inference.exports import EXPORTS, Picture, choose
from model.inference.options import SegmentOptions
from model.inference.segmenter import Cancelled, Segmentation

# One at a time: many threads that parse JSON would keep the event loop from its turn.
_finding = anyio.CapacityLimiter(1)


@dataclass(frozen=True)
class Task:
    """What is to be done with each picture.

    Attributes:
        outputs: names in `EXPORTS`, or "json".
        chosen: ids of the classes in overlays, cut-outs and polygons.
        seconds: that one picture may take.
    """

    checkpoint: Checkpoint
    precision: str | None
    options: SegmentOptions
    outputs: Sequence[str]
    chosen: set[int]
    seconds: float

    def run(self, content: bytes, name: str) -> tuple[Segmentation, list[tuple[str, bytes]]]:
        """Segments a picture. Returns suffix and content of each output, in their order.

        Raises: `StudioError`.
        """
        deadline = Deadline.after(self.seconds)
        start = time.perf_counter()
        picture = Picture.read(content, name)
        decoding = 1e3 * (time.perf_counter() - start)
        if self.options.probabilities:
            height, width = picture.image.shape[:2]
            limits.check_probabilities(height * width, len(self.checkpoint.classes))
        segmenter = models.POOL.get(self.checkpoint, precision=self.precision)
        try:
            result = segmenter.segment(picture.image, self.options, cancelled=deadline.passed)
        except Cancelled:
            raise TooLongError.after(self.seconds) from None
        result.milliseconds["decode"] += decoding
        if any(output != JSON and EXPORTS[output].outlines for output in self.outputs):
            limits.check_outlines(result.labels)
        files = []
        for output in self.outputs:
            if deadline.passed():
                raise TooLongError.after(self.seconds)
            if output == JSON:
                files.append((".json", _prediction(result).model_dump_json().encode()))
            else:
                export = EXPORTS[output]
                files.append((export.suffix, export.write(result, picture, self.chosen)))
        return result, files


async def task_for(wishes: Wishes, outputs: Sequence[str]) -> Task:
    """Raises: as `models.find`; `ConfigError` for what does not suit the model."""
    checkpoint = await anyio.to_thread.run_sync(models.find, wishes.model, limiter=_finding)
    needed = {name for output in outputs for name in _needed(output)}
    options = replace(wishes.options(), **dict.fromkeys(needed, True))
    options.check(checkpoint.classes)
    return Task(
        checkpoint=checkpoint,
        precision=wishes.precision,
        options=options,
        outputs=list(dict.fromkeys(outputs)),
        chosen=choose(checkpoint.classes, wishes.classes),
        seconds=limits.most_seconds(),
    )


def _needed(output: str) -> tuple[str, ...]:
    """The maps that an output is made of."""
    if output == JSON:
        return ("confidence",)
    needs = EXPORTS[output].needs
    return (needs,) if needs else ()


def _prediction(result: Segmentation) -> Prediction:
    height, width = result.labels.shape
    return Prediction(
        model=result.model,
        width=width,
        height=height,
        classes=[
            ClassResult(
                id=row.id,
                name=row.name,
                colour=row.colour,
                pixels=row.pixels,
                share=row.share,
                mean_confidence=round(row.confidence, 4),
            )
            for row in overlay.legend(result)
        ],
        engine=result.engine,
        precision=result.precision,
        milliseconds={name: round(value, 1) for name, value in result.milliseconds.items()},
    )
