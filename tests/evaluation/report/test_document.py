"""The report as a whole, its tables, and what may be written into it."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from xml.etree import ElementTree

import pytest

from model.evaluation.cost import SIZES_WH, Cost, Latency
from model.evaluation.report import tables
from model.evaluation.report.document import Report
from model.evaluation.report.verdict import judge

COST = Cost(10**9, {size: Latency(12.5, 10, 20) for size in SIZES_WH}, 2 * 10**7, "openvino", "f32")


@pytest.fixture
def report(pair) -> Report:
    return Report(pair, judge(pair), {model.name: COST for model in pair})


def test_report_needs_nothing_else(report):
    html = report.html()
    assert report.verdict.headline in html
    # Four curves, bars and differences of two figures, three matrices, objects, calibration, price.
    assert html.count("<svg") == 4 + 4 + 3 + 1 + 1 + 1
    assert "<script" not in html
    assert not re.search(r'(?:src|href)="(?!#)', html)
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(picture)


def test_report_says_how_everything_was_measured(report):
    html = report.html()
    for text in ("digest d", "split s", "paired bootstrap", "permutation", "models taking turns"):
        assert text in html


def test_names_of_people_are_no_markup(candidate):
    models = [candidate("<b>A", 500, counts=True), candidate("B & C", 800, counts=True)]
    html = Report(models, judge(models)).html()
    assert "<b>A" not in html
    assert "&lt;b&gt;A" in html


def test_report_on_little(candidate):
    """A run that goes on and an old checkpoint: what is missing is left out."""
    models = [candidate("Running", None), candidate("Old", 800, pictures=[0.5, 0.6])]
    report = Report(models, judge(models))
    assert "Nothing to compare yet" in report.html()
    assert {t.key for t in report.tables()} == {"scores", "classes", "confusion-Old", "price",
                                                "pictures"}  # fmt: skip


def test_tables_hold_the_figures_unrounded(report, pair):
    with zipfile.ZipFile(io.BytesIO(report.csv())) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(files) == {
        "protocol.txt", "verdict.csv", "scores.csv", "classes.csv", "confusion-Scratch.csv",
        "confusion-Pretrained.csv", "boundaries.csv", "objects.csv", "calibration.csv",
        "learning.csv", "history.csv", "price.csv", "pictures.csv",
    }  # fmt: skip
    scores = {row["Model"]: row for row in csv.DictReader(io.StringIO(files["scores.csv"]))}
    for model in pair:
        assert float(scores[model.title]["Mean IoU, 0 to 1"]) == model.metrics.mean_iou
    verdict = next(csv.DictReader(io.StringIO(files["verdict.csv"])))
    gap = float(verdict["Difference, difference of shares"])
    assert gap == pytest.approx(pair[1].metrics.mean_iou - pair[0].metrics.mean_iou)
    price = next(csv.DictReader(io.StringIO(files["price.csv"])))
    assert float(price["640 x 480, ms"]) == 12.5
    assert float(price["File, MB"]) == 2.0
    assert "pictures.csv: Pictures. Mean IoU" in files["protocol.txt"]


def test_tables_of_what_cannot_be_compared_are_prices_only(candidate):
    other = {"name": "toy", "digest": "d", "split_digest": "another"}
    models = [candidate("A", 500, counts=True), candidate("B", 800, counts=True, data=other)]
    assert [t.key for t in tables.all_tables(models, judge(models), {})] == ["price"]


def test_picture_table_holds_disagreement_where_it_is_known(pair):
    table = tables.picture_table(pair, {"03": 0.25})
    assert [column.kind for column in table.columns] == [
        "text",
        "share",
        "share",
        "points",
        "share",
    ]
    row = table.rows[3]
    assert row[3] == pytest.approx(row[1] - row[2])
    assert (row[4], table.rows[4][4]) == (0.25, None)


def test_names_of_files_are_plain(candidate):
    assert tables.confusion_key(candidate("a b_c-d", 1)) == "confusion-a-b_c-d"
