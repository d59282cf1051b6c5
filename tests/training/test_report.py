"""`report.html` and the drawings: what they say is what was measured."""

import re

import numpy as np
import pytest

from model.data.classes import ClassTable
from model.evaluation.metrics import Metrics
from model.training import plots
from model.training.run import train

CLASSES = ClassTable.of((("rare", "#aa0000"), ("common", "#00aa00"), ("absent", "#0000aa")))
METRICS = Metrics.of(np.array([[1, 1, 0], [0, 8, 0], [0, 0, 0]]))


@pytest.fixture
def report(tiny, few_streets):
    """A function that trains for an epoch and returns the checkpoint and its report's text."""

    def make() -> tuple:
        checkpoint = train(tiny(epochs=1), few_streets)
        return checkpoint, (checkpoint.path / "report.html").read_text(encoding="utf-8")

    return make


def test_the_report_says_what_was_measured(report, few_streets):
    checkpoint, page = report()
    for part in ("validation", "test"):
        figures = checkpoint.figures(part)
        for key in ("mean_iou", "mean_dice", "accuracy"):
            assert f"{100 * figures[key]:.1f}" in page
    for name in checkpoint.classes.names:
        assert name in page
    assert checkpoint.description["data"]["digest"] in page
    assert page.count("<svg") == 3
    ranked = sorted(checkpoint.per_image(), key=lambda row: float(row["mean_iou"]))
    assert f"{100 * float(ranked[0]['mean_iou']):.1f}" in page
    assert page.count("data:image/jpeg;base64,") == 2


def test_the_report_loads_nothing(report):
    _, page = report()
    loaded = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    # Drawings refer to their own parts.
    assert all(link.startswith(("data:", "#")) for link in loaded)
    assert "<script" not in page
    assert "@import" not in page


def test_pictures_that_must_not_be_shown_are_not(report, few_streets):
    few_streets.publishable = False
    few_streets.licence = "<secret>"
    checkpoint, page = report()
    assert "data:image/jpeg" not in page
    assert "does not allow its pictures to be shown" in page
    assert "&lt;secret&gt;" in page  # and nothing of the data is taken for HTML
    assert checkpoint.per_image()[0]["name"] in page


def labels_of(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_bars_are_the_classes_that_occur_by_frequency():
    (axes,) = plots.class_bars(CLASSES, METRICS).axes
    assert labels_of(axes) == ["common", "rare"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([100 * 8 / 9, 50])


def test_a_confusion_matrix_is_in_shares_of_each_true_class():
    (axes,) = plots.confusion(CLASSES, METRICS.matrix).axes
    assert labels_of(axes) == ["rare", "common"]
    assert axes.images[0].get_array().tolist() == [[0.5, 0.5], [0, 1]]
    assert [text.get_text() for text in axes.texts] == ["50", "50", "100"]


def rows(*scores: float, kept: int = 1) -> list[dict[str, float]]:
    columns = [f"{part}_{name}" for part in ("train", "val") for name in plots.PANELS]
    return [
        {"epoch": i, "lr": 0.1 / i, "kept": i == kept} | dict.fromkeys(columns, score)
        for i, score in enumerate(scores, 1)
    ]


@pytest.mark.parametrize(
    ("scores", "number"), [((0.5,), 1), ((0.1, 0.7, 0.7, 0.2), 2), ((0.1, 0.7, 0.7, 0.2), 4)]
)
def test_curves_mark_the_epoch_that_is_kept(scores, number):
    figure = plots.curves(rows(*scores, kept=number))
    assert [axes.get_title("left") for axes in figure.axes][:4] == list(plots.PANELS.values())
    kept = figure.axes[1].lines[-1]
    assert list(kept.get_xdata()) == [number]
    assert plots.png(figure).startswith(b"\x89PNG")


def test_the_same_figure_gives_the_same_file():
    assert plots.svg(plots.curves(rows(0.1, 0.2))) == plots.svg(plots.curves(rows(0.1, 0.2)))
