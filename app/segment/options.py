"""What a visitor can choose about segmenting, and how an address says it.

`?model=pets-mobilenet&flips=both&minimum_area=200` opens the page with that choice.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlencode

from app import models
from model.checkpoints.folder import Checkpoint
from model.data.classes import ClassTable
from model.inference.engines.precision import FASTEST_FIRST, PRECISIONS, Precision, native
from model.inference.options import Flips, SegmentOptions

FLIPS = {
    "Once": "none",
    "Mirrored": "horizontal",
    "Upside down": "vertical",
    "All four ways": "both",
}
TILES = {"Automatic": 0, "256": 256, "512": 512, "768": 768, "1024": 1024}
MOST_AREA = 10_000


@dataclass(frozen=True)
class Chosen:
    """The options of the page.

    Attributes:
        flips, threshold, minimum_area: as in `SegmentOptions`.
        native: look at every pixel, whatever size the network was trained at.
        tile: side in pixels, 0 for the checkpoint's own.
    """

    precision: Precision = "auto"
    flips: Flips = "none"
    native: bool = False
    tile: int = 0
    threshold: float = 0.5
    minimum_area: int = 0

    def segment_options(self, classes: ClassTable, **maps: bool) -> SegmentOptions:
        """For a checkpoint with these classes; a threshold counts where there are two.

        Raises: `ConfigError` for options that cannot be.
        """
        moved = len(classes) == 2 and self.threshold != 0.5
        return SegmentOptions(
            flips=self.flips,
            scale="native" if self.native else "trained",
            tile=self.tile or None,
            threshold=self.threshold if moved else None,
            minimum_area=self.minimum_area,
            **maps,
        )

    def query(self, model: str) -> str:
        """The address's query that opens the page with this choice; defaults are left out."""
        standard = asdict(Chosen())
        own = {name: v for name, v in asdict(self).items() if v != standard[name]}
        return urlencode({"model": model} | {n: int(v) if v is True else v for n, v in own.items()})

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Chosen:
        """What an address or the page asks for; what it asks wrongly is as if not asked."""
        read = {
            "precision": lambda text: _one_of(text, PRECISIONS),
            "flips": lambda text: _one_of(text, FLIPS.values()),
            "native": lambda text: text in ("1", "True"),
            "tile": lambda text: _one_of(int(text), TILES.values()),
            "threshold": lambda text: min(max(_finite(text), 0.05), 0.95),
            "minimum_area": lambda text: int(min(max(_finite(text), 0), MOST_AREA)),
        }
        asked = {}
        for field in fields(cls):
            try:
                asked[field.name] = read[field.name](str(query[field.name]))
            except (KeyError, ValueError):
                continue
        return cls(**asked)


def precision_choices(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """What a checkpoint can compute in here, each with its recorded price: (text, name)."""
    if platform.machine() not in ("x86_64", "AMD64") or models.POOL.engine == "torch":
        return [("f32: exact", "auto")]
    prices = checkpoint.prices()
    choices = [("Automatic: the fastest that costs next to nothing", "auto")]
    for name in reversed(FASTEST_FIRST):
        if name not in native() or (name == "int8" and not checkpoint.int8_path.is_file()):
            continue
        price = "exact" if name == "f32" else _price_text(prices.get(name))
        choices.append((f"{name}: {price}", name))
    return choices


def checked_precision(chosen: Chosen, checkpoint: Checkpoint) -> str | None:
    """The chosen precision; None, the server's own, where this checkpoint or processor lacks it."""
    if chosen.precision == "auto":
        return None
    offered = [name for _, name in precision_choices(checkpoint)]
    return chosen.precision if chosen.precision in offered else None


def _price_text(points: float | None) -> str:
    if points is None:
        return "price not measured"
    if points <= 0:
        return "costs nothing measurable"
    return f"costs {points:.2f} points of mean IoU"


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _one_of(value, known):
    if value not in known:
        raise ValueError(value)
    return value
