"""The drawn street scenes: repeatable, complete, exact, and not solved by colour alone."""

import numpy as np
import pytest

from model.data import streets
from model.data.streets.finish import majority

SEEDS = range(30)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [streets.draw(seed) for seed in SEEDS]


def shares(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels.ravel(), minlength=len(streets.CLASSES)) / labels.size


def test_class_table_uses_the_cityscapes_colours():
    assert [(info.name, info.rgb) for info in streets.CLASSES] == [
        ("road", (128, 64, 128)),
        ("sidewalk", (244, 35, 232)),
        ("building", (70, 70, 70)),
        ("vegetation", (107, 142, 35)),
        ("car", (0, 0, 142)),
        ("person", (220, 20, 60)),
        ("sky", (70, 130, 180)),
    ]


def test_same_seed_draws_the_same_scene(scenes):
    np.random.seed(1)  # global state must not matter
    image, labels = streets.draw(3)
    assert np.array_equal(image, scenes[3][0])
    assert np.array_equal(labels, scenes[3][1])
    assert not np.array_equal(labels, scenes[4][1])


@pytest.mark.parametrize("size_wh", [(64, 64), (320, 240), (201, 133), (90, 400), (1024, 768)])
def test_arrays_have_the_size_asked_for(size_wh):
    width, height = size_wh
    for seed in (0, 7):
        image, labels = streets.draw(seed, size_wh)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        assert labels.shape == (height, width)
        assert labels.dtype == np.uint8
        assert labels.max() < len(streets.CLASSES)


def test_every_class_has_a_plausible_share(scenes):
    mean = dict(
        zip(
            streets.CLASSES.names,
            np.mean([shares(labels) for _, labels in scenes], axis=0),
            strict=True,
        )
    )
    assert 0.10 < mean["road"] < 0.5
    assert 0.08 < mean["sky"] < 0.4
    assert 0.10 < mean["building"] < 0.5
    assert 0.04 < mean["vegetation"] < 0.4
    assert 0.02 < mean["sidewalk"] < 0.3
    assert 0.003 < mean["car"] < 0.3
    assert 0.003 < mean["person"] < 0.1


def test_scenes_differ_in_more_than_noise(scenes):
    brightness = [image.mean() for image, _ in scenes]
    roads = [shares(labels)[0] for _, labels in scenes]
    assert np.std(brightness) > 8
    assert np.std(roads) > 0.03


@pytest.mark.parametrize("seed", range(5))
def test_labels_keep_their_geometry_at_any_size(seed):
    _, small = streets.draw(seed, (320, 240))
    _, big = streets.draw(seed, (960, 720))
    _, wide = streets.draw(seed, (640, 240))
    assert (big[1::3, 1::3] == small).mean() > 0.93
    assert (wide[:, ::2] == small).mean() > 0.93


def test_colour_alone_does_not_tell_the_classes(scenes):
    """A classifier that knows each class' mean colour must stay well below a network."""
    pixels = np.concatenate([image[::4, ::4].reshape(-1, 3) for image, _ in scenes]).astype(float)
    labels = np.concatenate([labels[::4, ::4].ravel() for _, labels in scenes])
    means = np.stack([pixels[labels == info.id].mean(0) for info in streets.CLASSES])
    guesses = ((pixels[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (guesses == labels).mean() < 0.85


def test_picture_changes_where_the_mask_changes(scenes):
    """Edges of the mask lie on edges of the picture, not beside them."""
    for image, labels in scenes[:10]:
        steps = np.abs(np.diff(image.astype(int).sum(-1), axis=1))
        edges = labels[:, 1:] != labels[:, :-1]
        beside = np.zeros_like(edges)
        beside[:, 3:] = edges[:, :-3]
        assert steps[edges].mean() > 1.3 * steps[beside & ~edges].mean()


def test_majority_counts_four_and_prefers_the_upper_left():
    values = np.uint8([[1, 2, 5, 6, 1, 2, 1, 3], [2, 2, 7, 8, 2, 1, 4, 4]])
    assert majority(values).tolist() == [[2, 5, 1, 4]]
