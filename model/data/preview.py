"""A data set to look at: a contact sheet, and a page with its figures.

Both are single files: the page embeds its pictures and loads nothing.
"""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.data import splits
from model.data.classes import VOID, ClassInfo, ClassTable
from model.data.datasets import DataSet
from model.data.files import empty_folder
from model.data.statistics import Statistics, measure

THUMBNAIL = 240
BETWEEN, GAP, LINE_HEIGHT, TITLE_HEIGHT = 2, 8, 20, 36
INK = "#12211f"
TEMPLATE = Path(__file__).with_name("preview.html")


def overlay(image: np.ndarray, labels: np.ndarray, classes: ClassTable) -> np.ndarray:
    """The picture with its labels over it at half strength, uint8 (H, W, 3); void stays clear."""
    painted = image // 2 + classes.palette()[labels] // 2
    return np.where((labels == VOID)[..., None], image, painted).astype(np.uint8)


def contact_sheet(data: DataSet, names: list[str], title: str) -> Image.Image:
    """Samples side by side, each as picture and overlay with its name, and the legend below."""
    cells = []
    for name in names:
        image, labels = data.pair(name)
        cells.append(cell([image, overlay(image, labels, data.classes)], name))
    return arrange(cells, title, data.classes, columns=3)


def cell(pictures: list[np.ndarray], caption: str) -> Image.Image:
    """Pictures side by side, each uint8 (H, W, 3), with a line of text below."""
    width = len(pictures) * (THUMBNAIL + BETWEEN) + GAP
    small = [_fitted(Image.fromarray(picture)) for picture in pictures]
    height = max(picture.height for picture in small)
    image = Image.new("RGB", (width, height + LINE_HEIGHT), "white")
    x = 0
    for picture in small:
        image.paste(picture, (x, 0))
        x += picture.width + BETWEEN
    ImageDraw.Draw(image).text((0, height + 1), caption, INK, _font(13))
    return image


def arrange(cells: list[Image.Image], title: str, classes: ClassTable, columns: int) -> Image.Image:
    """Cells of the same width in rows, under a title and over the classes' colours."""
    font = _font(13)
    cell_w, cell_h = cells[0].width, max(image.height for image in cells) + GAP
    legend = _legend_lines(classes, columns * cell_w, font)
    grid_h = -(-len(cells) // columns) * cell_h
    size = (columns * cell_w + GAP, TITLE_HEIGHT + grid_h + LINE_HEIGHT * len(legend) + GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, INK, _font(18))
    for number, image in enumerate(cells):
        row, column = divmod(number, columns)
        sheet.paste(image, (GAP + column * cell_w, TITLE_HEIGHT + row * cell_h))
    for line, entries in enumerate(legend):
        y = TITLE_HEIGHT + grid_h + LINE_HEIGHT * line
        for x, info in entries:
            draw.rectangle((GAP + x, y, GAP + x + 12, y + 12), info.colour, INK)
            draw.text((GAP + x + 18, y - 1), info.name, INK, font)
    return sheet


def sample(names: list[str], count: int) -> list[str]:
    """`count` of the names, evenly spread."""
    places = np.linspace(0, len(names) - 1, min(count, len(names)))
    return [names[round(place)] for place in places]


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


def _fitted(picture: Image.Image) -> Image.Image:
    """The picture, `THUMBNAIL` pixels at its longest side; pixels of small ones stay sharp."""
    enlarge = max(picture.size) < THUMBNAIL
    method = Image.Resampling.NEAREST if enlarge else Image.Resampling.LANCZOS
    shrink = THUMBNAIL / max(picture.size)
    width, height = (max(1, round(side * shrink)) for side in picture.size)
    return picture.resize((width, height), method)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _legend_lines(classes: ClassTable, width: int, font) -> list[list[tuple[int, ClassInfo]]]:
    """The classes in lines of at most `width` pixels, each with its x."""
    lines, x = [[]], 0
    for info in classes:
        needed = 18 + round(font.getlength(info.name)) + 20
        if x and x + needed > width:
            lines.append([])
            x = 0
        lines[-1].append((x, info))
        x += needed
    return lines
