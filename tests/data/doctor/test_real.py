"""Published data sets: their encodings are told, and nothing is found that is not there."""

import re
from pathlib import Path

import pytest

from model.data import doctor

REPOSITORY = Path(__file__).resolve().parents[3]

ENCODINGS = {
    "carla": "the red channel is the class: 1-22 (720 x PNG RGBA)",
    "camvid": "the pixel's value is the class: 0-10; void 11 (701 x PNG L)",
    "pets": "the pixel's value is the class: 1-3 (592 x PNG L)",
    "aerial": "void #000000 (45 x PNG RGB, 18 x PNG P)",
    "roads": "outlines",
    "potholes": "outlines",
    "drivable": "outlines",
}

# Photographs that the publishers have twice, in sizes of their own.
COPIES = {"Abyssinian_11", "Abyssinian_177", "Abyssinian_40", "Abyssinian_63"}


@pytest.mark.data
@pytest.mark.parametrize("name", ENCODINGS)
def test_a_published_data_set_has_no_errors(name, data_root):
    report = doctor.check(name, data_root).report
    assert ENCODINGS[name] in report.encoding
    assert report.of("error") == []
    warned = report.of("warning")
    assert {finding.code for finding in warned} == ({"copies"} if name == "pets" else set())
    files = " ".join(file for finding in warned for file in finding.files)
    assert set(re.findall(r"\w+_\d+", files)) == (COPIES if name == "pets" else set())


@pytest.mark.data
def test_the_pictures_of_a_film_leak_when_split_at_random(data_root, tmp_path):
    for folder, published in (("images", "CameraRGB"), ("masks", "CameraMask")):
        (tmp_path / folder).mkdir()
        for path in sorted((data_root / "carla" / published).iterdir())[:100]:
            (tmp_path / folder / path.name).symlink_to(path)
    (finding,) = doctor.check(str(tmp_path)).report.of("error")
    assert finding.code == "copies"
    assert "put whole stretches into train/" in finding.mend


def test_the_documentation_lists_every_finding():
    source = "".join(p.read_text() for p in (REPOSITORY / "model/data/doctor").glob("*.py"))
    codes = set(re.findall(r'code="([\w-]+)"', source)) | {"lossy", "near-values"}
    listed = (REPOSITORY / "docs/masks.md").read_text().split("## Findings")[1]
    assert {code for code in codes if f"`{code}`" not in listed} <= {"data-set", "split", "empty"}
