"""A faster arithmetic is taken unasked only where the checkpoint says that it costs nothing."""

import logging
import shutil

import pytest

from model import writing
from model.checkpoints import folder
from model.inference.engines import make_engine
from model.inference.engines import precision as precisions


@pytest.fixture(scope="module")
def plain(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("precision") / "tiny")


@pytest.fixture
def checkpoint(plain, tmp_path):
    return folder.read(shutil.copytree(plain.path, tmp_path / "tiny"))


@pytest.fixture
def every_precision_is_native(monkeypatch):
    monkeypatch.setattr(precisions, "native", lambda: frozenset(precisions.FASTEST_FIRST))


def recorded(checkpoint, num_images=10, split="validation", **points: float):
    """The checkpoint with figures whose mean IoU lies so many hundredths below float32's."""

    def figures(cost: float, precision: str) -> dict:
        values = {"mean_iou": 0.8 - cost / 100, "mean_dice": 0.9, "accuracy": 0.9}
        digest = checkpoint.digest(precision if precision != "int8" else "f32")
        if precision == "int8" and checkpoint.int8_path.exists():
            digest = checkpoint.digest("int8")
        return {**values, "num_images": num_images, "digest": digest}

    found = {name: figures(cost, name) for name, cost in points.items()}
    found["f32"] = {**figures(0, "f32"), "num_images": 10}
    metrics = {"splits": {split: found}}
    writing.write_json(checkpoint.path / folder.METRICS_FILE, metrics)
    return folder.read(checkpoint.path)


def test_prices_are_in_hundredths_of_mean_iou(checkpoint):
    assert checkpoint.prices() == {}
    assert recorded(checkpoint, bf16=0.05, int8=-0.02).prices() == {"bf16": 0.05, "int8": -0.02}


@pytest.mark.usefixtures("every_precision_is_native")
def test_what_learned_from_validation_has_its_price_on_test(checkpoint):
    found = recorded(checkpoint, split="test", bf16=0.05)
    assert (found.price_split, found.prices()) == ("test", {"bf16": 0.05})
    assert precisions.affordable(found) == ["bf16", "f32"]


def test_figures_of_other_pictures_are_no_price(checkpoint):
    assert recorded(checkpoint, num_images=9, bf16=0.0).prices() == {}


@pytest.mark.usefixtures("every_precision_is_native")
@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ({}, ["f32"]),
        ({"bf16": 0.1}, ["bf16", "f32"]),
        ({"bf16": 0.11}, ["f32"]),
        ({"bf16": -0.3, "int8": 0.09}, ["int8", "bf16", "f32"]),
        ({"bf16": 0.02, "int8": 0.5}, ["bf16", "f32"]),
    ],
)
def test_the_fastest_that_costs_at_most_a_tenth_of_a_point_comes_first(
    checkpoint, points, expected
):
    checkpoint.int8_path.write_bytes(b"ranges")
    assert precisions.affordable(recorded(checkpoint, **points)) == expected


def test_what_the_processor_lacks_is_not_taken(checkpoint, monkeypatch):
    monkeypatch.setattr(precisions, "native", lambda: frozenset({"f32"}))
    assert precisions.affordable(recorded(checkpoint, bf16=0.0)) == ["f32"]


@pytest.mark.usefixtures("every_precision_is_native")
def test_a_price_counts_for_the_weights_it_was_measured_with_only(checkpoint, make_checkpoint):
    priced = recorded(checkpoint, bf16=0.0)
    other = make_checkpoint(checkpoint.path.parent / "other", seed=1)
    shutil.copy(other.weights_path, priced.weights_path)
    assert precisions.affordable(folder.read(priced.path)) == ["f32"]


@pytest.mark.usefixtures("every_precision_is_native")
def test_int8_whose_ranges_are_gone_is_not_taken(checkpoint):
    assert precisions.affordable(recorded(checkpoint, int8=0.0)) == ["f32"]


@pytest.mark.usefixtures("every_precision_is_native")
def test_auto_goes_on_where_int8_cannot_be_opened(checkpoint, caplog):
    checkpoint.int8_path.write_bytes(b"no ranges")
    priced = recorded(checkpoint, int8=0.0)
    with caplog.at_level(logging.WARNING):
        engine = make_engine(priced, "openvino")
    assert engine.precision == "f32"
    assert "not served in int8" in caplog.text


@pytest.mark.skipif("bf16" not in precisions.native(), reason="this processor has no bf16")
def test_auto_takes_bf16_where_it_is_cheap(checkpoint):
    assert make_engine(checkpoint, "openvino").precision == "f32"
    assert make_engine(recorded(checkpoint, bf16=0.01), "openvino").precision == "bf16"
