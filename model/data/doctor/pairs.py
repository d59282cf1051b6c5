"""Pictures and their masks side by side: can both be read, and do they align?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from model.data.doctor.case import Case
from model.data.doctor.findings import Finding, counted
from model.data.doctor.look import MaskLook, PictureLook, edges
from model.data.images import decode
from model.data.recognise import read_by_kind
from model.errors import StudioError

SAME_ASPECT = 0.02
"""Relative difference in aspect ratio up to which a picture and its mask differ only in scale."""

BETTER = 1.2
"""Ratio of contrast under the outlines that decides whether masks have to be turned."""

MOST_COMPARED = 40

# EXIF's orientation to what turns the stored pixels upright, as in Pillow's exif_transpose.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Looks = dict[str, tuple[PictureLook, MaskLook]]
"""The looks of pairs whose picture and mask can both be read, by name."""


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a mask or picture, (H, W) or (H, W, C), as EXIF's orientation says."""
    return np.asarray(Image.fromarray(pixels).transpose(TURNS[orientation]))


def unreadable(problems: dict[str, str], thing: str, case: Case) -> Iterator[Finding]:
    """Files that cannot be read. Args: problems: what is wrong with each, by name."""
    if problems:
        yield Finding(
            code="unreadable",
            severity="error",
            what=f"{counted(len(problems), thing)} cannot be read.",
            why="Training stops at the first of them.",
            mend=f"Get them again; `{case.fix}` leaves these pairs out.",
            files=list(problems),
            details=problems,
        )


def sizes(case: Case, looks: Looks) -> Iterator[Finding]:
    """Masks of another size than their picture, unless EXIF explains it."""
    scaled, other = {}, {}
    for name, (picture, mask) in looks.items():
        if picture.size_wh == mask.size_wh or is_turned(picture, mask):
            continue
        (w, h), (mask_w, mask_h) = picture.size_wh, mask.size_wh
        kind = scaled if same_aspect(picture.size_wh, mask.size_wh) else other
        kind[name] = f"{name}: the picture is {w} x {h}, the mask {mask_w} x {mask_h}"
    if scaled:
        yield Finding(
            code="size",
            severity="error",
            what=f"{counted(len(scaled), 'mask is', 'masks are')} not at the picture's scale.",
            why="Training stops at the first of them.",
            mend=f"`{case.fix}` scales the picture to its mask, whose labels stay exact.",
            files=list(scaled),
            details=scaled,
        )
    if other:
        yield Finding(
            code="size",
            severity="error",
            what=f"{counted(len(other), 'mask has', 'masks have')} another shape than the picture.",
            why="It is unclear how they align: cropped, turned, or of another picture. "
            "Training stops at the first of them.",
            mend=f"Export them again; `{case.fix}` leaves these out.",
            files=list(other),
            details=other,
        )


def same_aspect(a_wh: tuple[int, int], b_wh: tuple[int, int]) -> bool:
    """Whether one size is the other, scaled: exactly, or as rounding to pixels allows."""
    (a_w, a_h), (b_w, b_h) = a_wh, b_wh
    exact = abs(a_w * b_h - a_h * b_w) / (a_h * b_w)
    return exact <= max(SAME_ASPECT, 1 / min(*a_wh, *b_wh)) and min(*a_wh, *b_wh) > 1


def is_turned(picture: PictureLook, mask: MaskLook) -> bool:
    """Whether the mask has the size that the picture has without its EXIF rotation."""
    return (
        picture.orientation >= 5
        and picture.size_wh != mask.size_wh
        and picture.size_wh == mask.size_wh[::-1]
    )


def rotation(case: Case, looks: Looks) -> tuple[set[str], list[Finding]]:
    """Pictures that EXIF rotates and whose masks are not: their names, and the findings."""
    turned = {name for name, (picture, mask) in looks.items() if is_turned(picture, mask)}
    open_question = [
        name
        for name, (picture, mask) in looks.items()
        if picture.orientation != 1
        and mask.orientation == 1
        and picture.size_wh == mask.size_wh
        and (picture.orientation < 5 or picture.size_wh[0] == picture.size_wh[1])
        and name in case.masks
    ]
    findings = []
    if open_question:
        ratio = _turned_fits_better(case, looks, open_question)
        if ratio >= BETTER:
            turned.update(open_question)
        elif ratio > 1 / BETTER:
            findings.append(
                Finding(
                    code="exif",
                    severity="warning",
                    what=f"EXIF turns {counted(len(open_question), 'picture')}, and neither sizes "
                    "nor outlines tell whether the masks are turned too.",
                    why="If they are not, every label lies in the wrong place.",
                    mend="Look at them: `python -m model data preview "
                    f"{case.name} --output preview` shows the masks over the pictures.",
                    files=open_question,
                )
            )
    if turned:
        findings.append(
            Finding(
                code="exif",
                severity="error",
                what=f"EXIF turns {counted(len(turned), 'picture')}, but not the "
                f"{'mask' if len(turned) == 1 else 'masks'}.",
                why="Cameras store how a picture is to be turned; annotation tools may ignore it. "
                "The labels then lie in the wrong place.",
                mend=f"`{case.fix}` turns the masks as well.",
                files=sorted(turned),
            )
        )
    return turned, findings


def _turned_fits_better(case: Case, looks: Looks, names: list[str]) -> float:
    """Contrast of the pictures under the outlines of the turned masks, over that of the masks."""
    ratios = []
    for name in names[:: max(1, len(names) // MOST_COMPARED)]:
        try:
            grey = np.asarray(Image.fromarray(decode(case.images[name])).convert("L"), np.float32)
            outline = edges(read_by_kind(case.masks[name])[1])
        except StudioError:  # masks with lossy compression
            continue
        contrast = np.hypot(*np.gradient(grey)) if min(grey.shape) > 1 else np.zeros_like(grey)
        as_is = contrast[outline].mean() if outline.any() else 0
        outline = turn(outline, looks[name][0].orientation)
        turned = contrast[outline].mean() if outline.any() else 0
        ratios.append(np.log((turned + 1) / (as_is + 1)))
    return float(np.exp(np.mean(ratios))) if ratios else 1.0
