"""One picture through each model, in panels that move together; `panels.js` draws them.

The page sends the picture and the label maps, exact to the pixel; overlays, errors and
disagreement are painted where they are looked at.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from app.compare.predictions import PANEL_SIDE, Prediction, differ
from app.compare.sources import Picture
from app.overlay import OPACITY, reduce_labels, share_text
from model.data.classes import ClassTable
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.words import NOTHING, percent

FOLDER = Path(__file__).parent
HINT = "Drag to move, double click or Ctrl and wheel to zoom (arrows, + and -); all panels follow."
JPEG_QUALITY = 92


def panels(
    picture: Picture,
    image: np.ndarray,
    size: str,
    shown: Sequence[Candidate],
    predictions: Sequence[Prediction],
) -> None:
    """Draws the panels.

    Args:
        image: the picture at the panels' size, uint8 (h, w, 3); size: its own, in words.
        shown, predictions: the models, and what each saw.
    """
    component = st.components.v2.component(
        "compare_panels",
        html=(FOLDER / "panels.html").read_text(encoding="utf-8"),
        css=(FOLDER / "panels.css").read_text(encoding="utf-8"),
        js=(FOLDER / "panels.js").read_text(encoding="utf-8"),
    )
    component(key="panels", data=content(picture, image, size, shown, predictions))


def content(
    picture: Picture,
    image: np.ndarray,
    size: str,
    shown: Sequence[Candidate],
    predictions: Sequence[Prediction],
) -> dict[str, Any]:
    """What `panels.js` is given, as JSON: picture, maps, the list of panels, and the legend.

    Arguments as for `panels`. Truth, errors and disagreement are left out where the models know
    different classes: equal numbers would not mean the same.
    """
    tables = [model.checkpoint.classes for model in shown]
    comparable = len({tuple(table.names) for table in tables}) == 1
    maps = {
        f"model {i}": _map(prediction.labels, table)
        for i, (prediction, table) in enumerate(zip(predictions, tables, strict=True))
    }
    made: list[dict[str, Any]] = [
        {
            "kind": "picture", "title": "Picture", "note": size, "about": "The picture",
            "maps": [], "wide": True,
        }
    ]  # fmt: skip
    for i, (model, prediction) in enumerate(zip(shown, predictions, strict=True)):
        note = f"{percent(prediction.mean_iou)} mean IoU"
        if prediction.mean_iou is None:
            note = f"seen with {prediction.engine}"
        made.append(
            {
                "kind": "labels", "title": model.title, "note": note, "colour": model.colour,
                "about": f"The picture with what {model.title} sees", "maps": [f"model {i}"],
            }
        )  # fmt: skip
    heads = [{"title": model.title, "colour": model.colour} for model in shown]
    truth = picture.truth if comparable else None
    if truth is not None:
        heads.append({"title": "Truth"})
        maps["truth"] = _map(reduce_labels(truth, PANEL_SIDE), tables[0])
        made.append(
            {
                "kind": "labels", "title": "Truth", "note": "what was to be found",
                "about": "The picture with the truth", "maps": ["truth"], "wide": True,
            }
        )  # fmt: skip
        for i, (model, prediction) in enumerate(zip(shown, predictions, strict=True)):
            made.append(
                {
                    "kind": "errors", "title": "Errors", "colour": model.colour,
                    "note": f"{percent(prediction.wrong)} of pixels",
                    "about": f"Pixels that {model.title} gets wrong",
                    "maps": ["truth", f"model {i}"],
                }
            )  # fmt: skip
    if len(shown) > 1 and comparable:
        share = differ([prediction.labels for prediction in predictions]).mean()
        made.append(
            {
                "kind": "differ", "title": "Disagreement", "note": f"{percent(share)} of pixels",
                "about": "Pixels on which the models disagree", "wide": True,
                "maps": [f"model {i}" for i in range(len(shown))],
            }
        )  # fmt: skip
    values = {
        "image": _jpeg(image),
        "maps": maps,
        "panels": made,
        "columns": 1 + len(shown),
        "heads": heads,
        "classes": legend(shown, predictions, truth),
        "opacity": round(100 * OPACITY),
        "hint": HINT,
    }
    # Streamlit calls the script again at every change of the page; equal content is not redrawn.
    return {"key": hashlib.sha256(repr(values).encode()).hexdigest()[:16], **values}


def legend(
    shown: Sequence[Candidate], predictions: Sequence[Prediction], truth: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """The classes that any model sees or the truth has, the largest share first, with the share of
    the picture that each model, then the truth, gives it.

    Args: truth: uint8 (H, W) in the classes of all models, None where it is not shown.
    """
    seen = [(m.checkpoint.classes, p.shares) for m, p in zip(shown, predictions, strict=True)]
    if truth is not None:
        # Pillow counts bytes as they are; numpy would first make eight of each.
        counts = np.array(Image.fromarray(truth).histogram())
        seen.append((shown[0].checkpoint.classes, counts / truth.size))
    rows: dict[tuple[str, str], dict[int, float]] = {}
    for i, (classes, shares) in enumerate(seen):
        for info in classes:
            if shares[info.id] > 0:
                rows.setdefault((info.name, info.colour), {})[i] = shares[info.id]
    return [
        {
            "name": name,
            "colour": colour,
            "shares": [share_text(by[i]) if i in by else NOTHING for i in range(len(seen))],
        }
        for (name, colour), by in sorted(rows.items(), key=lambda item: -max(item[1].values()))
    ]


def _map(labels: np.ndarray, classes: ClassTable) -> dict[str, Any]:
    return {
        "ids": base64.b64encode(zlib.compress(np.ascontiguousarray(labels).tobytes())).decode(),
        "names": classes.names,
        "colours": [info.colour for info in classes],
    }


def _jpeg(image: np.ndarray) -> dict[str, str]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return {"type": "image/jpeg", "data": base64.b64encode(buffer.getvalue()).decode()}
