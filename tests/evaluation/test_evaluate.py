"""Scoring a checkpoint: at the pictures' own size, pooled, with each picture's own scores."""

import os
import re

import numpy as np
import pytest

from model.checkpoints import zoo
from model.data.classes import VOID, ClassTable
from model.errors import ConfigError, DataError
from model.evaluation.evaluate import evaluate
from model.evaluation.metrics import Metrics, confusion_matrix
from model.inference.segmenter import Segmenter
from model.words import FIGURES

SIZES = {"small": (31, 47), "tall": (90, 20), "wide": (40, 128)}


class Drawn:
    """In place of a data set: random pictures of several sizes, with some void."""

    name = "drawn"
    fold_rule = "random"

    def __init__(self, classes: ClassTable, truth=None) -> None:
        self.classes = classes
        self.truth = truth

    def pair(self, name):
        rng = np.random.default_rng(sorted(SIZES).index(name))
        image = rng.integers(0, 256, (*SIZES[name], 3), np.uint8)
        labels = self.truth(image) if self.truth else rng.integers(0, 3, SIZES[name], np.uint8)
        labels = labels.copy()
        labels[:3] = VOID
        return image, labels


@pytest.fixture(scope="module")
def segmenter(make_checkpoint, tmp_path_factory) -> Segmenter:
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("evaluate") / "tiny")
    return Segmenter(checkpoint, engine="torch")


def test_predictions_that_are_right_score_full_marks(segmenter):
    data = Drawn(segmenter.classes, truth=lambda image: segmenter.segment(image).labels)
    result = evaluate(segmenter, data, SIZES)
    assert result.metrics.mean_iou == result.metrics.accuracy == 1
    assert [row["accuracy"] for row in result.per_image] == [1, 1, 1]


def test_void_alone_cannot_be_scored(segmenter):
    data = Drawn(segmenter.classes, truth=lambda image: np.full(image.shape[:2], VOID, np.uint8))
    with pytest.raises(DataError, match="every pixel of the 3 masks is void"):
        evaluate(segmenter, data, SIZES)


def test_figures_are_pooled_at_the_original_resolution(segmenter):
    data = Drawn(segmenter.classes)
    result = evaluate(segmenter, data, SIZES)
    # Every pixel that is not void, though the network saw 64 pixels on the longer side.
    assert result.metrics.matrix.sum() == sum((h - 3) * w for h, w in SIZES.values())
    matrices = [
        confusion_matrix(truth, segmenter.segment(image).labels, 3)
        for image, truth in map(data.pair, SIZES)
    ]
    assert np.array_equal(result.metrics.matrix, sum(matrices))
    assert [row["name"] for row in result.per_image] == list(SIZES)
    for row, matrix in zip(result.per_image, matrices, strict=True):
        own = Metrics.of(matrix)
        assert row["mean_iou"] == pytest.approx(own.mean_iou, abs=1e-6)
        assert row["mean_dice"] == pytest.approx(own.mean_dice, abs=1e-6)
        assert row["accuracy"] == pytest.approx(own.accuracy, abs=1e-6)


def test_json_says_what_was_measured_and_how(segmenter):
    values = evaluate(segmenter, Drawn(segmenter.classes), ["small", "wide"]).to_json()
    assert values["num_images"] == 2
    assert (values["engine"], values["precision"]) == ("torch", "f32")
    assert values["resolution"] == "original"
    assert len(values["confusion_matrix"]) == 3


def test_another_set_of_classes_is_refused(segmenter):
    data = Drawn(ClassTable.named(cat="#000000", dog="#ffffff", horse="#ff0000"))
    with pytest.raises(ConfigError, match=r"tiny knows the classes .*drawn has .*horse"):
        evaluate(segmenter, data, SIZES)


@pytest.mark.data
def test_a_recorded_figure_can_be_measured_again(data_root, command):
    """As docs/results.md promises, from the weights in the repository and the data alone."""
    name = "pets-mobilenet"
    recorded = zoo.find(name).figures("test")
    assert os.environ["UNET_STUDIO_DATA"] == str(data_root)
    done = command("evaluate", "--checkpoint", name, "--data", "pets", "--split", "test")
    assert done.returncode == 0, done.stderr
    assert f"test, {recorded['num_images']} pictures" in done.stdout
    for figure, title in FIGURES.items():
        (value,) = re.findall(rf"^    {re.escape(title)} +([\d.]+) \(", done.stdout, re.MULTILINE)
        # To a tenth of a point, and what printing one rounds away.
        assert float(value) == pytest.approx(100 * recorded[figure], abs=0.1 + 0.05), figure
