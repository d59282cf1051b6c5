"""Each fault is found and named, nothing else is, and the mended copy is without errors."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data import datasets, doctor
from tests.data.doctor.making import (
    COLOURS,
    COUNT,
    binary,
    draw,
    in_colours,
    save,
    smoothed,
    snapshot,
    through_jpeg,
    with_orientation,
)

YAML = 'classes: {ground: "#000000", road: "#804080", sky: "#4682b4"}\n'


def whole(number: int) -> np.ndarray:
    return draw(number)[1]


def codes(report: doctor.Report, severity: str) -> set[str]:
    return {finding.code for finding in report.of(severity)}


@dataclass
class Fault:
    """A way to break a folder.

    Attributes:
        make: what the masks are made with, see the fixture `photos`.
        damage: what is done to the folder then.
        found: the codes that must be found, as errors; `warned` and `noted` likewise.
        words: what the first error must say.
        lost: the pairs that a copy cannot have.
        expected: the labels that the copy's masks must have.
        agreement: the share of pixels that must.
    """

    make: dict = field(default_factory=dict)
    damage: Callable[[Path], object] = lambda root: None
    found: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)
    words: str = ""
    lost: set[int] = field(default_factory=set)
    expected: Callable[[int], np.ndarray] = whole
    agreement: float = 1.0


def describe(text: str) -> Callable[[Path], object]:
    return lambda root: (root / "classes.yaml").write_text(text)


def foreground(number: int) -> np.ndarray:
    return whole(number) == 1


def both(*steps: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: [step(root) for step in steps]


def some_masks(encode, count: int = 5, **options) -> Callable[[Path], object]:
    """Writes the first masks in another way."""
    return lambda root: [
        save(root / f"masks/{n:02d}.png", encode(whole(n)), **options) for n in range(count)
    ]


def photograph(number: int, size_wh=None, **options) -> Callable[[Path], object]:
    """Writes a picture anew."""

    def write(root: Path) -> None:
        image = Image.fromarray(draw(number)[0])
        image.resize(size_wh or image.size).save(root / f"images/{number:02d}.jpg", **options)

    return write


def turned_pictures(orientation: int) -> Callable[[Path], object]:
    exif = with_orientation(orientation)
    return both(*(photograph(n, exif=exif, quality=95) for n in range(6)))


def copied(root: Path) -> None:
    """Ten copies of a picture, nine of them smaller and compressed again."""
    for suffix, folder in (("jpg", "images"), ("png", "masks")):
        shutil.copy(root / f"{folder}/00.{suffix}", root / f"{folder}/50.{suffix}")
    image, labels = draw(1)
    for number in range(51, 60):
        small = Image.fromarray(image).resize((60, 45))
        small.save(root / f"images/{number}.jpg", quality=60)
        save(root / f"masks/{number}.png", labels[::4, ::4].repeat(3, 0).repeat(3, 1))


def copied_to(part: str) -> Callable[[Path], None]:
    """In fixed parts, a picture of the training part occurs in another, compressed again."""

    def write(root: Path) -> None:
        in_parts(root)
        for folder, suffix in (("images", "jpg"), ("masks", "png")):
            (root / folder / f"test/50.{suffix}").unlink()
            shutil.copy(root / folder / f"train/03.{suffix}", root / folder / f"{part}/50.{suffix}")
        copy = root / f"images/{part}/50.jpg"
        Image.open(copy).save(copy, quality=60)

    return write


def rotated_palette(number: int) -> Image.Image:
    """A mask as a palette file whose entries are in an order of its own."""
    order = [(number + entry) % 3 for entry in range(3)]
    image = Image.fromarray(np.argsort(order)[whole(number)].astype(np.uint8))
    image.putpalette(COLOURS[order].tobytes())
    return image


def barred(labels: np.ndarray) -> np.ndarray:
    """Class 2 in posts of 3 x 12 pixels, on class 0 and 1."""
    posts = np.minimum(labels, 1)
    posts[20:32, 10:80:20], posts[20:32, 11:80:20], posts[20:32, 12:80:20] = 2, 2, 2
    return posts


def outlined(labels: np.ndarray) -> np.ndarray:
    """Class 0 and 2 with an outline of class 1, one pixel wide."""
    areas = np.where(labels == 0, 0, 2).astype(np.uint8)
    outline = np.zeros(labels.shape, bool)
    outline[:, 1:] |= areas[:, 1:] != areas[:, :-1]
    outline[1:] |= areas[1:] != areas[:-1]
    return np.where(outline, 1, areas).astype(np.uint8)


def in_parts(root: Path) -> None:
    """Pictures and masks in train, val and test; one picture is in two of them."""
    for folder, suffix in (("images", "jpg"), ("masks", "png")):
        for number in range(COUNT):
            part = "train" if number < 16 else "val" if number < 20 else "test"
            (root / folder / part).mkdir(exist_ok=True)
            file = f"{number:02d}.{suffix}"
            (root / folder / file).rename(root / folder / part / file)
        shutil.copy(root / folder / f"train/03.{suffix}", root / folder / f"test/50.{suffix}")


def yolo(root: Path) -> None:
    shutil.rmtree(root / "masks")
    (root / "labels").mkdir()
    for number in range(COUNT):
        (root / f"labels/{number:02d}.txt").write_text("0 0 0 0.5 0 0.5 1 0 1\n")


def coco(root: Path) -> None:
    shutil.rmtree(root / "masks")
    content = {
        "images": [
            {"id": n, "file_name": f"{n:02d}.jpg", "height": 60, "width": 80} for n in range(COUNT)
        ],
        "categories": [{"id": 7, "name": "left"}],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 7, "iscrowd": 0, "area": 2400,
             "bbox": [0, 0, 40, 60], "segmentation": [[0, 0, 40, 0, 40, 60, 0, 60]]}
            for n in range(COUNT)
        ],
    }  # fmt: skip
    (root / "instances.json").write_text(json.dumps(content))


def left_half(number: int) -> np.ndarray:
    labels = np.zeros((60, 80), np.uint8)
    labels[:, :40] = 1
    return labels


FAULTS = {
    # Read as meant: nothing is wrong.
    "ids": Fault(),
    "one bit": Fault(make={"encode": lambda x: x == 1}, expected=foreground),
    "red channel": Fault(make={"encode": lambda x: np.dstack([x, 0 * x, 0 * x])}),
    "16 bits": Fault(make={"encode": lambda x: x.astype(np.uint16)}),
    "TIFF": Fault(make={"name": "masks/{}.tif"}),
    "colours": Fault(make={"encode": in_colours}, damage=describe(YAML)),
    "usual endings": Fault(make={"name": "masks/{}_gt.png"}),
    "0 and 255": Fault(make={"encode": binary}, expected=foreground, noted={"zero-255"}),
    "trimap offset": Fault(make={"encode": lambda x: x + 1}, noted={"off-by-one"}),
    "void": Fault(
        make={"encode": lambda x: np.where(outlined(x) == 1, 255, x).astype(np.uint8)},
        expected=lambda n: np.where(outlined(whole(n)) == 1, 255, whole(n)),
    ),
    "outlines as a class": Fault(
        make={"encode": outlined}, damage=describe("classes: [ground, outline, cell]\n"),
        expected=lambda n: outlined(whole(n)),
    ),
    "EXIF in both": Fault(
        damage=lambda root: [
            save(next(root.glob(f"{folder}/{n:02d}.*")), pixels, exif=with_orientation(6))
            for n in range(COUNT)
            for pixels, folder in zip(draw(n), ("images", "masks"), strict=True)
        ],
        expected=lambda n: np.rot90(whole(n), -1),
    ),
    "gaps": Fault(make={"encode": lambda x: 7 * x}, noted={"gaps"}),
    "palette and RGB": Fault(
        damage=both(
            describe(YAML),
            some_masks(in_colours, COUNT),
            lambda root: [
                rotated_palette(n).save(root / f"masks/{n:02d}.png") for n in range(9)
            ],
        ),
        noted={"mixed"},
    ),
    # Files and names.
    "no mask": Fault(
        damage=lambda root: (root / "masks/04.png").unlink(), found={"no-partner"}, lost={4},
        words="1 picture has no mask",
    ),
    "no picture": Fault(
        damage=lambda root: (root / "images/05.jpg").unlink(), found={"no-partner"}, lost={5},
        words="1 mask has no picture",
    ),
    "two masks": Fault(
        damage=lambda root: shutil.copy(root / "masks/06.png", root / "masks/06_mask.png"),
        found={"rivals"}, lost={6}, words="claimed by more than one file",
    ),
    "two pictures": Fault(
        damage=lambda root: save(root / "images/07.png", draw(7)[0]), found={"rivals"}, lost={7},
    ),
    "truncated picture": Fault(
        damage=lambda root: (root / "images/02.jpg").write_bytes(
            (root / "images/02.jpg").read_bytes()[:700]
        ),
        found={"unreadable"}, lost={2}, words="1 picture cannot be read",
    ),
    "no mask in the file": Fault(
        damage=lambda root: (root / "masks/03.png").write_bytes(b"hello"),
        found={"unreadable"}, lost={3}, words="1 mask cannot be read",
    ),
    "other folder names": Fault(
        make={"name": "label/{}.png"}, damage=lambda root: (root / "images").rename(root / "imgs"),
        found={"layout"},
    ),
    "damaged classes.yaml": Fault(damage=describe("classes: [a\n"), found={"class-file"}),
    # Sizes.
    "picture of another scale": Fault(
        damage=photograph(0, (160, 120)), found={"size"}, words="scale",
    ),
    "picture of another shape": Fault(
        damage=photograph(1, (160, 90)), found={"size"}, lost={1}, words="another shape",
    ),
    "EXIF 6": Fault(
        damage=turned_pictures(6), found={"exif"}, words="EXIF turns 6 pictures, but not the masks",
        expected=lambda n: np.rot90(whole(n), -1) if n < 6 else whole(n),
    ),
    "EXIF 3": Fault(  # which only the outlines show
        damage=turned_pictures(3), found={"exif"},
        expected=lambda n: np.rot90(whole(n), 2) if n < 6 else whole(n),
    ),
    "EXIF 3, and some masks were turned": Fault(
        damage=both(turned_pictures(3), some_masks(lambda x: np.rot90(x, 2), 2)),
        found={"exif"}, words="EXIF turns 4 pictures, but not the masks",
        expected=lambda n: np.rot90(whole(n), 2) if n < 6 else whole(n),
    ),
    # Values.
    "off by one": Fault(
        make={"encode": lambda x: x + 1}, damage=describe("classes: [a, b, c]\n"),
        found={"off-by-one"}, words="count from 1 to 3, but classes.yaml from 0 to 2",
    ),
    "unknown value": Fault(
        make={"encode": lambda x: np.where(x == 2, 9, x).astype(np.uint8)},
        damage=describe("classes: [a, b]\n"), found={"unknown-value"}, words="values 9 (",
        expected=lambda n: np.where(whole(n) == 2, 255, whole(n)),
    ),
    "more than 0 and 255": Fault(
        make={"encode": lambda x: np.uint8([0, 255, 128])[x]},
        damage=describe("classes: [a, b]\nencoding: binary\n"),
        found={"unknown-value"}, noted={"zero-255"}, words="values 128 (",
        expected=lambda n: np.where(whole(n) == 2, 255, whole(n)),
    ),
    "0 and 255 stated as ids": Fault(
        make={"encode": binary}, damage=describe("classes: [a, b]\nencoding: index\n"),
        found={"zero-255"}, expected=foreground,
    ),
    "0 and 1 in some": Fault(
        make={"encode": binary}, damage=some_masks(lambda x: binary(x) // 255, 12),
        warned={"zero-255"}, words="12 masks hold 0 and 255",
        expected=lambda n: foreground(n) if n < 12 else binary(whole(n)),
    ),
    "grey and RGB": Fault(
        damage=some_masks(lambda x: np.dstack([x] * 3)), found={"mixed"},
        words="5 rgb and 19 grey",
    ),
    "grey and colours": Fault(damage=some_masks(in_colours), found={"mixed"}, lost=set(range(5))),
    "grey and known colours": Fault(
        damage=both(some_masks(in_colours), describe(YAML)), found={"mixed"}
    ),
    "one bit and RGB": Fault(
        make={"encode": lambda x: x == 1},
        damage=some_masks(lambda x: np.dstack([binary(x)] * 3)),
        found={"mixed"}, expected=foreground,
    ),
    # Noise.
    "JPEG colours": Fault(
        make={"encode": in_colours, "name": "masks/{}.jpg", "quality": 85},
        damage=describe(YAML), found={"lossy"},
        words="24 masks have lossy compression (JPEG RGB)", agreement=0.99,
    ),
    "JPEG colours, a class in small regions": Fault(
        make={"encode": lambda x: in_colours(barred(x)), "name": "masks/{}.jpg", "quality": 60},
        damage=describe(YAML), found={"lossy"}, expected=lambda n: barred(whole(n)),
        # Not one pixel has kept its value; the posts are 3 % of all.
        agreement=0.98,
    ),
    "JPEG 0 and 255": Fault(
        make={"encode": binary, "name": "masks/{}.jpg", "quality": 75},
        found={"lossy"}, noted={"zero-255"}, expected=foreground,
    ),
    "JPEG 0 and 255, one mask near 0 all over": Fault(
        make={"encode": binary, "name": "masks/{}.jpg", "quality": 75},
        damage=lambda root: save(root / "masks/03.jpg", np.full((60, 80), 9, np.uint8)),
        found={"lossy"}, noted={"zero-255"},
        expected=lambda n: foreground(n) & (n != 3),
    ),
    "some JPEG": Fault(
        make={"encode": binary},
        damage=lambda root: [
            (root / f"masks/{n:02d}.png").unlink() or
            save(root / f"masks/{n:02d}.jpg", binary(whole(n)), quality=80) for n in range(4)
        ],
        found={"lossy"}, noted={"zero-255"}, expected=foreground,
        words="missing from these 2, name all classes with their colours in classes.yaml first",
    ),
    "JPEG saved as PNG": Fault(
        make={"encode": lambda x: through_jpeg(in_colours(x))}, damage=describe(YAML),
        found={"near-values"}, agreement=0.99,
    ),
    "fine JPEG saved as PNG": Fault(
        make={"encode": lambda x: through_jpeg(binary(x), 97)}, found={"near-values"},
        noted={"zero-255"}, expected=foreground, words="2 of which form areas",
    ),
    "smoothed 0 and 255": Fault(
        make={"encode": lambda x: smoothed(binary(x))}, found={"smoothed"},
        noted={"zero-255"}, expected=foreground, agreement=0.999,
    ),
    "smoothed colours": Fault(
        make={"encode": lambda x: smoothed(in_colours(x))}, damage=describe(YAML),
        found={"smoothed"}, agreement=0.99,
    ),
    "interpolated ids": Fault(
        make={"encode": lambda x: smoothed(4 * x)}, found={"smoothed"}, noted={"gaps"},
        agreement=0.99, words="values occur only there",
    ),
    # Classes.
    "a rare class": Fault(
        make={"encode": lambda x: np.minimum(x, 1)}, damage=some_masks(lambda x: x, 3),
        warned={"rare-class"}, words="2 (",
        expected=lambda n: whole(n) if n < 3 else np.minimum(whole(n), 1),
    ),
    "masks of void only": Fault(
        damage=some_masks(lambda x: np.full_like(x, 255), 2), warned={"void"},
        words="2 masks are entirely void",
        expected=lambda n: whole(n) if n > 1 else np.full((60, 80), 255),
    ),
    # Copies.
    "copies": Fault(
        damage=copied, found={"copies"}, lost=set(range(50, 60)),
        words="as exact copies in several parts",
    ),
    "a copy in another part": Fault(
        damage=in_parts, found={"copies"}, lost={3}, words="test/50 (test) = train/03 (train)",
        expected=lambda n: whole(3 if n == 50 else n),
    ),
    "nearly a copy in test": Fault(
        damage=copied_to("test"), found={"copies"}, lost={3},
        words="test/50 (test) = train/03 (train)", expected=lambda n: whole(3 if n == 50 else n),
    ),
    "nearly a copy in validation": Fault(
        damage=copied_to("val"), warned={"copies"}, lost={3}, words="as near copies",
        expected=lambda n: whole(3 if n == 50 else n),
    ),
    # Outlines.
    "YOLO": Fault(
        damage=yolo, found={"polygons"}, expected=left_half, words="YOLO segmentation in labels/"
    ),
    "COCO": Fault(
        damage=coco, found={"polygons"}, expected=left_half, words="COCO in instances.json"
    ),
    "YOLO with a box": Fault(
        damage=both(yolo, lambda root: (root / "labels/03.txt").write_text("0 .5 .5 .2 .2\n")),
        found={"polygons", "unreadable"}, lost={3}, expected=left_half,
    ),
    "YOLO without a file": Fault(
        damage=both(yolo, lambda root: (root / "labels/03.txt").unlink()),
        found={"polygons", "no-partner"}, lost={3}, expected=left_half,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_mended(name, photos, tmp_path):
    fault = FAULTS[name]
    root = photos(**fault.make)
    fault.damage(root)
    before = snapshot(root)

    seen = doctor.check(str(root))
    assert codes(seen.report, "error") == fault.found, seen.report.text()
    assert codes(seen.report, "warning") == fault.warned
    assert codes(seen.report, "note") == fault.noted
    assert fault.words in seen.report.text()
    assert seen.report.exit_code == (2 if fault.found else 1 if fault.warned else 0)

    output = tmp_path / "mended"
    copy = doctor.write_copy(seen, output)
    assert snapshot(root) == before
    kept = {path.stem: name_of(path, output) for path in (output / "images").rglob("*.*")}
    numbers = {int(path.stem) for path in [*root.glob("im*/**/*"), *root.glob("masks/**/*.png")]
               if path.stem.isdigit()}  # fmt: skip
    assert {int(stem) for stem in kept} == numbers - fault.lost
    assert set(kept.values()) == set(copy.written)
    again = doctor.check(str(output)).report
    assert again.of("error") == [], again.text()

    # What training then reads is what was drawn.
    data = datasets.load(f"folder:{output}")
    right = total = 0
    for stem, name in kept.items():
        _, labels = data.pair(name)
        expected = fault.expected(int(stem))
        assert labels.shape == expected.shape
        right += (labels == expected).sum()
        total += labels.size
    assert right / total >= fault.agreement


def name_of(path: Path, root: Path) -> str:
    return path.relative_to(root / "images").with_suffix("").as_posix()


def test_a_part_without_anything_to_score_is_an_error(photos):
    """Training would come to its end, and then have nothing to be tested on."""
    root = photos()
    in_parts(root)
    (root / "images/test/50.jpg").unlink()
    (root / "masks/test/50.png").unlink()
    for path in (root / "masks/test").iterdir():
        save(path, np.full((60, 80), 255, np.uint8))
    seen = doctor.check(str(root))
    errors = [finding.what for finding in seen.report.of("error")]
    assert errors == ["Every mask of the test part is entirely void."]
