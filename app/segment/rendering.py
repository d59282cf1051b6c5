"""From what lies on the desk to what the page shows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlencode

from app import models
from app.segment import views
from app.segment.desk import Desk
from app.segment.jobs import Watch
from app.segment.options import checked_precision
from app.segment.truth import read_truth
from model.checkpoints.folder import Checkpoint
from model.data.images import decode
from model.data.masks import index_png
from model.evaluation.metrics import Metrics, confusion_matrix


@dataclass(frozen=True)
class Rendered:
    """A segmentation as the page shows it, and its mask as an index PNG.

    Attributes: stage, status, panel: HTML; checks: figures against a mask or a second model.
    """

    stage: str
    status: str
    panel: str
    checks: str
    mask: bytes


def render(
    desk: Desk, checkpoint: Checkpoint, second: Checkpoint | None = None, watch: Watch | None = None
) -> Rendered:
    """Segments the picture, in a turn of `models.QUEUE` that the caller holds.

    Raises: as `decode`, `read_truth` and `Segmenter` do.
    """
    watch = watch or Watch()
    chosen = desk.chosen
    segmenter = models.POOL.get(checkpoint, precision=checked_precision(chosen, checkpoint))
    start = time.perf_counter()
    image = decode(desk.path)
    decoding = 1e3 * (time.perf_counter() - start)
    truth = read_truth(desk.truth, checkpoint, image.shape[:2]) if desk.truth else None
    halves = 2 if second else 1
    result = segmenter.segment(
        image,
        chosen.segment_options(segmenter.classes, confidence=True, entropy=True),
        progress=lambda done: watch.progress(done / halves),
        cancelled=watch.cancelled,
    )
    result.milliseconds["decode"] += decoding
    checks, other = "", None
    if truth is not None:
        matrix = confusion_matrix(truth.labels, result.labels, len(result.classes))
        checks += views.scores(Metrics.of(matrix), result.classes, truth.words)
    if second is not None:
        other_segmenter = models.POOL.get(second, precision=checked_precision(chosen, second))
        seen = other_segmenter.segment(
            image,
            chosen.segment_options(second.classes),
            progress=lambda done: watch.progress(0.5 + done / halves),
            cancelled=watch.cancelled,
        )
        other = views.Second(models.label(second), seen.labels)
        query = urlencode({"models": f"{checkpoint.name},{second.name}"}, safe=",/")
        share = float((seen.labels != result.labels).mean())
        checks += views.disagreement(share, other.title, query)
    key = views.new_key()
    return Rendered(
        stage=views.stage(
            key,
            desk.name,
            image,
            result,
            chosen.query(checkpoint.name),
            truth.labels if truth else None,
            other,
        ),
        status=views.status(models.label(checkpoint), result),
        panel=views.panel(key, result, truth=truth is not None, second=other),
        checks=checks,
        mask=index_png(result.labels, result.classes),
    )
