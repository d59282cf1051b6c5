"""Anybody's own folder: layouts, names, encodings told from the pixels, classes.yaml."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data import class_file, datasets, splits
from model.data.annotations import read as read_annotations
from model.data.annotations.convert import write_masks
from model.data.class_file import ClassFile
from model.data.classes import VOID, default_classes
from model.data.datasets.folder import UserFolder, own_split
from model.data.masks import index_png
from model.data.recognise import MOST_VALUES, look_at_all, recognise, scan
from model.errors import ConfigError, DataError

SIZE_HW = (6, 8)
RNG = np.random.default_rng(0)


def labels_of(number: int, classes: int = 3) -> np.ndarray:
    """Labels that hold every class."""
    return np.roll(np.arange(48, dtype=np.uint8) % classes, number).reshape(SIZE_HW)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def make_folder(root: Path, count: int = 10, mask="masks/{}.png", to_pixels=lambda x: x) -> None:
    for number in range(count):
        name = f"{number:03d}"
        save(root / f"images/{name}.jpg", RNG.integers(0, 256, (*SIZE_HW, 3), np.uint8))
        save(root / mask.format(name), to_pixels(labels_of(number)))


def masks_of(root: Path, **pixels: np.ndarray) -> list[Path]:
    return [save(root / f"{name}.png", values) for name, values in pixels.items()]


# Layouts and names


def test_a_flat_folder_is_split_at_random(tmp_path):
    make_folder(tmp_path, 40)
    data = datasets.load(f"folder:{tmp_path}")
    assert {part: len(names) for part, names in data.split.items()} == {
        "train": 28,
        "validation": 6,
        "test": 6,
    }
    image, labels = data.pair("007")
    assert image.shape == (*SIZE_HW, 3)
    assert np.array_equal(labels, labels_of(7))
    assert data.classes.names == ["class 0", "class 1", "class 2"]
    assert data.name == "folder"
    assert "random" in data.split_rule
    # The root may be given apart from the name, as for the other data sets.
    assert splits.digest(datasets.load("folder", tmp_path).split) == splits.digest(data.split)


@pytest.mark.parametrize(
    "ending", ["_mask", "_L", "_gt", "_label", "_labelIds", "_gtFine_labelIds", "_MASK"]
)
def test_usual_endings_of_mask_names_are_recognised(ending, tmp_path):
    make_folder(tmp_path, mask=f"masks/{{}}{ending}.png")
    data = datasets.load(f"folder:{tmp_path}")
    assert np.array_equal(data.labels("003"), labels_of(3))


def test_a_picture_s_own_name_may_look_like_an_ending(tmp_path):
    make_folder(tmp_path)
    for name in ("eye_l", "eye", "town_leftImg8bit"):
        save(tmp_path / f"images/{name}.png", np.zeros((*SIZE_HW, 3), np.uint8))
    save(tmp_path / "masks/eye_l.png", labels_of(1))
    save(tmp_path / "masks/eye_mask.png", labels_of(2))
    save(tmp_path / "masks/town_gtFine_labelIds.png", labels_of(3))
    data = datasets.load(f"folder:{tmp_path}")
    for number, name in enumerate(("eye_l", "eye", "town_leftImg8bit"), 1):
        assert np.array_equal(data.labels(name), labels_of(number))


def test_two_masks_of_one_picture_are_refused(tmp_path):
    make_folder(tmp_path)
    save(tmp_path / "masks/003_gt.png", labels_of(0))
    with pytest.raises(DataError, match=r"003\.png and 003_gt\.png .* picture 003"):
        datasets.load(f"folder:{tmp_path}")


def test_pictures_that_differ_in_the_suffix_only_are_refused(tmp_path):
    make_folder(tmp_path)
    save(tmp_path / "images/003.png", np.zeros((*SIZE_HW, 3), np.uint8))
    with pytest.raises(DataError, match=r"both 003\.jpg and 003\.png"):
        datasets.load(f"folder:{tmp_path}")


@pytest.mark.parametrize("layout", ["images/{part}", "{part}/images"])
def test_official_parts_are_kept(layout, tmp_path):
    for folder, count in (("train", 9), ("valid", 2), ("test", 3)):
        for number in range(count):
            images = tmp_path / layout.format(part=folder)
            masks = tmp_path / layout.format(part=folder).replace("images", "masks")
            save(images / f"{number}.png", np.zeros((*SIZE_HW, 3), np.uint8))
            save(masks / f"{number}.png", labels_of(number))
    data = datasets.load(f"folder:{tmp_path}")
    assert {part: len(names) for part, names in data.split.items()} == {
        "train": 9,
        "validation": 2,
        "test": 3,
    }
    assert data.names("validation") == ["valid/0", "valid/1"]
    assert np.array_equal(data.labels("test/2"), labels_of(2))


def test_of_two_official_parts_the_second_is_for_testing(tmp_path):
    for folder, count in (("train", 20), ("val", 4)):
        for number in range(count):
            save(tmp_path / f"images/{folder}/{number}.png", np.zeros((*SIZE_HW, 3), np.uint8))
            save(tmp_path / f"masks/{folder}/{number}.png", labels_of(number))
    data = datasets.load(f"folder:{tmp_path}")
    assert {part: len(names) for part, names in data.split.items()} == {
        "train": 17,
        "validation": 3,
        "test": 4,
    }
    assert all(name.startswith("val/") for name in data.names("test"))
    assert "15 % of train" in data.split_rule


def make_part(root: Path, count: int, images: str = "images", masks: str = "masks") -> None:
    for number in range(count):
        save(root / f"{images}/{number}.png", np.zeros((*SIZE_HW, 3), np.uint8))
        save(root / f"{masks}/{number}.png", labels_of(number))


@pytest.mark.parametrize("folders", [("imgs", "masks"), ("images", "gt")])
def test_a_part_whose_folders_have_other_names_is_refused(folders, tmp_path):
    make_part(tmp_path / "train", 9)
    make_part(tmp_path / "val", 2, *folders)
    (other,) = set(folders) - {"images", "masks"}
    (lost,) = {"images", "masks"} - set(folders)
    with pytest.raises(DataError, match=rf"no folder val/{lost}/; if {other}/ is meant, rename it"):
        datasets.load(f"folder:{tmp_path}")


def test_a_part_without_folders_is_refused(tmp_path):
    make_part(tmp_path / "train", 9)
    save(tmp_path / "test/0.png", np.zeros((*SIZE_HW, 3), np.uint8))
    with pytest.raises(DataError, match="has no folder test/images/"):
        datasets.load(f"folder:{tmp_path}")


def test_the_case_of_the_folders_names_does_not_matter(tmp_path):
    make_part(tmp_path / "Train", 9, "Images", "MASKS")
    make_part(tmp_path / "test", 4)
    assert len(datasets.load(f"folder:{tmp_path}").images) == 13


def test_a_picture_may_be_called_as_a_part_is():
    split, rule = own_split(["train", "test", "a", "b", "c", "d", "e", "f", "g", "h"])
    assert rule == UserFolder.split_rule
    assert sum(map(len, split.values())) == 10


def test_missing_folders_and_partners_are_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        datasets.load(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="has neither images/ and masks/"):
        datasets.load(f"folder:{tmp_path}")
    make_folder(tmp_path)
    (tmp_path / "masks/004.png").unlink()
    with pytest.raises(DataError, match=r"10 pictures and 9 masks; without a partner: \['004'\]"):
        datasets.load(f"folder:{tmp_path}")
    for mask in (tmp_path / "masks").iterdir():
        mask.unlink()
    with pytest.raises(DataError, match="has no pictures"):
        datasets.load(f"folder:{tmp_path}")
    (tmp_path / "masks").rmdir()
    with pytest.raises(DataError, match="has no folder masks/"):
        datasets.load(f"folder:{tmp_path}")


def test_only_folder_takes_a_path():
    with pytest.raises(ConfigError, match="folder:PATH"):
        datasets.load("pets:somewhere")


def test_hidden_files_of_other_systems_are_ignored(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "masks/._003.png").write_bytes(b"AppleDouble")
    (tmp_path / "images/.ipynb_checkpoints").mkdir()
    (tmp_path / "images/.ipynb_checkpoints/003-checkpoint.png").write_bytes(b"a copy")
    assert len(datasets.load(f"folder:{tmp_path}").images) == 10


def test_nothing_of_the_user_s_is_changed(tmp_path):
    make_folder(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    data = datasets.load(f"folder:{tmp_path}")
    data.pair("001")
    data.digest()
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_the_digest_covers_what_the_values_mean(tmp_path):
    make_folder(tmp_path)
    digest = datasets.load(f"folder:{tmp_path}").digest()
    (tmp_path / "classes.yaml").write_text("classes: [a, b, c]\n")
    assert datasets.load(f"folder:{tmp_path}").digest() != digest


# Encodings told from the pixels


def read_back(paths: list[Path], described: ClassFile | None = None):
    encoding, classes = recognise(paths, described)
    return [encoding.read(path).tolist() for path in paths], classes.names


def test_ids_are_recognised_and_255_is_void(tmp_path):
    paths = masks_of(tmp_path, a=np.uint8([[0, 1, 255]]), b=np.uint8([[2, 1, 0]]))
    labels, names = read_back(paths)
    assert labels == [[[0, 1, VOID]], [[2, 1, 0]]]
    assert names == ["class 0", "class 1", "class 2"]


def test_ids_with_gaps_become_classes_in_their_order(tmp_path):
    paths = masks_of(tmp_path, a=np.uint8([[7, 26, 11]]), b=np.uint16([[300, 7, 7]]))
    labels, names = read_back(paths)
    assert labels == [[[0, 2, 1]], [[3, 0, 0]]]
    assert names == ["class 7", "class 11", "class 26", "class 300"]


@pytest.mark.parametrize("levels", [[0, 128, 255], [0, 127, 255], [0, 85, 170, 255]])
def test_grey_levels_up_to_255_are_classes(levels, tmp_path):
    labels, names = read_back(masks_of(tmp_path, a=np.uint8([levels])))
    assert labels == [[list(range(len(levels)))]]
    assert names == [f"class {level}" for level in levels]


@pytest.mark.parametrize("ids", [[1, 2, 3], [7, 11, 26], [0, *range(40, 90)]])
def test_255_is_void_beside_small_ids_and_beside_many(ids, tmp_path):
    labels, _ = read_back(masks_of(tmp_path, a=np.uint8([[*ids, 255]])))
    assert labels == [[[*range(len(ids)), VOID]]]


def test_0_and_255_are_background_and_foreground(tmp_path):
    grey = np.uint8([[0, 255]])
    for pixels in ({"a": grey, "b": 0 * grey}, {"a": grey > 0}, {"a": grey, "b": grey > 0}):
        labels, names = read_back(masks_of(tmp_path / str(len(pixels)), **pixels))
        assert labels[0] == [[0, 1]]
        assert names == ["background", "foreground"]


def test_grey_and_pure_red_rgb_files_are_read_by_their_red_channel(tmp_path):
    ids = np.uint8([[0, 1, 2]])
    zero = np.zeros_like(ids)
    for name, channels in (("grey", [ids, ids, ids]), ("red", [ids, zero, zero])):
        paths = masks_of(tmp_path / name, a=np.dstack(channels))
        encoding, _ = recognise(paths)
        assert encoding.storage == "red"
        assert encoding.read(paths[0]).tolist() == [[0, 1, 2]]
    two = masks_of(tmp_path / "two", a=np.dstack([ids % 2 * 255] * 3))
    assert read_back(two) == ([[[0, 1, 0]]], ["background", "foreground"])


def test_colours_are_classes_named_by_themselves(tmp_path):
    rgb = np.uint8([[[255, 0, 0], [0, 0, 255], [0, 0, 0]]])
    labels, names = read_back(masks_of(tmp_path, a=rgb))
    assert labels == [[[2, 1, 0]]]
    assert names == ["#000000", "#0000ff", "#ff0000"]


def test_grey_in_one_file_and_red_in_another_are_colours(tmp_path):
    red = np.uint8([[[0, 0, 0], [128, 0, 0]]])
    grey = np.uint8([[[0, 0, 0], [128, 128, 128]]])
    _, names = read_back(masks_of(tmp_path, a=red, b=grey))
    assert names == ["#000000", "#800000", "#808080"]


def palette_file(path: Path, indices, colours) -> Path:
    image = Image.fromarray(np.uint8(indices))
    image.putpalette(np.uint8(colours).tobytes())
    image.save(path)
    return path


def test_palette_files_are_ids_if_they_agree_and_colours_if_not(tmp_path):
    red, blue = (255, 0, 0), (0, 0, 255)
    a = palette_file(tmp_path / "a.png", [[0, 1]], [red, blue])
    b = palette_file(tmp_path / "b.png", [[1, 0]], [red, blue])
    assert recognise([a, b])[0].storage == "index"
    # A saver that sorts the palette anew for each file: only the colours mean something.
    c = palette_file(tmp_path / "c.png", [[0, 1]], [blue, red])
    encoding, classes = recognise([a, c])
    assert encoding.storage == "colour"
    assert classes.names == ["#0000ff", "#ff0000"]
    assert encoding.read(a).tolist() == [[1, 0]]
    assert encoding.read(c).tolist() == [[0, 1]]
    d = save(tmp_path / "d.png", np.uint8([[red, blue]]))
    assert recognise([a, d])[0].storage == "colour"


def test_contradictory_masks_are_refused(tmp_path):
    rgb = np.uint8([[[255, 0, 0], [0, 0, 255]]])
    paths = masks_of(tmp_path, ids=np.uint8([[0, 1]]), colours=rgb)
    with pytest.raises(DataError, match=r"ids\.png holds grey values, colours\.png colours"):
        recognise(paths)


def test_compressed_and_smoothed_masks_are_refused(tmp_path):
    levels = np.uint8([np.linspace(0, 255, MOST_VALUES + 2)])
    with pytest.raises(DataError, match=r"66 different values.*Export them as PNG"):
        recognise(masks_of(tmp_path, a=levels))
    noisy = RNG.integers(0, 256, (9, 9, 3), np.uint8)
    with pytest.raises(DataError, match=r"81 different colours.*Export them as PNG"):
        recognise(masks_of(tmp_path, b=noisy))
    jpeg = save(tmp_path / "c.jpg", noisy)
    with pytest.raises(DataError, match="is a JPEG"):
        recognise([jpeg])


def test_one_class_only_is_refused(tmp_path):
    with pytest.raises(DataError, match="one class only"):
        recognise(masks_of(tmp_path, a=np.uint8([[3, 255]])))


def test_files_are_looked_at_on_the_available_cores(monkeypatch):
    monkeypatch.setattr("model.data.recognise.available_cores", lambda: 1)
    threads = look_at_all(lambda _: time.sleep(0.001) or threading.get_ident(), range(20))
    assert len(threads) == 20
    assert len(set(threads)) == 1


def test_a_scan_lists_what_a_file_holds(tmp_path):
    path = palette_file(tmp_path / "a.png", [[3, 1]], [(i, 0, 0) for i in range(4)])
    result = scan(path)
    assert (result.kind, result.values, result.colours) == ("palette", (1, 3), (0x010000, 0x030000))


# classes.yaml


def described(tmp_path: Path, text: str) -> ClassFile:
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    return class_file.read(path)


def test_names_colours_and_void_come_from_the_file(tmp_path):
    make_folder(tmp_path, to_pixels=lambda x: np.where(x == 2, 9, x).astype(np.uint8))
    (tmp_path / "classes.yaml").write_text(
        'classes: [background, {name: road, colour: "#804080"}]\nvoid: [9]\n'
    )
    data = datasets.load(f"folder:{tmp_path}")
    assert data.classes.names == ["background", "road"]
    assert data.classes[1].colour == "#804080"
    assert set(np.unique(data.labels("000"))) == {0, 1, VOID}


@pytest.mark.parametrize("place", ["", "masks/", "masks/sub/", "images/"])
@pytest.mark.parametrize("name", ["classes.yaml", "classes.yml", "Classes.YAML"])
def test_the_file_is_found_beside_the_pictures_and_among_the_masks(place, name, tmp_path):
    make_folder(tmp_path)
    (tmp_path / "masks/sub").mkdir()
    (tmp_path / place / name).write_text("classes: [a, b, c]\n")
    assert datasets.load(f"folder:{tmp_path}").classes.names == ["a", "b", "c"]


def test_the_files_of_all_parts_must_agree(tmp_path):
    for part in ("train", "val", "test"):
        make_part(tmp_path / part, 9)
        (tmp_path / part / "masks/classes.yaml").write_text("classes: [a, b, c]\n")
    assert datasets.load(f"folder:{tmp_path}").classes.names == ["a", "b", "c"]
    (tmp_path / "val/masks/classes.yaml").write_text("classes: [b, a, c]\n")
    with pytest.raises(
        DataError, match=r"test/masks/classes\.yaml and val/masks/classes\.yaml say different"
    ):
        datasets.load(f"folder:{tmp_path}")


def test_the_short_form_gives_names_and_colours(tmp_path):
    rgb = np.uint8([[[0x80, 0x40, 0x80], [0, 0, 0], [255, 255, 255]]])
    file = described(tmp_path, 'classes: {sky: "#000000", road: "#804080"}\nvoid: "#FFFFFF"\n')
    labels, names = read_back(masks_of(tmp_path, a=rgb), file)
    assert labels == [[[1, 0, VOID]]]
    assert names == ["sky", "road"]


def test_values_map_to_names(tmp_path):
    file = described(
        tmp_path, "classes: [ground, car]\nvalues: {7: ground, 8: ground, 26: car}\nvoid: 0\n"
    )
    labels, _ = read_back(masks_of(tmp_path, a=np.uint8([[7, 8, 26, 0]])), file)
    assert labels == [[[0, 0, 1, VOID]]]


@pytest.mark.parametrize(
    ("text", "colours", "expected"),
    [
        ('classes: {road: "#ff0000", ground: "#000000"}', "000000 ff0000", [1, 0]),
        ('classes: {road: "#ffffff", ground: "#000000"}', "000000 ffffff", [1, 0]),
        ('classes: {a: "#000000", b: "#808080", c: "#ffffff"}', "000000 808080 ffffff", [0, 1, 2]),
        ('classes: {a: "#000000", b: "#ff0000"}\nvoid: "#800000"', "000000 800000 ff0000",
         [0, VOID, 1]),
        ('classes: [ground, road]\nvalues: {"#ff0000": road, "#000000": ground}', "000000 ff0000",
         [0, 1]),
        ("classes: [ground, road]", "000000 ff0000", [0, 1]),
    ],
)  # fmt: skip
def test_stated_colours_count_also_where_one_channel_would_do(tmp_path, text, colours, expected):
    pixels = np.uint8([[list(bytes.fromhex(colour)) for colour in colours.split()]])
    assert read_back(masks_of(tmp_path, a=pixels), described(tmp_path, text))[0] == [[expected]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("classes: [ground, road]\nvalues: {0: ground, 255: road}", [0, 1]),
        ("classes: [ground, road]\nvalues: {255: ground, 0: road}\nencoding: binary", [1, 0]),
        ("classes: [ground, road]\nvoid: 255", [0, VOID]),
        ('classes: {road: "#ffffff", ground: "#000000"}', [1, 0]),
    ],
)
def test_what_0_and_255_mean_may_be_stated(tmp_path, text, expected):
    paths = masks_of(tmp_path, a=np.uint8([[0, 255]]))
    assert read_back(paths, described(tmp_path, text))[0] == [[expected]]


def test_more_classes_than_a_mask_holds_are_refused(tmp_path):
    names = ", ".join(f"c{number}" for number in range(256))
    with pytest.raises(DataError, match="There are 256 classes; a mask can hold at most 255"):
        read_back(
            masks_of(tmp_path, a=np.uint8([[0, 7]])), described(tmp_path, f"classes: [{names}]")
        )


def test_two_named_classes_in_masks_of_0_and_255(tmp_path):
    file = described(tmp_path, "classes: [background, crack]\n")
    levels = np.uint8([[0, 255]])
    for pixels in (levels, levels > 0, np.dstack([levels] * 3)):
        labels, names = read_back(masks_of(tmp_path, a=pixels), file)
        assert labels == [[[0, 1]]]
        assert names == ["background", "crack"]


def test_a_stated_encoding_is_used_without_looking(tmp_path):
    file = described(tmp_path, "classes: [a, b]\nencoding: red\n")
    encoding, _ = recognise([tmp_path / "not there.png"], file)
    assert encoding.storage == "red"


def test_a_stated_encoding_without_classes(tmp_path):
    paths = masks_of(tmp_path, a=np.uint8([[[5, 9, 9], [8, 0, 0]]]))
    labels, names = read_back(paths, ClassFile(encoding="red"))
    assert (labels, names) == ([[[0, 1]]], ["class 5", "class 8"])
    paths = masks_of(tmp_path, a=np.uint8([[0, 255]]))
    assert read_back(paths, ClassFile(encoding="binary"))[1] == ["background", "foreground"]


def test_values_that_the_file_lacks_are_named(tmp_path):
    file = described(tmp_path, "classes: [a, b]\n")
    with pytest.raises(DataError, match=r"values \[2, 255\], which classes\.yaml lacks"):
        recognise(masks_of(tmp_path, a=np.uint8([[0, 1, 2, 255]])), file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [a, b", "is not YAML"),
        ("classes: 5", "at classes"),
        ("colours: [a]", "colours: Extra inputs are not permitted"),
        ("classes: [a, {name: b, color: red}]", r"at classes\.1\.color"),
        ("classes: [{name: a, colour: red}]", r"at classes\.0\.colour"),
        ("encoding: rgb", "at encoding"),
        ("classes: [a, a]", "must differ"),
        ("values: {1: a}", "needs `classes`"),
        ("void: [-1]", "at void"),
        ("[1, 2]", "at its top level"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        described(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [a, b]\nvalues: {0: a, 1: c}", r"names the classes \['c'\]"),
        ("classes: [a, b]\nvoid: 1", r"values \[1\] are both a class and void"),
        ('classes: [a, b]\nvoid: "#ffffff"', "masks store numbers"),
        ("classes: [a, b]\nencoding: colour", r"classes \['a', 'b'\] have no colour"),
        ('classes: {a: "#000000"}\nvoid: 3\nencoding: colour', "masks store colours"),
        (
            'classes: {a: "#000000", b: "#000000"}\nencoding: colour',
            "same colour: a #000000, b #000000",
        ),
    ],
)
def test_contradictions_with_the_masks_are_named(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        recognise(masks_of(tmp_path, a=np.uint8([[0, 1]])), described(tmp_path, text))


def test_what_data_masks_writes_is_a_folder(tmp_path):
    make_folder(tmp_path / "own", 20)
    labels = tmp_path / "labels"
    labels.mkdir()
    for number in range(20):
        (labels / f"{number:03d}.txt").write_text("0 0 0 0.5 0 0.5 1 0 1\n")
    (labels / "classes.txt").write_text("road\n")
    shutil.rmtree(tmp_path / "own/masks")
    write_masks(read_annotations(labels), tmp_path / "own/images", tmp_path / "own/masks")
    data = datasets.load(f"folder:{tmp_path / 'own'}")
    assert data.classes.names == ["background", "road"]
    # Void is stated though it does not occur: it may, in a part that is converted apart.
    assert class_file.read(tmp_path / "own/masks/classes.yaml").void == [VOID]
    assert data.labels("005").tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 6


def test_the_written_class_file_reads_back(tmp_path):
    table = default_classes(["background", "road", "Auto & Weg"])
    file = described(tmp_path, class_file.text(table, [255]))
    assert file.table() == table
    encoding = file.mask_encoding("index")
    assert encoding.read(index_png(np.uint8([[0, 2, 255]]), table)).tolist() == [[0, 2, VOID]]


def test_default_colours_differ_for_many_classes():
    table = default_classes(f"class {i}" for i in range(150))
    assert len({info.rgb for info in table}) == 150


def test_a_folder_without_its_path_is_asked_for():
    with pytest.raises(ConfigError, match="--data folder:PATH"):
        datasets.load("folder")
