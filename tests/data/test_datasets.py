"""The data sets: their published layouts on made-up files, and the real ones where they lie."""

import copy
import shutil
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data import datasets, splits
from model.errors import ConfigError, DataError, ImageError

SIZE_HW = (6, 8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_carla(root: Path, count: int = 48) -> list[np.ndarray]:
    """Frames as published: RGBA masks with the id in the red channel. Returns the ids."""
    rng = np.random.default_rng(0)
    truth = []
    for frame in range(count):
        image = rng.integers(0, 256, (*SIZE_HW, 3), np.uint8)
        mask = rng.integers(0, 256, (*SIZE_HW, 4), np.uint8)
        mask[..., 0] = rng.integers(0, 23, SIZE_HW)
        mask[..., 3] = 255
        save(root / f"carla/CameraRGB/{frame:06d}.png", image)
        save(root / f"carla/CameraMask/{frame:06d}.png", mask)
        truth.append(mask[..., 0])
    return truth


def make_pets(root: Path, breeds=("Abyssinian", "great_pyrenees"), count: int = 20) -> dict:
    """Photographs and trimaps as published: 1 pet, 2 background, 3 border. Returns the trimaps."""
    rng = np.random.default_rng(0)
    trimaps = {}
    for breed in breeds:
        for number in range(1, count + 1):
            name = f"{breed}_{number}"
            trimaps[name] = rng.integers(1, 4, SIZE_HW, np.uint8)
            save(root / f"oxford_pet/images/{name}.jpg", np.zeros((*SIZE_HW, 3), np.uint8))
            save(root / f"oxford_pet/annotations/trimaps/{name}.png", trimaps[name])
    return trimaps


@pytest.fixture
def carla(tmp_path):
    make_carla(tmp_path)
    return tmp_path


@pytest.fixture
def pets(tmp_path):
    make_pets(tmp_path)
    return tmp_path


def test_carla_ids_come_from_the_red_channel(tmp_path):
    truth = make_carla(tmp_path)
    data = datasets.load("carla", tmp_path)
    for frame in (0, 7, 47):
        image, labels = data.pair(f"{frame:06d}")
        assert image.shape == (*SIZE_HW, 3)
        assert labels.dtype == np.uint8
        assert np.array_equal(labels, truth[frame])
    assert len(data.classes) == 23
    assert data.classes[7].name == "road"


def test_carla_split_is_contiguous(carla):
    data = datasets.load("carla", carla)
    # 48 frames in 6 stretches of 8, each cut 6, 1, 1.
    assert data.names("train")[:7] == [f"{i:06d}" for i in (0, 1, 2, 3, 4, 5, 8)]
    assert data.names("validation") == [f"{i:06d}" for i in (6, 14, 22, 30, 38, 46)]
    assert data.names("test") == [f"{i:06d}" for i in (7, 15, 23, 31, 39, 47)]


def test_pets_trimaps_count_from_one(tmp_path):
    trimaps = make_pets(tmp_path)
    data = datasets.load("pets", tmp_path)
    for name, trimap in trimaps.items():
        assert np.array_equal(data.labels(name), trimap - 1)
    assert data.classes.names == ["pet", "background", "border"]


def test_pets_split_is_stratified_by_breed(pets):
    data = datasets.load("pets", pets)
    for breed in ("Abyssinian", "great_pyrenees"):
        sizes = [
            sum(name.startswith(breed) for name in data.names(part))
            for part in ("train", "validation", "test")
        ]
        assert sizes == [14, 3, 3]


def test_the_root_is_taken_from_the_environment_unless_given(carla, tmp_path, monkeypatch):
    monkeypatch.setenv(datasets.DATA_ROOT_VARIABLE, str(carla))
    assert len(datasets.load("carla").names("train")) == 36
    with pytest.raises(DataError, match="elsewhere"):
        datasets.load("carla", tmp_path / "elsewhere")


def test_digest_depends_on_content_and_not_on_place(carla, tmp_path_factory):
    digest = datasets.load("carla", carla).digest()
    moved = tmp_path_factory.mktemp("moved")
    shutil.copytree(carla / "carla", moved / "carla")
    assert datasets.load("carla", moved).digest() == digest
    save(moved / "carla/CameraRGB/000003.png", np.zeros((*SIZE_HW, 3), np.uint8))
    assert datasets.load("carla", moved).digest() != digest


def test_the_files_are_read_once_for_the_digest(carla, monkeypatch):
    data = datasets.load("carla", carla)
    digest = data.digest()
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read again"))
    assert data.digest() == digest
    assert copy.copy(data).digest() == digest  # as studies make one for each split


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ConfigError, match=r"no data set 'cityscapes'; choose .*carla.*streets"):
        datasets.load("cityscapes")


def test_an_unknown_part_lists_those_there_are(carla):
    with pytest.raises(ConfigError, match=r"'testing'.*train.*validation.*test"):
        datasets.load("carla", carla).names("testing")


@pytest.mark.parametrize("name", ["carla", "pets"])
def test_a_missing_folder_says_where_to_get_it(name, tmp_path):
    with pytest.raises(DataError, match=r"needs the folder .* from https?://.*--data-root"):
        datasets.load(name, tmp_path)


def test_a_picture_without_a_mask_is_named(carla):
    (carla / "carla/CameraMask/000005.png").unlink()
    with pytest.raises(DataError, match="000005"):
        datasets.load("carla", carla)


def test_too_few_pictures_to_split_are_refused(tmp_path):
    make_carla(tmp_path, count=5)
    with pytest.raises(DataError, match="too few pictures"):
        datasets.load("carla", tmp_path)


def test_a_mask_of_another_size_is_refused(carla):
    save(carla / "carla/CameraMask/000002.png", np.zeros((9, 5, 4), np.uint8))
    with pytest.raises(DataError, match=r"000002 is 8 x 6, but its mask is 5 x 9"):
        datasets.load("carla", carla).pair("000002")


def test_values_that_mean_nothing_are_refused_with_the_file(carla, pets):
    mask = np.zeros((*SIZE_HW, 4), np.uint8)
    mask[0, 0, 0] = 77
    save(carla / "carla/CameraMask/000002.png", mask)
    with pytest.raises(DataError, match=r"000002\.png.*77"):
        datasets.load("carla", carla).labels("000002")
    save(pets / "oxford_pet/annotations/trimaps/Abyssinian_3.png", np.zeros(SIZE_HW, np.uint8))
    with pytest.raises(DataError, match=r"Abyssinian_3\.png.*\[0\]"):
        datasets.load("pets", pets).labels("Abyssinian_3")


def test_a_mask_without_a_red_channel_is_refused(carla):
    save(carla / "carla/CameraMask/000002.png", np.zeros(SIZE_HW, np.uint8))
    with pytest.raises(DataError, match=r"000002\.png has no red channel"):
        datasets.load("carla", carla).labels("000002")


def test_a_damaged_picture_is_refused_with_the_file(carla):
    path = carla / "carla/CameraRGB/000002.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ImageError, match=r"000002\.png is damaged"):
        datasets.load("carla", carla).image("000002")


def test_other_files_beside_the_pictures_do_not_matter(carla):
    (carla / "carla/CameraRGB/Thumbs.db").write_bytes(b"x")
    (carla / "carla/CameraMask/.DS_Store").write_bytes(b"x")
    assert len(datasets.load("carla", carla).names("train")) == 36


def test_streets_need_no_files(tmp_path):
    data = datasets.load("streets", tmp_path / "nowhere")
    assert [len(data.names(part)) for part in ("train", "validation", "test")] == [400, 80, 80]
    image, labels = data.pair("000123")
    assert np.array_equal(image, data.image("000123"))
    assert np.array_equal(labels, data.labels("000123"))
    assert data.digest() == datasets.load("streets").digest()


@pytest.mark.parametrize("name", sorted(datasets.DATA_SETS))
def test_every_class_has_its_own_name_and_colour(name):
    classes = datasets.DATA_SETS[name].classes
    assert len(set(classes.names)) == len(classes)
    assert len({info.colour.lower() for info in classes}) == len(classes)


@pytest.mark.data
def test_real_carla_has_the_documented_share_of_road_and_sky(data_root):
    data = datasets.load("carla", data_root)
    names = sorted(chain.from_iterable(data.split.values()))
    assert len(names) >= 600
    labels = [data.labels(name) for name in names[::24]]
    assert {array.shape for array in labels} == {(300, 400)}
    shares = np.bincount(np.concatenate(labels).ravel(), minlength=23) / (300 * 400 * len(labels))
    assert len(shares) == 23
    assert shares[7] == pytest.approx(0.43, abs=0.06)  # road
    assert shares[13] == pytest.approx(0.32, abs=0.06)  # sky
    image, _ = data.pair(names[0])
    assert image.shape == (300, 400, 3)


@pytest.mark.data
def test_real_pets_have_three_classes_in_plausible_places(data_root):
    data = datasets.load("pets", data_root)
    names = sorted(chain.from_iterable(data.split.values()))
    assert len(names) >= 500
    centre, corner = np.zeros(3), np.zeros(3)
    for name in names[::12]:
        image, labels = data.pair(name)
        assert image.shape[:2] == labels.shape
        height, width = labels.shape
        centre[labels[height // 2, width // 2]] += 1
        corner[labels[0, 0]] += 1
    assert centre.argmax() == 0  # the pet
    assert corner.argmax() == 1  # background


@pytest.mark.data
@pytest.mark.parametrize("name", ["carla", "pets"])
def test_real_splits_are_70_15_15_and_do_not_leak(name, data_root):
    split = datasets.load(name, data_root).split
    total = sum(map(len, split.values()))
    for part, share in zip(("train", "validation", "test"), splits.FRACTIONS, strict=True):
        assert len(split[part]) / total == pytest.approx(share, abs=0.02)
    assert len(set(chain.from_iterable(split.values()))) == total
