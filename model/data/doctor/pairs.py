"""Pictures and their masks side by side: can both be read, and do they align?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from model.data.doctor.case import Case
from model.data.doctor.findings import Finding, counted
from model.data.doctor.look import MaskLook, PictureLook, edges
from model.data.images import decode
from model.data.recognise import look_at_all, read_by_kind
from model.errors import StudioError

BETTER = 1.3
"""A mask's outlines show how it lies if the picture has so many times as much contrast under them
as around them, and as the outlines turned the other way have."""

COMPARED_SIDE = 512
AROUND = 41
"""Side, in pixels at `COMPARED_SIDE`, of the window that counts as around a pixel."""

CLEAR_SHARE = 0.25
"""If so many masks show how they lie, and all the same, the others are taken to lie like them."""

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
    """Whether the smaller size is the larger one, scaled: one factor explains both of its sides
    to a pixel. Padding and cutting change one side more than that."""
    small, large = sorted((a_wh, b_wh), key=lambda wh: wh[0] * wh[1])
    factors = [((s - 1) / side, (s + 1) / side) for s, side in zip(small, large, strict=True)]
    return max(low for low, _ in factors) <= min(high for _, high in factors) and min(small) > 1


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
    fits = look_at_all(
        lambda name: _fits_turned(case, name, looks[name][0].orientation), open_question, "outlines"
    )
    clear = [fit for fit in fits if fit is not None]
    if len(set(clear)) == 1 and len(clear) >= CLEAR_SHARE * len(fits):
        fits = [clear[0]] * len(fits)
    turned.update(name for name, fit in zip(open_question, fits, strict=True) if fit)
    findings = []
    if unclear := [name for name, fit in zip(open_question, fits, strict=True) if fit is None]:
        findings.append(
            Finding(
                code="exif",
                severity="warning",
                what=f"EXIF turns {counted(len(unclear), 'picture')}, and neither sizes nor "
                "outlines tell whether the masks are turned too.",
                why="If they are not, every label lies in the wrong place.",
                mend="Look at them: `python -m model data preview "
                f"{case.name} --output preview` shows the masks over the pictures.",
                files=unclear,
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


def _fits_turned(case: Case, name: str, orientation: int) -> bool | None:
    """Whether a mask fits its picture if it is turned, or else as it is; None if its outlines do
    not tell."""
    from scipy import ndimage

    try:
        picture = Image.fromarray(decode(case.images[name])).convert("L")
        mask = Image.fromarray(read_by_kind(case.masks[name])[1])
    except StudioError:  # masks with lossy compression
        return None
    scale = min(1, COMPARED_SIDE / max(picture.size))
    size_wh = tuple(max(2, round(side * scale)) for side in picture.size)
    grey = np.asarray(picture.resize(size_wh, Image.Resampling.LANCZOS), np.float32)
    outline = edges(np.asarray(mask.resize(size_wh, Image.Resampling.NEAREST)))
    contrast = np.hypot(*np.gradient(ndimage.gaussian_filter(grey, 1)))
    # Compared with what is around, for the lower half of a street scene has more contrast anyway.
    around = ndimage.uniform_filter(contrast, AROUND)

    def clarity(outline: np.ndarray) -> float:
        if not outline.any():
            return 1.0
        return float((contrast[outline].mean() + 0.5) / (around[outline].mean() + 0.5))

    as_is, turned = clarity(outline), clarity(turn(outline, orientation))
    if max(as_is, turned) < BETTER or BETTER * min(as_is, turned) > max(as_is, turned):
        return None
    return turned > as_is
