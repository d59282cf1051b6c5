"""Copies are found however they were stored; what only looks alike is none."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw

from model.data import datasets, doctor
from model.data.doctor.duplicates import Copies, copies_among
from model.data.doctor.look import look_at_picture
from tests.data.doctor.making import draw, save

LABELS = draw(0)[1]


def copies_of(pictures: dict[str, Image.Image], tmp_path, masks=None, **options) -> Copies:
    """The copies among these pictures, whose masks are all the same if none are given."""
    paths = {name: tmp_path / f"{name}.png" for name in pictures}
    for name, picture in pictures.items():
        picture.save(paths[name])
    looks = {name: look_at_picture(path) for name, path in paths.items()}
    labels = masks.get if masks else lambda name: LABELS
    return copies_among(paths, looks, labels, **options)


def groups(pictures: dict[str, Image.Image], tmp_path, **options) -> list[list[str]]:
    found = copies_of(pictures, tmp_path, **options)
    assert found.certain == found.likely
    return found.certain


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


def test_copies_of_copies_belong_together(tmp_path):
    """B differs from A and C from B by as much as copies may; A and C differ by more."""
    pictures = {
        name: photograph(5).point(lambda level, by=by: level * 0.8 + by)
        for name, by in (("a", 0), ("b", 8), ("c", 16))
    }
    assert groups({name: pictures[name] for name in "ac"}, tmp_path) == []
    assert groups(pictures, tmp_path) == [["a", "b", "c"]]


def with_defects(scene: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What a fixed camera sees: the scene with noise, and on it three dark defects of 16 x 8."""
    rng = np.random.default_rng(seed)
    image = scene + rng.normal(0, 4, scene.shape)
    mask = np.zeros(scene.shape[:2], np.uint8)
    for row, column in rng.integers(0, 700, (3, 2)):
        image[row : row + 16, column : column + 8] -= 90
        mask[row : row + 16, column : column + 8] = 1
    return image.clip(0, 255).astype(np.uint8), mask


def test_small_objects_before_a_fixed_camera_are_no_copies(tmp_path, monkeypatch):
    monkeypatch.setenv("UNET_STUDIO_CACHE", str(tmp_path / "cache"))
    scene = np.asarray(photograph(3).resize((768, 768))).clip(100, 220).astype(np.float32)
    for number in range(8):
        image, mask = with_defects(scene, number)
        save(tmp_path / f"set/images/{number}.jpg", image, quality=90)
        save(tmp_path / f"set/masks/{number}.png", mask)
    seen = doctor.check(str(tmp_path / "set"))
    assert [finding for finding in seen.report.findings if finding.code == "copies"] == []
    assert doctor.write_copy(seen, tmp_path / "mended").left_out == {}


def test_near_copies_are_certain_only_if_their_masks_agree(tmp_path):
    image = photograph(5)
    pictures = {"a": image, "b": compressed(image, tmp_path)}
    larger = np.asarray(Image.fromarray(LABELS).resize((160, 120), Image.Resampling.NEAREST))
    assert copies_of(pictures, tmp_path, {"a": LABELS, "b": larger}).certain == [["a", "b"]]
    for first, second in (
        (LABELS, draw(1)[1]),
        (LABELS * 0, LABELS * 0),  # one class, as of parts without a defect
        (LABELS, None),
    ):
        found = copies_of(pictures, tmp_path, {"a": first, "b": second})
        assert (found.certain, found.likely) == ([], [["a", "b"]])


def test_of_copies_only_certain_ones_are_errors_and_left_out(photos, tmp_path):
    root = photos(count=20)
    for number, labels in ((50, draw(0)[1]), (51, draw(9)[1])):
        copy = Image.open(root / f"images/{number - 50:02d}.jpg")
        copy.save(root / f"images/{number}.jpg", quality=60)
        save(root / f"masks/{number}.png", labels)
    for folder in ("images", "masks"):
        for path in sorted((root / folder).iterdir()):
            part = "test" if path.stem > "49" else "val" if path.stem > "16" else "train"
            (root / folder / part).mkdir(exist_ok=True)
            path.rename(root / folder / part / path.name)
    seen = doctor.check(str(root))
    (error,) = seen.report.of("error")
    assert error.files == ["test/50 (test) = train/00 (train)"]
    (warning,) = seen.report.of("warning")
    assert warning.files == ["test/51 (test)", "train/01 (train)"]
    assert "2 pictures hardly differ" in warning.what
    copy = doctor.write_copy(seen, tmp_path / "mended")
    assert copy.left_out == {"train/00": "a copy of another picture"}


def test_the_number_of_comparisons_is_bounded(tmp_path, monkeypatch):
    compared = []
    monkeypatch.setattr(
        "model.data.doctor.duplicates._alike", lambda a, b: bool(compared.append(1))
    )
    alike = {f"{n}": photograph(1).point(lambda v, n=n: v + n % 7) for n in range(40)}
    for number, image in enumerate(alike.values()):
        ImageDraw.Draw(image).point((number, 0), "black")
    assert groups(alike, tmp_path) == []
    assert 0 < len(compared) <= 2 * 40 * 8


def test_folds_at_random_keep_copies_together(photos):
    root = photos(count=20)
    for number in range(20):
        again = 50 + number
        (root / f"images/{again}.jpg").symlink_to(root / f"images/{number:02d}.jpg")
        (root / f"masks/{again}.png").symlink_to(root / f"masks/{number:02d}.png")
    data = datasets.load(f"folder:{root}")
    pool = sorted(data.names("train") + data.names("validation"))
    folds = data.folds(5)
    assert sorted(name for fold in folds for name in fold["validation"]) == pool
    for fold in folds:
        assert fold["validation"]
        pictures = [{int(name) % 50 for name in fold[part]} for part in ("train", "validation")]
        assert not set.intersection(*pictures)


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


def test_in_a_film_something_small_may_pass_by(tmp_path):
    still = {f"{n}": photograph(1).convert("L") for n in range(4)}
    level = still["2"].getpixel((10, 10))
    ImageDraw.Draw(still["2"]).rectangle((9, 9, 14, 12), level + (50 if level < 128 else -50))
    assert groups(still, tmp_path) == [["0", "1", "3"]]
    assert groups(still, tmp_path, film=True) == []
