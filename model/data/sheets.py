"""Sheets of pictures to look at: side by side, with names, titles and the colours of classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.data.classes import ClassInfo, ClassTable

THUMBNAIL = 240
BETWEEN, GAP, LINE_HEIGHT, TITLE_HEIGHT = 2, 8, 20, 36
INK = "#12211f"


def cell(pictures: Sequence[np.ndarray], caption: str, *, aligned: bool = False) -> Image.Image:
    """Pictures side by side, each uint8 (H, W, 3), with a line of text below.

    Args: aligned: whether narrow pictures take as much room as wide ones, for columns.
    """
    width = len(pictures) * (THUMBNAIL + BETWEEN) + GAP
    small = [_thumbnail(Image.fromarray(picture)) for picture in pictures]
    height = max(picture.height for picture in small)
    image = Image.new("RGB", (width, height + LINE_HEIGHT), "white")
    x = 0
    for picture in small:
        image.paste(picture, (x, 0))
        x += (THUMBNAIL if aligned else picture.width) + BETWEEN
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


def in_columns(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], titles: Sequence[str]
) -> Image.Image:
    """Rows of pictures, each with its name below, in columns with a title.

    Args:
        rows: names with RGB pictures, each uint8 (H, W, 3).
        titles: of the columns.
    """
    cells = [cell(pictures, name, aligned=True) for name, pictures in rows]
    width = len(titles) * (THUMBNAIL + BETWEEN) + 2 * GAP
    height = LINE_HEIGHT + GAP + sum(image.height + GAP for image in cells)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (THUMBNAIL + BETWEEN), 4), title, INK, _font(13))
    y = LINE_HEIGHT + GAP
    for image in cells:
        sheet.paste(image, (GAP, y))
        y += image.height + GAP
    return sheet


def sample(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of the items, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[round(place)] for place in places]


def _thumbnail(picture: Image.Image) -> Image.Image:
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
