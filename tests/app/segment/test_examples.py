"""Examples: what each model is tried on."""

from types import SimpleNamespace

import numpy as np
import pytest

from app.compare import sources
from app.segment import town
from app.segment.examples import STREETS, TOWNS, examples_for, scenes_for
from model.data import streets
from model.data.datasets.aerial import Aerial
from model.data.datasets.outlined import Roads
from model.data.datasets.pets import Pets
from model.data.images import decode


@pytest.mark.parametrize(
    ("names", "scenes"),
    [
        (Aerial.classes.names, TOWNS),
        (Roads.classes.names, STREETS),
        (streets.CLASSES.names, STREETS),
        (Pets.classes.names, None),
    ],
)
def test_a_model_is_tried_on_what_it_knows(names, scenes):
    assert scenes_for(names) is scenes


AERIAL = SimpleNamespace(classes=Aerial.classes)
"""As much of a checkpoint as decides about examples."""


def test_examples_are_pictures_of_the_size_that_is_said(tmp_path):
    examples = examples_for(AERIAL, tmp_path)
    assert [entry.title for entry in examples] == ["Drawn town 1", "Drawn town 2", "Drawn town 3"]
    for entry in examples:
        assert decode(entry.path).shape == (*TOWNS.size[::-1], 3)


def test_both_pages_have_the_same_examples(tmp_path):
    on_compare = sources.examples([SimpleNamespace(checkpoint=AERIAL)])
    on_segment = examples_for(AERIAL, tmp_path)
    assert [entry.title for entry in on_compare] == [entry.title for entry in on_segment]
    for one, other in zip(on_compare, on_segment, strict=True):
        picture = one.open()
        assert np.array_equal(picture.source, decode(other.path))
        assert picture.truth is None


def test_a_town_follows_from_its_seed_and_has_land_water_roads_and_leaves():
    one = town.draw(2, (320, 256))
    assert np.array_equal(one, town.draw(2, (320, 256)))
    assert not np.array_equal(one, town.draw(3, (320, 256)))
    pixels = one.reshape(-1, 3).astype(int)
    for colour in (town.SAND, town.WATER, town.ASPHALT, town.LAWN):
        share = (np.abs(pixels - colour).max(1) < 40).mean()
        assert share > 0.02, colour
