"""The small-data study: who learns from what, that all take as many steps, and how it goes on."""

import json
import shutil
from dataclasses import replace

import pytest

from model.checkpoints import folder
from model.data import split_file, splits
from model.errors import ConfigError, DataError
from model.evaluation.studies import SmallDataResult, read
from model.training.studies import small_data as studies
from model.training.studies.configs import SmallData
from model.training.studies.small_data import SUMMARY_FILE, small_data


@pytest.fixture(scope="module")
def config(small, tmp_path_factory) -> SmallData:
    """Of nine training pictures; epochs of nine, so three steps each."""
    output = tmp_path_factory.mktemp("small-data") / "streets-scratch"
    return SmallData(**small, pictures=(2, 5), seeds=2, output=output)


@pytest.fixture(scope="module")
def found(config):
    return small_data(config)


@pytest.fixture
def copy(config, found, tmp_path) -> SmallData:
    """A copy of the finished study, to be gone on with."""
    shutil.copytree(config.output, tmp_path / "copy")
    return replace(config, output=tmp_path / "copy", resume=True)


def test_runs_differ_in_pictures_and_seed_alone(config, found):
    assert [(run.pictures, run.seed) for run in found.runs] == [
        (2, 0), (2, 1), (5, 0), (5, 1), (9, 0),
    ]  # fmt: skip
    assert {run.steps for run in found.runs} == {6}, "three in each of two epochs"
    assert {run.epochs for run in found.runs} == {2}
    for run in found.runs:
        made = folder.read(config.output / f"{run.pictures}-seed-{run.seed}")
        assert made.description["training"]["seed"] == run.seed
        assert made.description["data"]["split_sizes"]["train"] == run.pictures
        assert not (made.path / "resume").exists()


def test_a_larger_draw_holds_the_smaller_one_and_seeds_draw_others(config, found):
    def drawn(name):
        return split_file.read(config.output / f"{name}.split.json").parts

    whole = split_file.read(config.split).parts
    for seed in (0, 1):
        few, more = drawn(f"2-seed-{seed}"), drawn(f"5-seed-{seed}")
        assert set(few["train"]) < set(more["train"]) < set(whole["train"])
        assert few["validation"] == whole["validation"]
        assert few["test"] == whole["test"]
    assert drawn("5-seed-0")["train"] != drawn("5-seed-1")["train"]
    assert drawn("9-seed-0") == whole


def test_the_summary_says_what_the_runs_recorded(config, found):
    written = read(SmallDataResult, config.output / SUMMARY_FILE)
    assert written == found
    for run in written.runs:
        figures = folder.read(config.output / f"{run.pictures}-seed-{run.seed}").figures("test")
        assert (run.mean_dice, run.mean_iou) == (figures["mean_dice"], figures["mean_iou"])
        assert figures["num_images"] == 4
    whole = split_file.read(config.split)
    assert written.data.split_digest == splits.digest(whole.parts)
    assert written.data.split_sizes == {"train": 9, "validation": 3, "test": 4}
    assert written.training["pictures_per_epoch"] == 9
    assert written.training["machine"]
    assert written.command.startswith("python -m model small-data --split-file small.json")
    assert written.command.endswith("--pictures 2 5 --seeds 2")
    assert (config.output / SUMMARY_FILE).stat().st_size < 20_000


def test_only_what_is_missing_is_trained(copy, found, monkeypatch):
    path = copy.output / SUMMARY_FILE
    content = json.loads(path.read_text())
    lost = content["runs"].pop(1)
    path.write_text(json.dumps(content))
    shutil.rmtree(copy.output / "2-seed-1")
    done = []
    trained = studies.trained

    def watch(config, *rest):
        done.append(config.output.name)
        return trained(config, *rest)

    monkeypatch.setattr(studies, "trained", watch)
    again = small_data(copy)
    assert done == ["2-seed-1"]
    assert again.runs[1].model_dump(exclude={"seconds"}) == {
        key: value for key, value in lost.items() if key != "seconds"
    }
    small_data(replace(copy, pictures=(2, 5), seeds=2))
    assert done == ["2-seed-1"], "a finished study is not begun again"


def test_a_run_that_was_stopped_goes_on_within(config, found, tmp_path, monkeypatch):
    from model.training.writer import RunWriter

    stopped = replace(config, output=tmp_path / "stopped", pictures=(5,), seeds=1)
    ended = RunWriter.on_train_epoch_end

    def stop(self, *arguments):
        ended(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "on_train_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            small_data(stopped)
    assert (stopped.output / "5-seed-0" / "resume" / "last.ckpt").exists()
    assert not (stopped.output / SUMMARY_FILE).exists()
    with pytest.raises(ConfigError, match=r"already holds such a study\. Add --resume"):
        small_data(stopped)
    runs = small_data(replace(stopped, resume=True)).runs
    assert runs[0].mean_dice == found.runs[2].mean_dice


def test_it_goes_on_with_its_own_settings_and_data_alone(copy, config, found, small):
    with pytest.raises(ConfigError, match="already holds such a study"):
        small_data(replace(copy, resume=False))
    with pytest.raises(ConfigError, match=r"--epochs 2 \(now 3\)"):
        small_data(replace(copy, epochs=3))
    path = copy.output / SUMMARY_FILE
    path.write_text(path.read_text().replace(found.data.digest, "0" * 16))
    with pytest.raises(ConfigError, match="has changed since the study"):
        small_data(copy)
    path.write_text("{}")
    with pytest.raises(DataError, match=r"small-data\.json, at .*: Field required"):
        small_data(copy)


def test_as_many_as_there_are_is_no_draw(small, tmp_path):
    with pytest.raises(ConfigError, match="--pictures 9: there are 9 training pictures"):
        small_data(SmallData(**small, pictures=(2, 9), output=tmp_path / "run"))


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"seeds": 0}, "--seeds"),
        ({"pictures": ()}, "--pictures"),
        ({"pictures": (5, 5)}, "--pictures"),
        ({"pictures": (0, 5)}, "--pictures"),
        ({"limit": 10}, "--limit"),
        ({"include_validation": True}, "--include-validation"),
        ({"early_stopping": 3}, "--early-stopping"),
        ({"time_limit": 1.0}, "--time-limit"),
        ({"on_collapse": "stop"}, "--on-collapse"),
        ({"devices": 2}, "--devices"),
    ],
)
def test_what_would_make_runs_unequal_is_refused_by_flag(settings, flag):
    with pytest.raises(ConfigError, match=flag):
        SmallData(**settings)


def test_the_command_takes_a_preset_and_prints_the_curve(copy, here):
    words = ["--data", "streets", "--split-file", copy.split, "--base-width", "8", "--depth", "2"]
    words += ["--longest-side", "64", "--crop", "32", "--batch-size", "3", "--epochs", "2"]
    words += ["--device", "cpu", "--samples-every", "0", "--pictures", "2", "5", "--seeds", "2"]
    code, printed, errors = here("small-data", *words, "--resume", "--output", copy.output)
    assert code == 0, errors
    lines = [line for line in printed.splitlines() if "training pictures: mean IoU" in line]
    assert [int(line.split()[0]) for line in lines] == [2, 5, 9]
    assert ["±" in line for line in lines] == [True, True, False]
    assert "weights/studies/copy.json" in printed
    code, printed, _ = here("small-data", "--preset", "pets-scratch", "--help")
    assert code == 0
    assert "(default: pets-scratch)" in printed
    assert "(default: 25 50 100 200)" in printed
