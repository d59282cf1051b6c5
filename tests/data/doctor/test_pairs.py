"""Pictures beside their masks: what differs in scale only, and which masks EXIF leaves unturned."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from model.data import doctor
from model.data.doctor.pairs import same_aspect
from tests.data.doctor.making import draw, save, with_orientation


@pytest.mark.parametrize(
    ("a_wh", "b_wh", "same"),
    [
        ((400, 300), (800, 600), True),
        ((1000, 667), (100, 67), True),  # rounded to pixels
        ((403, 301), (101, 75), True),
        ((400, 300), (400, 304), False),  # four rows of padding
        ((400, 300), (800, 608), False),
        ((4000, 3000), (2000, 1496), False),  # rows cut off
        ((400, 300), (300, 400), False),
    ],
)
def test_one_factor_must_explain_both_sides(a_wh, b_wh, same):
    assert same_aspect(a_wh, b_wh) is same
    assert same_aspect(b_wh, a_wh) is same


def upside_down(root: Path, number: int, picture: Image.Image, turned: bool) -> None:
    """Writes a picture that EXIF turns by 180 degrees, and its mask, which is `turned` or not."""
    labels = draw(number)[1]
    picture.rotate(180).save(
        root / f"images/{number:02d}.jpg", exif=with_orientation(3), quality=95
    )
    save(root / f"masks/{number:02d}.png", labels if turned else np.rot90(labels, 2))


def test_masks_that_were_right_stay_as_they_are(photos, tmp_path):
    root = photos(count=12)
    for number in range(12):
        upside_down(root, number, Image.fromarray(draw(number)[0]), turned=number < 3)
    seen = doctor.check(str(root))
    (finding,) = seen.report.of("error")
    assert finding.files == [f"{number:02d}" for number in range(3, 12)]
    doctor.write_copy(seen, tmp_path / "mended")
    for number in range(12):
        mended = np.asarray(Image.open(tmp_path / f"mended/masks/{number:02d}.png"))
        assert np.array_equal(mended, draw(number)[1])


@pytest.mark.parametrize(
    ("clear", "right", "turned", "asked"),
    [
        (6, 0, 12, 0),  # the unclear ones are like all that are clear
        (6, 1, 5, 6),  # the clear ones contradict each other
        (6, 6, 0, 0),
        (0, 0, 0, 12),
        (2, 0, 2, 10),  # too few are clear
    ],
)
def test_masks_whose_outlines_tell_nothing(clear, right, turned, asked, photos):
    """Of 12 masks, `clear` have outlines that show how they lie: `right` ones as they should."""
    root = photos(count=12)
    blurred = Image.fromarray(draw(20)[0]).filter(ImageFilter.GaussianBlur(20))
    for number in range(12):
        picture = Image.fromarray(draw(number)[0]) if number < clear else blurred
        upside_down(root, number, picture, turned=number < right)
    findings = [f for f in doctor.check(str(root)).report.findings if f.code == "exif"]
    found = {finding.severity: len(finding.files) for finding in findings}
    assert (found.get("error", 0), found.get("warning", 0)) == (turned, asked)


def test_a_rough_foreground_draws_no_mask_to_it(photos):
    """Contrast counts only beside that around it: of a street, the lower half has more of it."""
    root = photos(count=6)
    for number in range(6):
        rng = np.random.default_rng(number)
        pixels = np.full((60, 80), 100.0)
        pixels[30:] += rng.normal(0, 40, (30, 80))
        labels = np.zeros((60, 80), np.uint8)
        labels[5:25, 10:40] = 1
        picture = Image.fromarray((pixels + 30 * labels).clip(0, 255).astype(np.uint8))
        picture.rotate(180).save(
            root / f"images/{number:02d}.jpg", exif=with_orientation(3), quality=95
        )
        save(root / f"masks/{number:02d}.png", labels)
    assert "exif" not in {finding.code for finding in doctor.check(str(root)).report.findings}
