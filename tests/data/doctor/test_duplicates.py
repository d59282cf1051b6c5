"""Copies are found however they were stored; what only looks alike is none."""

import numpy as np
import pytest
from PIL import Image, ImageChops

from model.data.doctor.duplicates import groups_of_copies
from model.data.doctor.look import PictureLook, look_at_picture
from tests.data.doctor.making import draw


def groups(pictures: dict[str, Image.Image], tmp_path, film=False) -> list[list[str]]:
    looks: dict[str, PictureLook] = {}
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        looks[name] = look_at_picture(tmp_path / f"{name}.png")
    return groups_of_copies(looks, film)


def photograph(seed: int) -> Image.Image:
    return Image.fromarray(draw(seed)[0]).resize((320, 240), Image.Resampling.BICUBIC)


def compressed(image: Image.Image, tmp_path) -> Image.Image:
    image.save(tmp_path / "small.jpg", quality=30)
    return Image.open(tmp_path / "small.jpg")


@pytest.mark.parametrize(
    "change",
    {
        "itself": lambda image, _: image,
        "compressed again": compressed,
        "a quarter": lambda image, _: image.resize((80, 60)),
        "brighter by 2": lambda image, _: image.point(lambda level: level + 2),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_copy_is_found(change, tmp_path):
    pictures = {f"{n}": photograph(n) for n in range(12)}
    pictures["copy"] = change[1](photograph(5), tmp_path)
    assert groups(pictures, tmp_path) == [["5", "copy"]]


@pytest.mark.parametrize(
    "change",
    {
        "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "cut": lambda image: image.crop((40, 0, 320, 240)),
        "darker": lambda image: image.point(lambda level: level // 2),
        "something in front": lambda image: ImageChops.multiply(image, hole(image)),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_another_view_is_no_copy(change, tmp_path):
    pictures = {f"{n}": photograph(n) for n in range(6)} | {"other": change[1](photograph(5))}
    assert groups(pictures, tmp_path) == []


def hole(image: Image.Image) -> Image.Image:
    mask = Image.new("RGB", image.size, "white")
    mask.paste("black", (9, 9, 60, 60))
    return mask


def test_pictures_without_contrast_are_no_copies(tmp_path):
    grey = Image.fromarray(np.full((60, 80, 3), 90, np.uint8))
    assert groups({"a": grey, "b": grey}, tmp_path) == []


def test_neighbours_in_a_film_may_be_alike(tmp_path):
    still = {f"{n}": photograph(1) for n in range(4)}
    assert groups(still, tmp_path) == [["0", "1", "2", "3"]]
    assert groups(still, tmp_path, film=True) == []
    later = still | {"4": photograph(2), "5": photograph(1)}
    assert groups(later, tmp_path, film=True) == [["0", "5"]]
