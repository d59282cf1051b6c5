"""The doctor's functions and command: what they refuse, print, return, keep, and write."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tyro
from PIL import Image

from model.data import datasets, doctor
from model.data.commands import DataCommand, run
from model.data.doctor import repair
from model.data.sheets import BETWEEN, THUMBNAIL
from model.errors import ConfigError, DataError
from tests.data.doctor.making import (
    COLOURS,
    binary,
    draw,
    in_colours,
    save,
    smoothed,
    snapshot,
    through_jpeg,
)


def check(*arguments: str | Path) -> int:
    return run(tyro.cli(DataCommand, args=["check", *map(str, arguments)]))


def of_code(report: doctor.Report, code: str) -> doctor.Finding:
    return next(finding for finding in report.findings if finding.code == code)


# --- The command


def test_the_exit_code_says_clean_warnings_or_errors(photos, tmp_path, capsys):
    root = photos()
    assert check(root) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    for number in range(2):
        save(root / f"masks/{number:02d}.png", np.full((60, 80), 255, np.uint8))
    assert check(root) == 1
    assert "WARNING [void] 2 masks are entirely void." in capsys.readouterr().out
    (root / "masks/05.png").unlink()
    assert check(root) == 2
    out = capsys.readouterr().out
    assert "ERROR [no-partner] 1 picture has no mask.\n    05\n" in out
    assert f"add what is missing; `python -m model data check {root} --fix OUT` leaves" in out


def test_the_program_exits_with_the_code(photos, command):
    root = photos(lambda labels: through_jpeg(in_colours(labels)), count=4)
    done = command("data", "check", root)
    assert done.returncode == 2
    assert "ERROR [near-values] 4 masks have lossy compression" in done.stdout
    assert done.stderr == ""


def test_with_fix_the_exit_code_is_that_of_the_copy(photos, tmp_path, capsys):
    root = photos(binary, name="masks/{}.jpg")
    assert check(root, "--fix", tmp_path / "mended") == 0
    out = capsys.readouterr().out
    assert "24 pairs repaired or copied. Written to" in out


def test_json_holds_all_files_and_the_copy_s_report(photos, tmp_path, capsys):
    root = photos()
    for number in range(7):
        (root / f"masks/{number:02d}.png").unlink()
    assert check(root, "--json") == 2
    report = json.loads(capsys.readouterr().out)
    (finding,) = report["findings"]
    assert finding["files"] == [f"{number:02d}" for number in range(7)]
    assert report["exit_code"] == 2

    assert check(root, "--json", "--fix", tmp_path / "mended") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["left_out"] == {f"{n:02d}": "without a partner" for n in range(7)}
    assert report["copy"]["findings"] == []
    assert report["exit_code"] == 0


def test_json_is_printed_also_if_nothing_can_be_mended(photos, tmp_path, capsys):
    root = photos(count=4)
    shutil.rmtree(root / "masks")
    with pytest.raises(DataError, match=r"nothing in .* can be repaired") as error:
        check(root, "--json", "--fix", tmp_path / "mended")
    report = json.loads(capsys.readouterr().out)
    assert report["findings"]
    assert report["error"] == str(error.value)
    assert report["exit_code"] == 2


def test_names_cannot_move_the_terminal_s_cursor(photos, capsys):
    root = photos()
    (root / "masks/05.png").rename(root / "masks/a\x1b[2Jb.png")
    check(root)
    out = capsys.readouterr().out
    assert "a?[2Jb" in out
    assert "\x1b" not in out


# --- What is examined


def test_what_cannot_be_examined_is_said(tmp_path):
    with pytest.raises(
        ConfigError, match=r"does not exist. `data check` takes a folder, or a data"
    ):
        doctor.check(str(tmp_path / "photos"))
    file = tmp_path / "a.png"
    file.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"is a file; give the folder that it is in"):
        doctor.check(str(file))
    with pytest.raises(ConfigError, match=r"streets is .*: there are no files to check"):
        doctor.check("streets")


def test_a_data_set_that_is_not_here_is_an_error_with_the_way_to_get_it(tmp_path):
    report = doctor.check("lyft", tmp_path).report
    (finding,) = report.findings
    assert finding.severity == "error"
    assert f"data get lyft --data-root {tmp_path}" in finding.mend


def test_masks_alone_are_examined(photos):
    masks = photos(in_colours) / "masks"
    before = snapshot(masks)
    report = doctor.check(str(masks)).report
    assert report.masks == 24
    assert report.encoding == "the colour is the class: #000000, #4682b4, #804080 (24 x PNG RGB)"
    assert of_code(report, "layout").severity == "note"
    assert report.exit_code == 0
    assert snapshot(masks) == before


def test_a_folder_without_anything_is_an_error(tmp_path):
    assert of_code(doctor.check(str(tmp_path)).report, "layout").severity == "error"
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert "no pictures in images/." in of_code(doctor.check(str(tmp_path)).report, "empty").what


def test_no_pictures_are_an_error_beside_masks_too(photos):
    root = photos(count=8)
    for path in (root / "images").iterdir():
        path.rename(path.with_suffix(".heic"))
    (finding,) = doctor.check(str(root)).report.findings
    assert (finding.code, finding.severity) == ("empty", "error")
    assert finding.what == "There are no pictures in images/, but other files."
    assert finding.files == [f"images/{number:02d}.heic" for number in range(8)]


def test_files_that_are_no_pictures_are_named(photos):
    root = photos(count=12)
    (root / "images/12.heic").touch()
    (root / "images/00.jpg").rename(root / "images/00.jfif")
    (root / "masks/classes.yaml").touch()
    (finding,) = doctor.check(str(root)).report.findings
    assert (finding.code, finding.severity) == ("other-files", "note")
    assert finding.files == ["images/12.heic"]


def test_files_of_several_pages_are_a_warning(photos):
    root = photos(count=12, name="masks/{}.tif")
    masks = [Image.fromarray(draw(number)[1]) for number in range(2)]
    masks[0].save(root / "masks/00.tif", save_all=True, append_images=masks[1:])
    assert of_code(doctor.check(str(root)).report, "pages").files == ["00"]
    report = doctor.examine(datasets.load(f"folder:{root}"))
    assert of_code(report, "pages").severity == "warning"


# --- Layouts of other programs


def labelme(path: Path, label: str = "left") -> None:
    corners = [[0, 0], [40, 0], [40, 60], [0, 60]]
    shape = {"label": label, "points": corners, "shape_type": "polygon"}
    content = {"shapes": [shape], "imageWidth": 80, "imageHeight": 60}
    path.write_text(json.dumps(content))


def test_pascal_voc(photos, tmp_path):
    root = photos(count=12, name="SegmentationClass/{}.png")
    (root / "images").rename(root / "JPEGImages")
    (root / "Annotations").mkdir()
    (root / "Annotations/00.xml").write_text("<annotation/>")
    seen = doctor.check(str(root))
    (finding,) = seen.report.findings
    assert finding.code == "layout"
    assert finding.files == ["JPEGImages/", "SegmentationClass/"]
    assert len(doctor.write_copy(seen, tmp_path / "mended").written) == 12


@pytest.mark.parametrize("folder", ["", "images", "session"])
def test_pictures_with_labelme_files_beside_them(folder, photos, tmp_path):
    root = photos(count=12)
    shutil.rmtree(root / "masks")
    (root / "images").rename(tmp_path / "pictures")
    if folder:
        root = tmp_path / "set"
        root.mkdir()
        (tmp_path / "pictures").rename(root / folder)
    else:
        root = tmp_path / "pictures"
    for path in (root / folder).glob("*.jpg"):
        labelme(path.with_suffix(".json"))
    seen = doctor.check(str(root))
    (finding,) = seen.report.findings
    assert finding.code == "polygons"
    assert "LabelMe" in finding.what
    doctor.write_copy(seen, tmp_path / "mended")
    data = datasets.load(f"folder:{tmp_path / 'mended'}")
    assert data.classes.names == ["background", "left"]
    assert len(data.images) == 12


def test_roboflow_s_coco_in_each_part(tmp_path):
    category = {"id": 1, "name": "left"}
    for part, first, count in (("train", 0, 9), ("valid", 9, 4), ("test", 13, 4)):
        entries = [{"id": n, "file_name": f"{n}.jpg", "width": 80, "height": 60}
                   for n in range(first, first + count)]  # fmt: skip
        outline = [[0, 0, 40, 0, 40, 60, 0, 60]]
        shapes = [{"image_id": e["id"], "category_id": 1, "segmentation": outline} for e in entries]
        for entry in entries:
            save(tmp_path / "set" / part / entry["file_name"], draw(entry["id"])[0])
        content = {"images": entries, "categories": [category], "annotations": shapes}
        (tmp_path / "set" / part / "_annotations.coco.json").write_text(json.dumps(content))
    seen = doctor.check(str(tmp_path / "set"))
    assert {finding.code for finding in seen.report.findings} == {"polygons"}
    doctor.write_copy(seen, tmp_path / "mended")
    split = datasets.load(f"folder:{tmp_path / 'mended'}").split
    assert {part: len(names) for part, names in split.items()} == {
        "train": 9,
        "validation": 4,
        "test": 4,
    }


def test_a_part_without_folders_is_an_error(photos, tmp_path):
    root = tmp_path / "set"
    photos(root=root / "train", count=9)
    save(root / "val/50.png", draw(50)[0])
    finding = of_code(doctor.check(str(root)).report, "layout")
    assert finding.severity == "error"
    assert finding.what == "There is no folder val/images/, val/masks/."


def test_class_files_that_differ_are_an_error_that_cannot_be_mended(photos, tmp_path):
    root = tmp_path / "set"
    for part, names in (("train", "a, b, c"), ("val", "b, a, c")):
        photos(root=root / part, count=9)
        (root / part / "masks/classes.yaml").write_text(f"classes: [{names}]\n")
    seen = doctor.check(str(root))
    (finding,) = seen.report.findings
    assert finding.code == "class-file"
    assert finding.files == ["train/masks/classes.yaml", "val/masks/classes.yaml"]
    with pytest.raises(DataError, match="say different things"):
        doctor.write_copy(seen, tmp_path / "mended")


def test_a_known_data_set_s_folder_is_recognised(photos, tmp_path):
    root = photos(root=tmp_path / "oxford_pet", name="annotations/trimaps/{}.png")
    report = doctor.check(str(root)).report
    assert {f.code for f in report.of("error")} == {"layout", "no-partner"}
    (hint,) = (f for f in report.of("note") if f.code == "layout")
    assert hint.what == "This looks like the data set 'pets'."
    assert hint.mend == f"`python -m model data check pets --data-root {tmp_path}` examines it."


def test_one_class_alone_is_an_error(photos):
    report = doctor.check(str(photos(lambda labels: 0 * labels))).report
    assert "one class" in report.of("error")[0].what


def test_annotations_that_cannot_be_read_are_an_error(photos):
    root = photos()
    shutil.rmtree(root / "masks")
    (root / "instances.json").write_text('{"images": [')
    (finding,) = doctor.check(str(root)).report.of("error")
    assert finding.code == "annotations"
    assert "instances.json" in finding.what


def test_parts_whose_annotations_have_other_classes_are_an_error(photos, tmp_path):
    for part, last in (("train", 1), ("val", 0), ("test", 1)):
        root = photos(root=tmp_path / f"set/{part}", count=5)
        shutil.rmtree(root / "masks")
        for number in range(5):
            path = root / f"labels/{number:02d}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{last} 0 0 0.5 0 0.5 1 0 1\n")
    finding = of_code(doctor.check(str(tmp_path / "set")).report, "annotations")
    assert "have other classes than earlier ones" in finding.what


# --- What cannot be mended


def test_photographs_in_place_of_masks_are_no_masks(photos, tmp_path):
    root = photos()
    for number in range(24):
        rng = np.random.default_rng(number)
        save(root / f"masks/{number:02d}.png", rng.integers(0, 256, (60, 80, 3), np.uint8))
    seen = doctor.check(str(root))
    assert of_code(seen.report, "not-masks").files == [f"{n:02d}" for n in range(24)]
    with pytest.raises(DataError, match=r"nothing in .* can be repaired .* Nothing was written"):
        doctor.write_copy(seen, tmp_path / "mended")
    assert not (tmp_path / "mended").exists()


def test_ids_in_jpeg_cannot_be_mended(photos):
    report = doctor.check(str(photos(name="masks/{}.jpg", quality=80))).report
    finding = of_code(report, "lossy")
    assert "so close together that what compression did cannot be undone" in finding.mend


def test_compressed_values_that_are_not_known_become_void(photos, tmp_path):
    root = photos(lambda x: np.uint8([100, 200, 100])[x], name="masks/{}.jpg", count=6, quality=90)
    (root / "classes.yaml").write_text(
        "{classes: [background, road], encoding: index, values: {0: background, 7: road}}"
    )
    seen = doctor.check(str(root))
    assert "values 100 (" in of_code(seen.report, "unknown-value").what
    doctor.write_copy(seen, tmp_path / "mended")
    assert (np.asarray(Image.open(tmp_path / "mended/masks/03.png")) == 255).all()


def test_outlines_of_a_class_without_a_name_are_asked_about(photos):
    def outlined(labels: np.ndarray) -> np.ndarray:
        areas = np.where(labels == 0, 0, 2).astype(np.uint8)
        areas[1:][areas[1:] != areas[:-1]] = 1
        return areas

    finding = of_code(doctor.check(str(photos(outlined))).report, "smoothed")
    assert "If outlines are a class of their own, name all classes in classes.yaml" in finding.mend


# --- The copy


@pytest.mark.parametrize("place", ["", "mended", "images/../mended", "../link/mended"])
def test_nothing_is_written_in_place(place, photos):
    root = photos()
    (root.parent / "link").symlink_to(root)
    before = snapshot(root)
    with pytest.raises(ConfigError, match=r"is inside the original. Choose a folder outside it"):
        doctor.write_copy(doctor.check(str(root)), root / place)
    assert snapshot(root) == before


def test_nothing_is_written_over(photos, tmp_path):
    seen = doctor.check(str(photos()))
    output = tmp_path / "mended"
    output.mkdir()
    doctor.write_copy(seen, output)  # empty is fine
    before = snapshot(output)
    with pytest.raises(ConfigError, match=r"is not empty. Choose another folder"):
        doctor.write_copy(seen, output)
    assert snapshot(output) == before


def test_a_bad_place_for_the_copy_is_refused_before_anything_is_examined(
    photos, tmp_path, monkeypatch
):
    root, filled = photos(), tmp_path / "filled"
    filled.mkdir()
    (filled / "file").touch()
    monkeypatch.setattr(doctor, "examine_case", lambda case: pytest.fail("examined"))
    for place, why in ((filled, "is not empty"), (root / "mended", "is inside the original")):
        with pytest.raises(ConfigError, match=rf"--fix: .* {why}\."):
            doctor.check(str(root), fix=place)


def test_a_copy_that_fails_leaves_nothing(photos, tmp_path, monkeypatch):
    seen = doctor.check(str(photos()))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repair, "write_sheet", full)
    output = tmp_path / "out/mended"
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        doctor.write_copy(seen, output)
    assert list(output.parent.iterdir()) == []


def test_a_file_that_changed_since_is_left_out(photos, tmp_path):
    root = photos()
    seen = doctor.check(str(root))
    (root / "masks/04.png").write_bytes(b"")
    copy = doctor.write_copy(seen, tmp_path / "mended")
    assert set(copy.left_out) == {"04"}
    assert not (tmp_path / "mended/images/04.jpg").exists()


def test_pictures_are_copied_byte_for_byte(photos, tmp_path):
    root = photos(lambda labels: smoothed(binary(labels)))
    doctor.write_copy(doctor.check(str(root)), tmp_path / "mended")
    assert snapshot(tmp_path / "mended/images") == snapshot(root / "images")


def test_the_sheet_shows_masks_before_and_after(photos, tmp_path):
    root = photos(lambda labels: smoothed(in_colours(labels)), count=3)
    (root / "classes.yaml").write_text('{classes: {a: "#000000", b: "#804080", c: "#4682b4"}}')
    doctor.write_copy(doctor.check(str(root)), tmp_path / "mended")
    sheet = np.asarray(Image.open(tmp_path / "mended/before_after.png").convert("RGB"))

    def share_of_class_colours(pixels: np.ndarray) -> float:
        return float((pixels[..., None, :] == COLOURS).all(-1).any(-1).mean())

    # Small pictures are enlarged to 240 x 180 without smoothing; details are square.
    of_rows = sheet[40:210]
    starts = [8 + n * (THUMBNAIL + BETWEEN) for n in range(5)]
    _, before, after, closer_before, closer_after = (of_rows[:, x : x + 220] for x in starts)
    assert share_of_class_colours(closer_after) == 1
    assert share_of_class_colours(closer_before) < share_of_class_colours(before)
    assert share_of_class_colours(after) == 1
    assert 0.5 < share_of_class_colours(before) < 1


def test_the_copy_s_report_says_what_was_left_out(photos, tmp_path):
    root = photos()
    (root / "masks/05.png").unlink()
    doctor.write_copy(doctor.check(str(root)), tmp_path / "mended")
    report = json.loads((tmp_path / "mended/report.json").read_text())
    assert report["left_out"] == {"05": "without a partner"}
    assert report["findings"][0]["code"] == "no-partner"


# --- Before training


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("UNET_STUDIO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_training_is_told_of_warnings(photos, own_cache, capsys):
    root = photos()
    save(root / "masks/03.png", np.full((60, 80), 255, np.uint8))
    doctor.before_training(datasets.load(f"folder:{root}"))
    assert "warning: 1 mask is entirely void. (03)" in capsys.readouterr().err


def test_training_stops_at_errors(photos, own_cache):
    root = photos()
    save(root / "masks/03.png", draw(3)[1][:30])
    data = datasets.load(f"folder:{root}")
    with pytest.raises(DataError, match=r"another shape.* \(03\).*data check \S+ shows all") as e:
        doctor.before_training(data)
    assert f"`python -m model data check folder:{root}`" in str(e.value)


def test_a_data_set_is_examined_once_until_it_changes(photos, own_cache, monkeypatch):
    root = photos()
    report = doctor.examine(datasets.load(f"folder:{root}"))
    examined = []
    whole = doctor.examine_case
    monkeypatch.setattr(doctor, "examine_case", lambda case: examined.append(case) or whole(case))
    assert doctor.examine(datasets.load(f"folder:{root}")) == report
    assert not examined

    save(root / "masks/03.png", np.full((60, 80), 255, np.uint8))
    os.utime(root / "masks/03.png", (1, 1))
    assert doctor.examine(datasets.load(f"folder:{root}")).of("warning")
    assert len(examined) == 1


def test_a_folder_that_was_moved_is_called_by_its_new_name(photos, own_cache):
    root = photos(count=12)
    save(root / "images/03.jpg", draw(3)[0][:30])
    for place in (root, root.with_name("moved")):
        if place != root:
            root.rename(place)
        with pytest.raises(DataError, match=f"data check folder:{place}`"):
            doctor.before_training(datasets.load(f"folder:{place}"))


def test_a_damaged_report_does_not_count(photos, own_cache):
    data = datasets.load(f"folder:{photos()}")
    report = doctor.examine(data)
    (kept,) = (own_cache / "reports").iterdir()
    kept.write_text("{")
    assert doctor.examine(data) == report
    assert json.loads(kept.read_text())


def test_without_a_place_to_keep_reports_it_goes_on(photos, own_cache, caplog):
    own_cache.write_text("a file where the folder should be")
    assert doctor.examine(datasets.load(f"folder:{photos()}")).exit_code == 0
    assert "The report cannot be kept" in caplog.text


def test_a_report_that_does_not_fit_on_the_disk_leaves_nothing(photos, own_cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert doctor.examine(datasets.load(f"folder:{photos()}")).exit_code == 0
    assert list((own_cache / "reports").iterdir()) == []


def test_drawn_pictures_need_no_examination():
    assert doctor.examine(datasets.load("streets")).findings == []
