"""A data set to look at: a contact sheet, and a page with its figures.

Both are single files: the page embeds its pictures and loads nothing.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from model.data import splits
from model.data.datasets import DataSet
from model.data.drawing import overlay
from model.data.files import empty_folder
from model.data.sheets import arrange, cell, sample
from model.data.statistics import Statistics, measure

TEMPLATE = Path(__file__).with_name("preview.html")


def contact_sheet(data: DataSet, names: list[str], title: str) -> Image.Image:
    """Samples side by side, each as picture and overlay with its name, and the legend below."""
    cells = []
    for name in names:
        image, labels = data.pair(name)
        cells.append(cell([image, overlay(image, labels, data.classes)], name))
    return arrange(cells, title, data.classes, columns=3)


def write_preview(data: DataSet, output: Path, pictures: int = 12) -> Path:
    """Writes `contact_sheet.png` and `index.html` into an empty folder.

    Args: pictures: how many of each part are shown.

    Returns: the page's path.
    Raises: `ConfigError` if the folder is not empty; `DataError`, `ImageError`.
    """
    empty_folder(output)
    figures = {part: measure(data, data.names(part), part) for part in splits.PARTS}
    sheets = {}
    for part in splits.PARTS:
        title = f"{data.title}: {part}, {figures[part].num_images} samples"
        sheets[part] = contact_sheet(data, sample(data.names(part), pictures), title)
    _stacked(list(sheets.values())).save(output / "contact_sheet.png")
    page = output / "index.html"
    page.write_text(_page(data, figures, sheets), encoding="utf-8")
    return page


def _page(data: DataSet, figures: dict[str, Statistics], sheets: dict[str, Image.Image]) -> str:
    from jinja2 import Environment

    total = sum(figures.values(), Statistics.empty(len(data.classes)))
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text(encoding="utf-8")
    )
    return template.render(
        data=data,
        figures=figures,
        total=total,
        largest_share=max(0.001, *(float(s.shares.max()) for s in figures.values())),
        sizes=total.sizes_wh.most_common(8),
        other_sizes=max(0, len(total.sizes_wh) - 8),
        data_digest=data.digest(),
        split_digest=splits.digest(data.split),
        sheets={part: _inline(sheet) for part, sheet in sheets.items()},
    )


def _inline(sheet: Image.Image) -> str:
    buffer = io.BytesIO()
    # For looking at only; the PNG beside the page is exact.
    sheet.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()


def _stacked(sheets: list[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets)), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole
