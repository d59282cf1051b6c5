"""Summaries of small-data studies: what is refused, and what is made of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model.checkpoints import zoo
from model.errors import DataError
from model.evaluation.report import charts
from model.evaluation.report.candidate import MODEL_COLOURS
from model.evaluation.report.document import Report, svg
from model.evaluation.report.small_data import (
    colours,
    groups,
    in_words,
    on_the_same_split,
    points,
)  # fmt: skip
from model.evaluation.report.verdict import judge
from model.evaluation.studies import SmallDataResult, published, read


@pytest.fixture
def both(make_study) -> dict[str, SmallDataResult]:
    """From scratch: 0.4 and 0.5 on 25, 0.7 on 80 pictures; pretrained 0.2 more."""
    return {
        "a-pretrained": make_study("resnet34", {25: (0.6, 0.7), 80: (0.9,)}),
        "scratch": make_study(None, {25: (0.4, 0.5), 80: (0.7,)}),
    }


def test_points_are_by_network_scratch_first_and_by_pictures(both):
    found = points(both)
    assert [(point.model, point.pictures) for point in found] == [
        ("U-Net from scratch", 25), ("U-Net from scratch", 80),
        ("ResNet34 (pretrained)", 25), ("ResNet34 (pretrained)", 80),
    ]  # fmt: skip
    mean, deviation = found[0].spread("mean_dice")
    assert (mean, deviation) == (pytest.approx(0.45), pytest.approx(0.0707107))
    assert found[1].spread("mean_dice") == (0.7, None)


def test_two_of_one_kind_are_told_apart(make_study):
    found = points({name: make_study("resnet34", {25: (0.5,)}) for name in ("x", "y")})
    assert [point.model for point in found] == [
        "ResNet34 (pretrained) · x", "ResNet34 (pretrained) · y",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scratch", "needs"),
    [((0.4, 0.5, 0.7), "needs 80"), ((0.4, 0.66, 0.7), "needs 40"),
     ((0.1, 0.2, 0.3), "does not reach with 80 in as many steps: its best is 30.0 %, with 80")],
)  # fmt: skip
def test_the_sentence_says_how_many_pictures_a_start_is_worth(make_study, scratch, needs):
    values = dict(zip((25, 40, 80), ((value,) for value in scratch), strict=True))
    studies = {"s": make_study(None, values), "p": make_study("resnet34", {25: (0.65,)})}
    assert in_words(points(studies)) == (
        "What ResNet34 (pretrained) reaches with 25 training pictures, 65.0 % mean Dice, "
        f"U-Net from scratch {needs}."
    )
    assert in_words(points({"s": studies["s"]})) == ""


def test_runs_that_overlap_decide_nothing(make_study):
    studies = {
        "s": make_study(None, {25: (0.5, 0.62, 0.7), 80: (0.6,)}),
        "p": make_study("resnet34", {25: (0.6, 0.66, 0.69), 80: (0.9,)}),
    }
    assert in_words(points(studies)).startswith("With 25 training pictures the runs of the two ov")


def test_models_keep_their_colours(both):
    found = points(both)
    chosen = colours(found, {"ResNet34 (pretrained)": MODEL_COLOURS[0], "Else": MODEL_COLOURS[1]})
    assert chosen["ResNet34 (pretrained)"] == MODEL_COLOURS[0]
    assert chosen["U-Net from scratch"] != MODEL_COLOURS[0]


def test_only_those_of_the_same_data_and_split_are_compared(both, make_study, candidate):
    protocol = candidate("A", 500).protocol
    assert set(on_the_same_split(both, protocol)) == set(both)
    other = both | {"other": make_study(None, {25: (0.5,)}, split_digest="another")}
    assert set(on_the_same_split(other, protocol)) == set(both)
    assert [set(group) for group in groups(other)] == [{"other"}, set(both)]


def test_the_report_draws_the_curve(pair, both):
    html = Report(pair, judge(pair), studies=both).html()
    assert "With fewer training pictures" in html
    assert "What ResNet34 (pretrained) reaches with 25 training pictures" in html
    assert "With fewer training pictures" not in Report(pair, judge(pair)).html()


def test_the_chart_has_a_dot_for_each_training(both):
    found = points(both)
    chart = charts.small_data_curve(found, colours(found, {}))
    band, line, told, dots = chart.to_dict()["layer"]
    assert band["mark"]["type"] == "area"
    assert {one["low"] for one in band["data"]["values"]} == {0.4, 0.7, 0.6, 0.9}
    assert len(line["data"]["values"]) == 4
    assert [one["seed"] for one in dots["data"]["values"]] == [0, 1, 0, 0, 1, 0]
    assert "tooltip" not in line["encoding"], "it would tell of the first point alone"
    assert "trainings" in [t["title"] for t in told["encoding"]["tooltip"]]
    assert [t["title"] for t in dots["encoding"]["tooltip"]] == [
        "model", "training pictures", "seed", "mean Dice", "mean IoU",
    ]  # fmt: skip
    assert svg(chart, 400).count('aria-roledescription="point"') == 6 + 4


@pytest.fixture
def studies_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(tmp_path))
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


def test_published_ones_are_found_and_damaged_ones_named(studies_folder, both):
    (studies_folder / "good.json").write_text(both["scratch"].model_dump_json())
    (studies_folder / "torn.json").write_text('{"kind": ')
    (studies_folder / "README.md").write_text("what this is")
    good, damaged = published()
    assert good == {"good": both["scratch"]}
    assert "torn.json is not JSON" in damaged["torn"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda c: c.pop("runs"), "runs"),
        (lambda c: c.update(kind="crossval"), "kind"),
        (lambda c: c.update(schema_version=2), "schema_version"),
        (lambda c: c["runs"][0].update(mean_dice=45.0), r"runs\.0\.mean_dice"),
        (lambda c: c["runs"][0].update(pictures=0), r"runs\.0\.pictures"),
        (lambda c: c["data"].pop("split_digest"), r"data\.split_digest"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, both, change: Callable, place):
    content = json.loads(both["scratch"].model_dump_json())
    change(content)
    (tmp_path / "study.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"study\.json, at {place}: "):
        read(SmallDataResult, tmp_path / "study.json")
