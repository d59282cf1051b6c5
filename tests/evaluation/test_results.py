"""docs/results.md: everything recorded is in it, and it says what nothing else does."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from model.checkpoints import folder, zoo
from model.checkpoints.card import card
from model.checkpoints.folder import Checkpoint
from model.data.classes import ClassTable
from model.evaluation import results
from model.evaluation.goals import Goal, headline
from model.evaluation.report import small_data
from model.evaluation.report.candidate import MOST
from model.evaluation.report.words import MINUS, NOTHING
from model.evaluation.results import document, markdown_table
from model.evaluation.studies import (
    CrossValidationResult,
    SearchResult,
    SmallDataResult,
    of_kind,
    published,
)

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def test_the_page_is_what_the_command_writes(command, tmp_path):
    output = tmp_path / "results.md"
    assert command("results", "--output", output).returncode == 0
    assert RESULTS.read_text(encoding="utf-8") == output.read_text(encoding="utf-8")
    for chart in tmp_path.glob("*.svg"):  # fonts differ between machines, what is drawn does not
        written = (RESULTS.parent / chart.name).read_text(encoding="utf-8")
        assert drawn(written) == drawn(chart.read_text(encoding="utf-8"))


def drawn(svg: str) -> list[str]:
    """What the marks of a chart stand for, as it tells those who cannot see it."""
    return re.findall(r'aria-label="([^"]+)" role="graphics-symbol"', svg)


def test_every_checkpoint_and_class_has_its_row():
    checkpoints = [*zoo.list_bundled()[0], *zoo.list_reported()]
    text = document(checkpoints)
    for checkpoint in checkpoints:
        figures = checkpoint.figures("test")
        note = "" if checkpoint.is_shipped else " (reported, not shipped)"
        assert f"| `{checkpoint.name}`{note} | {100 * figures['mean_iou']:.1f}" in text
        for info in checkpoint.classes:
            assert f"\n| {info.name} | " in text


def pairs(text: str) -> dict[tuple[str, str], tuple[list[float], str, str]]:
    """By from scratch and pretrained: by how much the latter is ahead, low and high; how clear a
    difference that is; whether settings differ."""
    found = {}
    for line in text.splitlines():
        cells = line.strip("| ").split(" | ")
        if len(cells) == 6 and cells[5] in ("alike", "differ"):
            names = tuple(re.match("`([^`]+)`", cell)[1] for cell in cells[:2])
            numbers = re.findall(r"[\d.-]+", cells[2].replace(MINUS, "-"))
            found[names] = (list(map(float, numbers)), cells[4], cells[5])
    return found


def everything(data: str) -> dict[str, Checkpoint]:
    checkpoints = [*zoo.list_bundled()[0], *zoo.list_reported()]
    return {c.name: c for c in checkpoints if c.data_name == data}


def test_every_pair_has_its_row_however_many_there_are():
    """CARLA's checkpoints are more than there are colours."""
    carla = everything("carla")
    assert len(carla) > MOST
    text = document(list(carla.values()))
    assert len(re.findall(r"^\*\*.* points of mean IoU", text, re.MULTILINE)) == 2  # from scratch
    found = pairs(text)
    assert len(found) == 6
    for names, ((ahead, low, high), difference, settings) in found.items():
        iou = [carla[name].figures("test")["mean_iou"] for name in names]
        assert ahead == pytest.approx(100 * (iou[1] - iou[0]), abs=0.051)
        assert low < ahead < high
        assert difference in ("clear", "probable", "none shown")
        if len({"dice" in name for name in names}) == 2:  # one with Dice loss alone
            assert settings == "differ"


def test_a_pair_that_the_network_from_scratch_wins_is_below_zero():
    pets = everything("pets")

    def starting(scratch: str) -> list[Checkpoint]:
        return [
            replace(c, description={**c.description, "encoder": {"pretrained": c.name != scratch}})
            for c in pets.values()
        ]

    names = ("pets-scratch", "pets-mobilenet")
    ahead, low, high = pairs(document(starting(names[0])))[names][0]
    behind = pairs(document(starting(names[1])))[names[::-1]][0]
    assert behind == [-ahead, -high, -low]
    assert low > 0


def test_a_checkpoint_without_figures_is_left_out():
    first, *rest = zoo.list_bundled()[0]
    unscored = replace(first, metrics={})
    assert f"`{first.name}`" not in markdown_table([unscored, *rest])
    assert f"`{first.name}`" not in document([unscored, *rest])


def test_who_learned_from_validation_is_said():
    scratch, mobilenet = zoo.find("pets-scratch"), zoo.find("pets-mobilenet")
    sizes = {"train": 507, "validation": 0, "test": 85}
    more = {
        "data": scratch.description["data"] | {"split_sizes": sizes},
        "training": scratch.description["training"] | {"include_validation": True},
    }
    told = replace(scratch, description=scratch.description | more)
    text = document([told, mobilenet])
    assert "Pictures: 422 for training, 85 for validation, 85 for test" in text
    assert "507 for training, including those for validation, 85 for test" in document([told])
    assert "`pets-scratch` learned from the validation pictures too." in text
    assert "learned from the validation" not in document([scratch, mobilenet])


def test_an_output_that_cannot_be_written_is_named(command, tmp_path):
    shown = command("results", "--output", tmp_path / "missing" / "results.md")
    assert shown.returncode == 2
    assert "--output" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_each_folder_of_somebodys_own_has_its_section(tmp_path, make_checkpoint):
    """Their classes differ, and so does what equal scores mean."""
    checkpoints = []
    for name, count in (("mine", 4), ("yours", 2)):
        checkpoint = make_checkpoint(tmp_path / name, num_classes=count)
        figures = zoo.find("pets-scratch").figures("test")
        per_class = {key: values[:1] * count for key, values in figures["per_class"].items()}
        metrics = {"splits": {"test": {"f32": figures | {"per_class": per_class}}}}
        classes = ClassTable.named(**{f"{name}_{i}": f"#00000{i}" for i in range(count)})
        data = {"name": "folder", "title": name, "digest": name}
        description = checkpoint.description | {"data": data}
        checkpoints.append(
            replace(checkpoint, description=description, metrics=metrics, classes=classes)
        )
    text = document(checkpoints)
    mine, yours = text.index("## mine"), text.index("## yours")
    assert mine < text.index("mine_3") < yours < text.index("yours_1")


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """A `weights/` folder with one checkpoint, which tests may change."""
    weights = tmp_path / "weights"
    shutil.copytree(zoo.find("pets-scratch").path, weights / "pets-scratch")
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(weights))
    return weights


@pytest.fixture
def run(shelf, tmp_path) -> Path:
    """A finished training, whose weights are too large to ship."""
    path = tmp_path / "runs" / "pets-resnet34"
    shutil.copytree(shelf / "pets-scratch", path)
    (path / "resume").mkdir()
    (path / "resume" / "last.ckpt").touch()
    return path


def test_a_run_is_reported_without_its_weights(shelf, run, here, tmp_path):
    output = tmp_path / "results.md"
    code, printed, errors = here("results", "--report", run, "--output", output)
    assert code == 0, errors
    reported = shelf / "reported" / "pets-resnet34"
    assert f"Reported: {reported}" in printed
    assert {path.name for path in reported.iterdir()} == {
        "README.md", "config.json", "history.csv", "metrics.json", "per_image.csv",
        "segmentation.json", "training.png",
    }  # fmt: skip
    text = output.read_text()
    figure = f"{100 * folder.read(run).figures('test')['mean_iou']:.1f}"
    assert f"| `pets-resnet34` (reported, not shipped) | {figure} (" in text
    training = r"\| `pets-resnet34` \(reported, not shipped\) \| unet \| .*\| not shipped \|"
    assert re.search(training, text)
    told = (reported / "README.md").read_text()
    assert "Its weights are not shipped" in told
    assert "Segmenter(" not in told
    assert " MB" not in told
    code, printed, _ = here("results")
    assert "pets-resnet34" not in printed, "the README's table is of what can be used"


def test_a_second_report_leaves_nothing_of_the_first(shelf, run, here):
    here("results", "--report", run)
    (run / "training.png").unlink()
    here("results", "--report", run)
    assert not (shelf / "reported" / "pets-resnet34" / "training.png").exists()


def test_a_run_that_lies_where_reports_go_keeps_its_weights(shelf, run, here):
    own = shutil.copytree(run, shelf / "reported" / "mine")
    before = sorted(path.name for path in own.iterdir())
    code, _, errors = here("results", "--report", own)
    assert code == 2
    assert "is a run itself" in errors
    assert sorted(path.name for path in own.iterdir()) == before


def test_a_reported_checkpoint_is_no_model_and_no_damage(shelf, run, here):
    here("results", "--report", run)
    good, damaged = zoo.list_bundled()
    assert [checkpoint.name for checkpoint in good] == ["pets-scratch"]
    assert damaged == {}
    code, _, errors = here("evaluate", "--checkpoint", "pets-resnet34")
    assert code == 2
    assert "no model 'pets-resnet34'. Its figures are reported, but its weights are not" in errors


def test_what_is_shipped_or_unscored_is_not_reported(shelf, run, here):
    code, _, errors = here("results", "--report", shelf / "pets-scratch")
    assert code == 2
    assert "pets-scratch is shipped in" in errors
    (run / "metrics.json").unlink()
    code, _, errors = here("results", "--report", run)
    assert code == 2
    assert "has no figures on the test part" in errors
    assert not (shelf / "reported").exists()


def test_a_damaged_report_is_named(shelf, run, here, tmp_path):
    here("results", "--report", run)
    (shelf / "reported" / "pets-resnet34" / "segmentation.json").write_text("{")
    code, _, errors = here("results", "--output", tmp_path / "results.md")
    assert code == 2
    assert "segmentation.json cannot be read" in errors


def test_our_own_reported_ones_hold_no_weights_and_say_so():
    for checkpoint in zoo.list_reported():
        assert not list(checkpoint.path.glob("*.safetensors"))
        assert (checkpoint.path / folder.CARD_FILE).read_text() == card(checkpoint)


def test_goals_are_reached_or_missed_by_so_much(monkeypatch):
    scratch = zoo.find("pets-scratch")
    figure = scratch.figures("test")["mean_iou"]

    def row(goal: Goal) -> str:
        monkeypatch.setattr(results, "GOALS", (goal,))
        (line,) = re.findall(r"^\| \w+ \| score .*$", document([scratch]), re.MULTILINE)
        return line

    def goal(threshold, data="pets", start="any"):
        return Goal(data, "score", headline("mean_iou"), threshold, start, tried="More epochs.")

    shown = f"| `pets-scratch` | {100 * figure:.1f} |"
    assert row(goal(figure - 0.05)).endswith(f"{shown} reached by 5.0 |")
    assert row(goal(figure + 0.05)).endswith(f"{shown} missed by 5.0. More epochs. |")
    none = f"| {NOTHING} | {NOTHING} | no checkpoint yet |"
    assert row(goal(0.5, start="pretrained")).endswith(none)
    assert row(goal(0.5, data="roads")).endswith(none)


def page(here, folder_path: Path) -> str:
    """What `results` writes into a folder."""
    code, _, errors = here("results", "--output", folder_path / "results.md")
    assert code == 0, errors
    return (folder_path / "results.md").read_text()


def test_studies_are_drawn_and_tabled(shelf, make_study, here, tmp_path):
    (shelf / "studies").mkdir()
    for name, encoder, dice in (
        ("toy-scratch", None, {25: (0.40, 0.50), 80: (0.70,)}),
        ("toy-mobilenet", "mobilenet_v2", {25: (0.60, 0.64), 80: (0.9,)}),
    ):
        study = make_study(encoder, dice)
        (shelf / "studies" / f"{name}.json").write_text(study.model_dump_json())
    text = page(here, tmp_path)
    assert "## With fewer training pictures: Toys, painted" in text
    assert "](small-data-toy.svg)" in text
    assert "| 25 | 2 | 45.0 ± 7.1 | 62.0 ± 2.8 | 22.5 ± 3.5 | 31.0 ± 1.4 |" in text
    assert "| 80 | 1 | 70.0 | 90.0 | 35.0 | 45.0 |" in text
    assert "25 training pictures, 62.0 % mean Dice, U-Net from scratch needs 80." in text
    marks = drawn((tmp_path / "small-data-toy.svg").read_text())
    assert sum("seed: 1" in mark for mark in marks) == 2
    (shelf / "studies" / "toy-scratch.json").write_text("[]")
    code, _, errors = here("results", "--output", tmp_path / "results.md")
    assert code == 2
    assert "toy-scratch.json" in errors


def test_our_own_studies_can_be_read():
    good, damaged = published()
    assert damaged == {}
    assert set(good) == {path.stem for path in zoo.study_files()}
    for group in small_data.groups(of_kind(SmallDataResult, good)):
        assert len({run.steps for study in group.values() for run in study.runs}) == 1


@pytest.mark.parametrize("content", ['{"kind": ["x"]}', '{"folds": 5}', '{"kind": "survey"}', "[]"])
def test_a_study_of_no_known_kind_is_named(shelf, content, here, tmp_path):
    (shelf / "studies").mkdir()
    (shelf / "studies" / "odd.json").write_text(content)
    code, _, errors = here("results", "--output", tmp_path / "results.md")
    assert code == 2
    assert "odd.json" in errors


def figures(*iou: float | None) -> dict:
    """Figures of three classes whose IoUs are given; the others are as large."""
    known = [value for value in iou if value is not None]
    means = ("mean_iou", "mean_dice", "mean_precision", "mean_recall", "accuracy")
    return {
        **dict.fromkeys(means, sum(known) / len(known)),
        "per_class": dict.fromkeys(("iou", "dice", "precision", "recall"), iou)
        | {"support": [1, 1, 1]},
        "confusion_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    }


def test_folds_and_searches_have_their_sections(shelf, make_study, here, tmp_path):
    toy = make_study(None, {80: (0.7,)})
    shared = {"data": toy.data, "training": toy.training}
    folds = CrossValidationResult(
        **shared, class_names=["bear", "ball", "kite"], folds=2, fold_rule="group", num_images=90,
        network=toy.network, encoder=toy.encoder, command="python -m model crossval --folds 2",
        each=[figures(0.5, 0.5, None), figures(0.7, 0.3, 0.9)],
        pooled=figures(0.6, 0.35, 0.9), ensemble_on_test=figures(0.8, 0.8, 0.8),
    )  # fmt: skip
    tried = [(0, "complete", 0.41), (1, "pruned", 0.12), (2, "complete", 0.57), (3, "fail", None)]
    search = SearchResult(
        **shared, network="unet", command="python -m model tune --trials 4", trial=2,
        validation_iou=0.57, chosen={"lr": 0.0031, "loss": "dice"}, train="t", retrain="r",
        trials=[
            {"trial": number, "state": state, "epochs": 3, "validation_iou": value,
             "chosen": {"lr": 0.001 * (number + 1), "loss": "dice"}}
            for number, state, value in tried
        ],
    )  # fmt: skip
    (shelf / "studies").mkdir()
    for name, study in (("folds", folds), ("search", search), ("small", toy)):
        (shelf / "studies" / f"{name}.json").write_text(study.model_dump_json())
    text = page(here, tmp_path)
    assert "## Cross-validation: Toys, painted" in text
    assert "| over the 2 folds | 56.7 ± 9.4 |" in text
    assert "on the 20 test pictures | 80.0 |" in text
    assert "| bear | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 ± 14.1 | 60.0 |" in text
    assert "| kite | 90.0 | 90.0 |" in text, "one fold alone has kites"
    assert "whole groups, such as tiles, held out in turn" in text
    section = text.partition("## Search for settings: Toys, painted")[2]
    assert "3 trials of `unet`" in section
    assert "The best: lr 0.0031, loss dice." in section
    rows = re.findall(r"^\| (\d) \|.*$", section, re.MULTILINE)
    assert rows == ["2", "0", "1"], "best first, without what has no figure"
    assert "| 1 | dice | 0.002 | 3 | 12.0 |" in section
