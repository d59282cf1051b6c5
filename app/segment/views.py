"""The HTML of the segment page.

The stage holds the photograph and, as small PNGs, labels and maps at screen size; the page's
script (`stage.js`) colours them in the browser. So views, opacity and classes change at once,
without the network or the server. Pictures travel inside the HTML: nothing of them is left on disk.
"""

from __future__ import annotations

import base64
import functools
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from app import models, overlay
from app.look import TAGLINE, TITLE
from app.overlay import LegendRow
from app.segment.examples import Example
from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import data_title
from model.data.classes import ClassTable
from model.data.images import decode
from model.evaluation.metrics import Metrics, mean_of_known
from model.evaluation.report.words import FIGURE_TITLES
from model.inference.exports import EXPORTS
from model.inference.segmenter import Segmentation
from model.words import SPACE, percent

ENGINE_TITLES = {"openvino": "OpenVINO", "torch": "PyTorch"}
VIEWS = {
    "classes": "Classes",
    "confidence": "Confidence",
    "entropy": "Entropy",
    "picture": "Picture",
}
TRUTH_VIEWS = {"truth": "Truth", "errors": "Errors"}
OTHER_VIEWS = {"other": "Second", "differ": "Disagreement"}
STYLES = {"fill": "Filled", "outline": "Outlined", "hatch": "Hatched"}
CAMERA = '<button type="button" class="open-camera" title="Take a picture">Camera</button>'
THUMBNAIL_SIDE = 240
DOUBTS_SIDE = 800
"""Longest side of the maps of confidence and entropy on the page: networks see no finer."""


@dataclass(frozen=True)
class Second:
    """What another model sees in the same picture: its name in words, and labels (H, W)."""

    title: str
    labels: np.ndarray


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


def stage(
    key: str,
    name: str,
    image: np.ndarray,
    segmentation: Segmentation,
    query: str = "",
    truth: np.ndarray | None = None,
    second: Second | None = None,
) -> str:
    """The picture with its layers.

    Args:
        name: what the picture is called, for people who cannot see it.
        image: RGB, uint8 (H, W, 3), and its segmentation with confidence and entropy.
        query: of the address that restores model and options.
        truth: labels uint8 (H, W), where a mask was given.
    """
    height, width = overlay.display_size(*image.shape[:2])
    layers = {"labels": _map_uri(segmentation.labels), "doubts": _doubts_uri(segmentation)}
    if truth is not None:
        layers["truth"] = _map_uri(truth)
    if second is not None:
        layers["other"] = _map_uri(second.labels)
    data = "".join(f' data-{layer}="{uri}"' for layer, uri in layers.items())
    seen = ", ".join(
        f"{row.name} {overlay.share_text(row.share)}" for row in overlay.legend(segmentation)
    )
    return (
        f'<figure class="studio-stage" data-key="{key}" data-query="{escape(query)}" tabindex="0"'
        f' style="--wide:{width};--high:{height}"{data} aria-label="{escape(name)}, segmented.'
        f' Arrow keys move over it and tell the class.">'
        f'<img class="photo" src="{_picture_uri(image)}" alt="{escape(name)}">'
        f'<canvas role="img" aria-label="Classes: {escape(seen)}"></canvas>'
        '<div class="labels"></div>'
        '<input class="split" type="range" min="0" max="100" value="0"'
        ' aria-label="Before and after: how much of the plain picture is seen">'
        '<figcaption class="pointer" role="status" hidden></figcaption></figure>'
    )


def status(title: str, segmentation: Segmentation) -> str:
    """One line: what made the result, from what, in which time."""
    height, width = segmentation.labels.shape
    engine = ENGINE_TITLES.get(segmentation.engine, segmentation.engine)
    milliseconds = sum(segmentation.milliseconds.values())
    long = milliseconds >= 9950
    parts = (
        title,
        f"{engine} {segmentation.precision}",
        f"{width}{SPACE}\N{MULTIPLICATION SIGN}{SPACE}{height}{SPACE}px",
        f"{milliseconds / 1e3:.0f}{SPACE}s" if long else f"{milliseconds:.0f}{SPACE}ms",
    )
    link = '<button type="button" class="copy-link">Copy link</button>'
    return f'<p class="studio-status" role="status">{escape(" · ".join(parts))} · {link}</p>'


def panel(
    key: str, segmentation: Segmentation, *, truth: bool = False, second: Second | None = None
) -> str:
    """View switch, opacity, and the legend whose rows show and hide classes."""
    shown = overlay.shown_at_first(segmentation.classes)
    rows = overlay.legend(segmentation)
    count = "1 class" if len(rows) == 1 else f"{len(rows)} classes"
    occurring = {row.id for row in rows}
    # Truth, second model and other pictures can show classes that this one does not have.
    others = [info for info in segmentation.classes if info.id not in occurring]
    lines = "".join(_legend_row(row, row.id in shown) for row in rows)
    lines += "".join(
        f'<i class="absent"{" data-hidden-at-first" * (c.id not in shown)} data-id="{c.id}"'
        f' data-colour="{c.colour}" hidden>{escape(c.name)}</i>'
        for c in others
    )
    offered = VIEWS | (TRUTH_VIEWS if truth else {}) | (OTHER_VIEWS if second else {})
    views = "".join(
        f'<label><input type="radio" name="view" value="{value}"><span>{text}</span></label>'
        for value, text in offered.items()
    )
    styles = "".join(f'<option value="{value}">{text}</option>' for value, text in STYLES.items())
    opacity = round(100 * overlay.OPACITY)
    colours = overlay.confidence_colours()
    stops = colours[::51]
    gradient = ",".join(f"rgb({red},{green},{blue})" for red, green, blue in stops)
    return (
        f'<div class="studio-panel" data-key="{key}" data-scale="{colours.tobytes().hex()}">'
        f'<div class="views" role="radiogroup" aria-label="View">{views}</div>'
        '<div class="control"><div class="opacity">'
        f'<select class="style" aria-label="How classes are drawn">{styles}</select>'
        f'<input type="range" min="0" max="100" value="{opacity}" aria-label="Opacity">'
        f'<output></output></div><div class="scale"><span></span>'
        f'<i style="--scale:{gradient}"></i><span></span></div>'
        '<div class="errors-note"></div></div>'
        f'<div class="class-list"><div class="class-heading"><span>{count}'
        '<label class="names"><input type="checkbox"> Names</label></span><span>Share</span>'
        f'<span title="Mean probability that the network gives to the class it chose">Confidence'
        f"</span></div>{lines}</div></div>"
    )


def found(rows: Sequence[LegendRow], frames: int) -> str:
    """The classes of a film, beside it."""
    lines = "".join(
        f'<li style="--colour:{row.colour}"><span class="name">{escape(row.name)}</span>'
        f'<span class="share">{escape(overlay.share_text(row.share))}</span>'
        f'<span class="sure">{_sure(row)}</span></li>'
        for row in rows
    )
    return (
        f'<div class="studio-found"><p><span>{frames} frames</span><span>Share</span>'
        f"<span>Confidence</span></p><ul>{lines}</ul></div>"
    )


def _sure(row: LegendRow) -> str:
    return f"{100 * row.confidence:.0f}{SPACE}%" if row.confidence is not None else ""


def _legend_row(row: LegendRow, shown: bool) -> str:
    return (
        f'<label class="class-row" style="--colour:{row.colour};--share:{row.share:.4f}">'
        f'<input type="checkbox"{" checked" * shown} data-id="{row.id}" data-colour="{row.colour}">'
        f'<span class="name">{escape(row.name)}</span>'
        f'<span class="share">{escape(overlay.share_text(row.share))}</span>'
        f'<span class="sure">{_sure(row)}</span><i></i></label>'
    )


@functools.lru_cache(maxsize=8)
def examples(entries: tuple[Example, ...]) -> str:
    """The strip of our own pictures, which stay as they are."""
    return strip([(entry, thumbnail(entry)) for entry in entries], "Or try one of these")


def strip(thumbnails: Sequence[tuple[Example, str]], words: str) -> str:
    """Pictures to click, each with its `thumbnail`; the script reports which."""
    buttons = "".join(
        f'<button type="button" data-example="{index}" title="{escape(entry.title)}">'
        f"{small}</button>"
        for index, (entry, small) in enumerate(thumbnails)
    )
    return f'<div class="studio-examples"><span>{escape(words)}</span><div>{buttons}</div></div>'


def thumbnail(entry: Example) -> str:
    """Raises `ImageError` if the picture cannot be read."""
    image = Image.fromarray(decode(entry.path))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return f'<img src="{_data_uri(image, "jpeg", quality=85)}" alt="{escape(entry.title)}">'


def downloads(names: Sequence[str]) -> str:
    """Buttons for exports; the script reports which."""
    buttons = "".join(
        f'<button type="button" data-export="{name}">{escape(EXPORTS[name].title)}</button>'
        for name in names
    )
    return f'<div class="studio-exports">{buttons}</div>'


def menu(checkpoints: Sequence[Checkpoint]) -> str:
    """Options of the model picker, grouped by data set."""
    calls = models.labels(checkpoints)
    groups: dict[str, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        groups.setdefault(data_title(checkpoint), []).append(checkpoint)
    return "".join(
        f'<optgroup label="{escape(data)}">'
        + "".join(
            f'<option value="{escape(c.name)}">'
            f"{escape(calls[c.name].removeprefix(f'{data} · '))}</option>"
            for c in members
        )
        + "</optgroup>"
        for data, members in groups.items()
    )


def toast(text: str) -> str:
    """What a toast shows as this text: Gradio takes it for HTML."""
    return escape(text, quote=False)


def knows(checkpoint: Checkpoint) -> str:
    """A line on the model that the menu names: its data, its score, the data's licence."""
    names = checkpoint.classes.names
    listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    parts = [
        f"{data_title(checkpoint)}: {listed}",
        _figure_text(checkpoint, "mean IoU on its"),
        checkpoint.description.get("data", {}).get("licence"),
    ]
    return f'<p class="studio-knows">{escape(" · ".join(part for part in parts if part))}</p>'


def scores(metrics: Metrics, classes: ClassTable, read_as: str) -> str:
    """Per-class scores against a mask; `read_as` says how the mask was understood."""
    columns = [getattr(metrics, figure) for figure in FIGURE_TITLES]
    heads = "".join(f'<th scope="col">{title}</th>' for title in FIGURE_TITLES.values())
    rows = [
        (info.name, info.colour, [column[info.id] for column in columns])
        for info in classes
        if not np.isnan(metrics.iou[info.id])
    ]
    rows.append(("mean", "transparent", [mean_of_known(column) for column in columns]))
    lines = "".join(
        f'<tr><th scope="row" style="--colour:{colour}">{escape(name)}</th>'
        + "".join(f"<td>{percent(value)}</td>" for value in values)
        + "</tr>"
        for name, colour, values in rows
    )
    return (
        f'<table class="studio-scores"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
        f'<p class="studio-note">{percent(metrics.accuracy)} of the pixels are right. '
        f"The mask was read so: {escape(read_as)}.</p>"
    )


def disagreement(share: float, title: str, models_query: str) -> str:
    """How often a second model differs, and where to compare the two thoroughly."""
    return (
        f'<p class="studio-note">{escape(title)} differs on {percent(share)} of the pixels. '
        f'<a href="compare/?{escape(models_query)}">Open in compare</a></p>'
    )


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
            f"pretrained on {encoder.get('origin', 'unknown data')}{_FROM_THE_HUB}"
            if checkpoint.is_pretrained
            else "trained from scratch, nothing pretrained"
        ),
        "Mean IoU": _figure_text(checkpoint, f"on {title},", f", {checkpoint.name} in f32"),
        "Classes": ", ".join(checkpoint.classes.names),
        "Checkpoint": checkpoint.name,
    }
    lines = "".join(
        f"<dt>{term}</dt><dd>{escape(str(text))}</dd>" for term, text in rows.items() if text
    )
    return f'<dl class="studio-facts">{lines}</dl>'


_FROM_THE_HUB = (
    ". Training with --encoder-weights imagenet fetches segmentation_models_pytorch's encoder for "
    "ImageNet from the Hugging Face Hub instead"
)


def _network_text(checkpoint: Checkpoint) -> str:
    parameters = checkpoint.description.get("network", {}).get("parameters")
    name = checkpoint.network_name
    return f"{name}, {parameters / 1e6:.2f} million parameters" if parameters else name


def _figure_text(checkpoint: Checkpoint, on: str, made_by: str = "") -> str:
    """Its mean IoU with the protocol, between words on the data set and on what made it."""
    result = checkpoint.figures("test")
    if result is None:
        return "not measured yet"
    resolution = result.get("resolution", "unknown")
    return (
        f"{percent(result['mean_iou'])} {on} test split of {result['num_images']} pictures, "
        f"{resolution} resolution{made_by}"
    )


def _map_uri(labels: np.ndarray) -> str:
    return _data_uri(Image.fromarray(overlay.reduce_labels(labels)), "png")


def _doubts_uri(segmentation: Segmentation) -> str:
    """Confidence in red and entropy in green, each 0 to 255 for 0 to 1."""
    maps = [
        overlay.reduce_image(np.rint(values.astype(np.float32) * 255).astype(np.uint8), DOUBTS_SIDE)
        for values in (segmentation.confidence, segmentation.entropy)
    ]
    blue = np.zeros_like(maps[0])
    return _data_uri(Image.fromarray(np.dstack([*maps, blue])), "png", compress_level=3)


def _picture_uri(image: np.ndarray) -> str:
    # A preview for the eye only; masks never go through a lossy format.
    return _data_uri(Image.fromarray(overlay.reduce_image(image)), "jpeg", quality=88)


def _data_uri(image: Image.Image, kind: str, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
