"""`Segmenter`: a checkpoint that segments pictures. The one way from a picture to labels."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data.classes import ClassTable
from model.data.images import Source, decode
from model.inference.engines import make_engine
from model.inference.resampling import labels_from_logits


@dataclass(frozen=True)
class Segmentation:
    """What a network sees in a picture.

    Attributes:
        labels: uint8 (H, W) class ids, at the picture's own size.
        classes: what the ids mean.
        model: name of the checkpoint.
        engine, precision: what computed it, e.g. "openvino", "f32".
        confidence: float16 (H, W) in [0, 1], softmax probability of the chosen class; None
            unless asked for.
        milliseconds: wall time by step: "decode", "network", "labels".
    """

    labels: np.ndarray
    classes: ClassTable
    model: str
    engine: str
    precision: str
    confidence: np.ndarray | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    def shares(self) -> np.ndarray:
        """Fraction of the picture's pixels per class, float64 (C,), sums to 1."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        return counts / max(self.labels.size, 1)

    def mean_confidences(self) -> np.ndarray:
        """Mean confidence per class over its own pixels, float64 (C,), NaN for absent classes.

        Raises `ValueError` if the confidence was not asked for.
        """
        if self.confidence is None:
            raise ValueError("segment(..., confidence=True) is needed for confidences")
        flat, size = self.labels.ravel(), len(self.classes)
        sums = np.bincount(flat, self.confidence.ravel(), minlength=size)
        with np.errstate(invalid="ignore"):
            return sums / np.bincount(flat, minlength=size)


class Segmenter:
    """Segments pictures with one checkpoint. Safe to share between threads.

    Args:
        model: a name in `weights/`, a checkpoint folder's path, or a `Checkpoint`.
        engine: "auto", "openvino" or "torch".

    Raises: `UnknownModelError`, `CheckpointError`, `ConfigError`.

    >>> segmenter = Segmenter("pets-mobilenet")             # doctest: +SKIP
    >>> segmenter.segment("cat.jpg").labels.shape           # doctest: +SKIP
    (480, 640)
    """

    def __init__(self, model: str | Path | Checkpoint, *, engine: str = "auto") -> None:
        if isinstance(model, Checkpoint):
            self.checkpoint = model
        elif isinstance(model, Path):
            self.checkpoint = folder.read(model)
        else:
            self.checkpoint = folder.find(model)
        self._engine = make_engine(self.checkpoint, engine)
        # One picture at a time: an engine already uses all cores for one.
        self._lock = threading.Lock()

    @property
    def classes(self) -> ClassTable:
        return self.checkpoint.classes

    @property
    def engine(self) -> str:
        return self._engine.name

    @property
    def precision(self) -> str:
        return self._engine.precision

    def segment(self, picture: Source | np.ndarray, *, confidence: bool = False) -> Segmentation:
        """Segments one picture.

        Args:
            picture: path, bytes, binary file, or RGB array uint8 (H, W, 3).
            confidence: also compute the confidence map.

        Raises: `ImageError` if it cannot be read as a picture.
        """
        start = time.perf_counter()
        image = picture if isinstance(picture, np.ndarray) else decode(picture)
        decoded = time.perf_counter()
        logits = self.logits(image)
        computed = time.perf_counter()
        labels, certainty = labels_from_logits(logits, image.shape[:2], confidence=confidence)
        done = time.perf_counter()
        return Segmentation(
            labels=labels,
            classes=self.classes,
            model=self.checkpoint.name,
            engine=self.engine,
            precision=self.precision,
            confidence=certainty,
            milliseconds={
                "decode": 1e3 * (decoded - start),
                "network": 1e3 * (computed - decoded),
                "labels": 1e3 * (done - computed),
            },
        )

    def logits(self, image: np.ndarray) -> np.ndarray:
        """Logits at the network's resolution, padding removed.

        Args: image: uint8 (H, W, 3), RGB.
        Returns: float32 (C, h, w) with h, w = `preprocessing.fitted_hw(H, W)`.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
        preprocessing = self.checkpoint.preprocessing
        height, width = preprocessing.fitted_hw(*image.shape[:2])
        batch = preprocessing.network_input(image)
        with self._lock:
            logits = self._engine.logits(batch)
        return logits[0, :, :height, :width]


class SegmenterPool:
    """Shares opened segmenters between pages and API; the least recently used one goes.

    Args: size: how many stay open; engine: see `Segmenter`.
    """

    def __init__(self, size: int = 6, engine: str = "auto") -> None:
        self.size = size
        self.engine = engine
        self._open: OrderedDict[tuple[str, int], Future[Segmenter]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: str | Checkpoint) -> Segmenter:
        """The segmenter of that model, opened now if need be. Raises as `Segmenter` does.

        Who asks for a model that is being opened waits for it; other models are not held up.
        """
        checkpoint = model if isinstance(model, Checkpoint) else folder.find(model)
        # A retrained checkpoint of the same name must not be answered by its old weights.
        key = (str(checkpoint.path.resolve()), checkpoint.weights_path.stat().st_mtime_ns)
        with self._lock:
            mine = key not in self._open
            opened = self._open.setdefault(key, Future())
            self._open.move_to_end(key)
            while len(self._open) > self.size:
                self._open.popitem(last=False)
        if mine:
            try:
                opened.set_result(Segmenter(checkpoint, engine=self.engine))
            except BaseException as error:
                with self._lock:  # so that the next one tries again
                    self._open.pop(key, None)
                opened.set_exception(error)
        return opened.result()

    def open_models(self) -> list[str]:
        """Names of the models in memory, least recently used first."""
        with self._lock:
            ready = [future for future in self._open.values() if future.done()]
        return [future.result().checkpoint.name for future in ready if not future.exception()]
