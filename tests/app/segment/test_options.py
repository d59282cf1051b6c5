"""What an address says of options, and what precisions are offered at what price."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from app.segment.options import Chosen, checked_precision, precision_choices
from model.checkpoints import folder
from model.data.classes import ClassTable
from model.inference.engines.precision import native

TWO = ClassTable.named(background="#000000", thing="#ff0000")
THREE = ClassTable.named(a="#000000", b="#ff0000", c="#00ff00")


@pytest.mark.parametrize(
    "chosen",
    [Chosen(), Chosen("f32", "both", True, 512, 0.3, 250), Chosen(flips="horizontal")],
)
def test_an_address_restores_the_choice(chosen):
    query = dict(parse_qsl(chosen.query("runs/some model")))
    assert query.pop("model") == "runs/some model"
    assert Chosen.from_query(query) == chosen
    assert (query == {}) == (chosen == Chosen())


@pytest.mark.parametrize(
    "query",
    [
        {"flips": "sideways", "tile": "33", "precision": "f64"},
        {"tile": "x", "threshold": "much", "minimum_area": ""},
        {"native": "yes", "nonsense": "1"},
        {"threshold": "nan", "minimum_area": "inf"},
    ],
)
def test_nonsense_in_an_address_is_as_if_it_were_not_there(query):
    assert Chosen.from_query(query) == Chosen()


def test_numbers_beyond_the_sliders_stop_at_their_ends():
    chosen = Chosen.from_query({"threshold": "7", "minimum_area": "-3"})
    assert (chosen.threshold, chosen.minimum_area) == (0.95, 0)


def test_a_threshold_counts_for_two_classes_only():
    chosen = Chosen(threshold=0.3, tile=256, native=True, minimum_area=9)
    options = chosen.segment_options(TWO, entropy=True)
    assert (options.threshold, options.tile, options.scale) == (0.3, 256, "native")
    assert options.entropy
    assert not options.confidence
    assert chosen.segment_options(THREE).threshold is None


def test_precisions_come_with_their_recorded_price(weights):
    checkpoint = folder.read(weights / "streets-scratch")
    offered = {name: text for text, name in precision_choices(checkpoint)}
    assert offered["f32"] == "f32: exact"
    assert "int8" not in offered  # it has no ranges for it
    assert ("bf16" in offered) == ("bf16" in native())
    if "bf16" in offered:
        assert offered["bf16"] == "bf16: costs 0.04 points of mean IoU"
    assert checked_precision(Chosen("int8"), checkpoint) is None
    assert checked_precision(Chosen("f32"), checkpoint) == "f32"
