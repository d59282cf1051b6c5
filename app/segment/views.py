"""The HTML of the segment page.

The stage holds the photograph and, as a small grey PNG, the labels at screen size; the page's
script colours them in the browser. So opacity and classes change at once, without the network
or the server. Pictures travel inside the HTML: nothing of them is left on disk.
"""

from __future__ import annotations

import base64
import io
import secrets
from html import escape

import numpy as np
from PIL import Image

from app import overlay
from app.look import TAGLINE, TITLE
from app.overlay import LegendRow
from app.segment.examples import Example
from model.checkpoints.folder import Checkpoint
from model.data.images import decode
from model.inference.segmenter import Segmentation

SPACE = "\N{NO-BREAK SPACE}"
ENGINE_TITLES = {"openvino": "OpenVINO", "torch": "PyTorch"}
VIEWS = {"classes": "Classes", "confidence": "Confidence", "picture": "Picture"}
THUMBNAIL_SIDE = 240


def header() -> str:
    return (
        f'<header class="masthead"><h1>{TITLE}</h1><p>{TAGLINE}</p>'
        '<nav><a href="compare/">Compare models</a><a href="api/docs">API</a></nav></header>'
    )


def notice(text: str) -> str:
    """Stands in for the stage while there is nothing to show."""
    return f'<p class="studio-notice">{escape(text)}</p>'


def new_key() -> str:
    """Ties a stage to the panel that was made with it: they reach the browser separately."""
    return secrets.token_hex(8)


def stage(key: str, name: str, image: np.ndarray, segmentation: Segmentation) -> str:
    """The picture with its layers.

    Args:
        name: what the picture is called, for people who cannot see it.
        image: RGB, uint8 (H, W, 3), and its segmentation with confidence.
    """
    height, width = overlay.display_size(*image.shape[:2])
    labels = Image.fromarray(overlay.reduce_labels(segmentation.labels))
    confidence = overlay.confidence_picture(segmentation.confidence)
    return (
        f'<figure class="studio-stage" data-key="{key}" style="--wide:{width};--high:{height}"'
        f' data-labels="{_data_uri(labels, "png")}">'
        f'<img class="photo" src="{_picture_uri(image)}" alt="{escape(name)}">'
        '<canvas role="img" aria-label="Classes, drawn over the picture"></canvas>'
        f'<img class="confidence" src="{_picture_uri(confidence)}" alt="Confidence map">'
        '<figcaption class="pointer" hidden></figcaption></figure>'
    )


def status(title: str, segmentation: Segmentation) -> str:
    """One line: what made the result, from what, in which time."""
    height, width = segmentation.labels.shape
    engine = ENGINE_TITLES.get(segmentation.engine, segmentation.engine)
    milliseconds = sum(segmentation.milliseconds.values())
    parts = (
        title,
        f"{engine} {segmentation.precision}",
        f"{width}{SPACE}\N{MULTIPLICATION SIGN}{SPACE}{height}{SPACE}px",
        f"{milliseconds:.0f}{SPACE}ms",
    )
    return f'<p class="studio-status">{escape(" · ".join(parts))}</p>'


def panel(key: str, segmentation: Segmentation) -> str:
    """View switch, opacity, and the legend whose rows show and hide classes."""
    shown = overlay.shown_at_first(segmentation.classes)
    rows = overlay.legend(segmentation)
    count = "1 class" if len(rows) == 1 else f"{len(rows)} classes"
    lines = "".join(_legend_row(row, row.id in shown) for row in rows)
    views = "".join(
        f'<label><input type="radio" name="view" value="{value}"><span>{text}</span></label>'
        for value, text in VIEWS.items()
    )
    opacity = round(100 * overlay.OPACITY)
    stops = overlay.confidence_colours()[::51]
    gradient = ",".join(f"rgb({red},{green},{blue})" for red, green, blue in stops)
    return (
        f'<div class="studio-panel" data-key="{key}">'
        f'<div class="views" role="radiogroup" aria-label="View">{views}</div>'
        '<div class="control"><label class="opacity"><span>Opacity</span>'
        f'<input type="range" min="0" max="100" value="{opacity}"><output></output></label>'
        f'<div class="scale"><span>0{SPACE}%</span><i style="--scale:{gradient}"></i>'
        f"<span>100{SPACE}%</span></div></div>"
        f'<div class="class-list"><div class="class-heading"><span>{count}</span><span>Share</span>'
        f'<span title="Mean probability that the network gives to the class it chose">Confidence'
        f"</span></div>{lines}</div></div>"
    )


def _legend_row(row: LegendRow, shown: bool) -> str:
    confidence = f"{100 * row.confidence:.0f}{SPACE}%" if row.confidence is not None else ""
    return (
        f'<label class="class-row" style="--colour:{row.colour};--share:{row.share:.4f}">'
        f'<input type="checkbox"{" checked" * shown} data-id="{row.id}" data-colour="{row.colour}">'
        f'<span class="name">{escape(row.name)}</span>'
        f'<span class="share">{escape(overlay.share_text(row.share))}</span>'
        f'<span class="sure">{confidence}</span><i></i></label>'
    )


def examples(entries: list[Example]) -> str:
    """A strip of pictures to click; the script reports which."""
    buttons = "".join(
        f'<button type="button" data-example="{index}" title="{escape(entry.title)}">'
        f'<img src="{_thumbnail_uri(entry)}" alt="{escape(entry.title)}"></button>'
        for index, entry in enumerate(entries)
    )
    words = "<span>Or try one of these</span>"
    return f'<div class="studio-examples">{words}<div>{buttons}</div></div>'


def facts(checkpoint: Checkpoint) -> str:
    """What a model was made from and how good it is, with the protocol beside each figure."""
    description = checkpoint.description
    data, encoder = description.get("data", {}), description.get("encoder", {})
    sizes = data.get("split_sizes", {})
    title = data.get("title") or checkpoint.data_name
    rows = {
        "Data": f"{title}, {sizes['train']} training pictures" if "train" in sizes else title,
        "Licence of the data": data.get("licence"),
        "Source": data.get("source"),
        "Network": _network_text(checkpoint),
        "Encoder": (
            f"{encoder.get('name', 'unnamed')}, "
            f"pretrained on {encoder.get('origin', 'unknown data')}"
            if encoder.get("pretrained")
            else "trained from scratch, nothing pretrained"
        ),
        "Mean IoU": _figure_text(checkpoint, title),
        "Classes": ", ".join(checkpoint.classes.names),
        "Checkpoint": checkpoint.name,
    }
    lines = "".join(
        f"<dt>{term}</dt><dd>{escape(str(text))}</dd>" for term, text in rows.items() if text
    )
    return f'<dl class="studio-facts">{lines}</dl>'


def _network_text(checkpoint: Checkpoint) -> str:
    parameters = checkpoint.description.get("network", {}).get("parameters")
    name = checkpoint.network_name
    return f"{name}, {parameters / 1e6:.2f} million parameters" if parameters else name


def _figure_text(checkpoint: Checkpoint, title: str) -> str:
    result = checkpoint.figures("test")
    if result is None:
        return "not measured yet"
    return (
        f"{100 * result['mean_iou']:.1f}{SPACE}% on {title}, test split of "
        f"{result['num_images']} pictures, original resolution, {checkpoint.name} in f32"
    )


def _thumbnail_uri(entry: Example) -> str:
    image = Image.fromarray(decode(entry.path))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return _data_uri(image, "jpeg", quality=85)


def _picture_uri(image: np.ndarray) -> str:
    # A preview for the eye only; masks never go through a lossy format.
    return _data_uri(Image.fromarray(overlay.reduce_image(image)), "jpeg", quality=88)


def _data_uri(image: Image.Image, kind: str, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
