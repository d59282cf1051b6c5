"""Cross-validation: what is held out, what is summed, and how it goes on."""

import csv
import errno
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from model.checkpoints import folder
from model.data import datasets, split_file, splits, streets
from model.data.classes import VOID
from model.data.datasets.driving import Streets
from model.errors import ConfigError, DataError, StudioError, TrainingError
from model.evaluation import studies
from model.evaluation.metrics import Metrics
from model.evaluation.studies import CrossValidationResult
from model.inference.segmenter import Segmenter
from model.training.resuming import finished
from model.training.run import train
from model.training.studies.configs import CrossValidation
from model.training.studies.crossval import cross_validate


@pytest.fixture(scope="module")
def config(small, tmp_path_factory) -> CrossValidation:
    return CrossValidation(**small, folds=3, output=tmp_path_factory.mktemp("crossval") / "run")


@pytest.fixture(scope="module")
def found(config):
    return cross_validate(config)


def summary(config) -> dict:
    return json.loads((config.output / "crossval.json").read_text())


def test_every_picture_is_held_out_once_and_the_test_part_never(config, found):
    parts = split_file.read(config.split).parts
    held_out = []
    for checkpoint in found.checkpoints:
        assert checkpoint.description["data"]["split_sizes"] == {
            "train": 8, "validation": 4, "test": 4,
        }  # fmt: skip
        held_out.append(checkpoint.figures("validation")["num_images"])
    assert sum(held_out) == len(parts["train"] + parts["validation"])
    digests = {c.description["data"]["split_digest"] for c in found.checkpoints}
    assert len(digests) == 3


def test_the_pooled_matrix_is_the_sum_and_its_pixels_are_all_of_them(config, found):
    matrices = [np.array(c.figures("validation")["confusion_matrix"]) for c in found.checkpoints]
    pooled = found.result.pooled
    assert np.array_equal(pooled.confusion_matrix, sum(matrices))
    assert np.sum(pooled.confusion_matrix) == 12 * 320 * 240
    assert pooled.mean_iou == pytest.approx(Metrics.of(sum(matrices)).mean_iou, abs=1e-6)
    assert studies.read(CrossValidationResult, config.output / "crossval.json") == found.result


def test_mean_and_deviation_are_those_of_the_folds(config, found):
    values = [figures.mean_iou for figures in found.result.each]
    mean, deviation = found.result.spread("mean_iou")
    assert mean == pytest.approx(sum(values) / 3)
    assert deviation == pytest.approx(np.std(values, ddof=1))
    with open(config.output / "crossval.csv", newline="") as file:
        rows = {(row["class"], row["figure"]): row for row in csv.DictReader(file)}
    assert float(rows["all", "mean_iou"]["mean"]) == pytest.approx(mean, abs=1e-6)
    sky = [figures.per_class.iou[6] for figures in found.result.each]
    assert float(rows["sky", "iou"]["mean"]) == pytest.approx(np.mean(sky), abs=1e-6)


def test_only_the_missing_fold_is_trained_again(config, found, tmp_path, capsys):
    again = replace(config, output=shutil.copytree(config.output, tmp_path / "run"), resume=True)
    shutil.rmtree(again.output / "fold-2")
    result = cross_validate(again)
    assert capsys.readouterr().out.count("epoch 1/2") == 1
    assert result.result == found.result


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_finished_fold_needs_no_state(harm, config, found, tmp_path, capsys):
    again = replace(config, output=shutil.copytree(config.output, tmp_path / "run"), resume=True)
    state = again.output / "fold-1" / "resume" / "last.ckpt"
    shutil.rmtree(state.parent) if harm == "gone" else state.write_bytes(b"nothing")
    (again.output / "fold-1" / "metrics.json").unlink()
    assert cross_validate(again).result == found.result
    assert "epoch 1/2" not in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"fold-1 was started with --lr 0\.001 \(now 0\.1\)"):
        cross_validate(replace(again, lr=0.1))


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_fold_that_cannot_be_continued_is_named(harm, config, found, tmp_path):
    """The last line of its history is missing, as after a kill."""
    again = replace(config, output=shutil.copytree(config.output, tmp_path / "run"), resume=True)
    fold = again.output / "fold-2"
    (fold / "history.csv").unlink()
    state = fold / "resume" / "last.ckpt"
    state.unlink() if harm == "gone" else state.write_bytes(b"nothing")
    with pytest.raises(StudioError, match=f"delete {fold} or") as caught:
        cross_validate(again)
    assert "Add --resume" not in str(caught.value)
    shutil.rmtree(fold)
    assert cross_validate(again).result == found.result


def test_a_fold_that_ended_goes_on_with_more_time(few_streets, tiny):
    limited = tiny(time_limit=1e-9, keep="last")
    train(limited, few_streets, score=False)
    assert finished(limited, few_streets).description["training"]["epochs_done"] == 1
    assert finished(replace(limited, time_limit=None), few_streets) is None


def test_folds_that_never_began_are_not_resumed(config, tmp_path):
    with pytest.raises(ConfigError, match=r"has no folds to continue\. Leave --resume out"):
        cross_validate(replace(config, output=tmp_path / "new", resume=True))


def test_a_fold_without_labels_is_named_before_the_first_is_trained(config, tmp_path, monkeypatch):
    parts = datasets.load("streets", split=config.split).folds(3, config.seed)
    gone = parts[1]["validation"]
    labels = Streets.labels

    def void(self, name):
        return np.full_like(labels(self, name), VOID if name in gone else 0)

    monkeypatch.setattr(Streets, "labels", void)
    monkeypatch.setattr("model.training.studies.crossval.trained", None)
    told = f"Fold 2 of 3: all pixels of its validation masks are void, .*: {gone[0]}, "
    with pytest.raises(DataError, match=told):
        cross_validate(replace(config, output=tmp_path / "new"))


def test_folds_are_not_written_over_and_not_mixed(config, found):
    with pytest.raises(ConfigError, match="already holds 3 folds"):
        cross_validate(config)
    with pytest.raises(ConfigError, match="split has changed"):
        cross_validate(replace(config, folds=4, resume=True))


def test_the_command_prints_the_table(here, found, config):
    code, printed, _ = here(
        "crossval", "--resume", "--folds", "3", "--data", "streets", "--split-file", config.split,
        "--base-width", "8", "--depth", "2", "--longest-side", "64", "--crop", "32",
        "--batch-size", "3", "--epochs", "2", "--device", "cpu", "--samples-every", "0",
        "--skip-check", "--output", config.output,
    )  # fmt: skip
    assert code == 0
    assert f"mean IoU {100 * found.result.pooled.mean_iou:.1f} %" in printed
    assert "±" in printed


def test_the_folder_is_the_ensemble_of_its_folds(found, config):
    picture = streets.draw(600, (80, 60))[0]
    folds = [folder.read(config.output / f"fold-{number}") for number in (1, 2, 3)]
    expected = Segmenter(folds, engine="torch").segment(picture, confidence=True)
    ensemble = Segmenter(config.output, engine="torch")
    result = ensemble.segment(picture, confidence=True)
    assert len(ensemble.members) == 3
    assert np.array_equal(result.confidence, expected.confidence)
    whole = splits.digest(split_file.read(config.split).parts)
    assert found.ensemble.description["data"]["split_digest"] == whole
    assert found.ensemble.figures("test")["num_images"] == 4
    card = (config.output / folder.CARD_FILE).read_text()
    assert "an ensemble: its probabilities are averaged with those of fold-2, fold-3" in card
    assert folder.HISTORY_FILE not in card
    assert len(found.ensemble.per_image()) == 4
    assert summary(config)["ensemble_on_test"]["mean_iou"] == pytest.approx(
        Metrics.of(np.array(found.ensemble.figures("test")["confusion_matrix"])).mean_iou, abs=1e-6
    )


def test_folds_do_not_go_into_the_folder_of_a_run(config, tmp_path):
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "last.ckpt").touch()
    with pytest.raises(ConfigError, match="holds a run of its own"):
        cross_validate(replace(config, output=tmp_path))


def test_folds_do_not_start_from_a_network_that_has_seen_them(found, config, tmp_path):
    start = str(config.output / "fold-1")
    with pytest.raises(ConfigError, match="has learned from the same data"):
        cross_validate(replace(config, output=tmp_path / "run", start_from=start))


def test_folds_do_not_go_over_a_checkpoint(config, tmp_path, make_checkpoint):
    checkpoint = make_checkpoint(tmp_path / "mine")
    before = checkpoint.digest()
    with pytest.raises(ConfigError, match="holds a run of its own"):
        cross_validate(replace(config, output=checkpoint.path))
    assert checkpoint.digest() == before


def test_the_ensemble_has_learned_from_validation(found, config):
    assert found.ensemble.learned_from_validation
    description = found.ensemble.description
    assert description["data"]["split_sizes"] == {"train": 12, "validation": 0, "test": 4}
    assert description["training"]["command"] == config.command()


@pytest.mark.parametrize("study", ["crossval", "tune"])
def test_a_folder_that_cannot_be_made_is_said(study, here, tmp_path):
    (tmp_path / "file").touch()
    code, _, errors = here(study, "--data", "streets", "--output", tmp_path / "file" / "run")
    assert code == 2
    assert f"--output {tmp_path / 'file' / 'run'} cannot be created: " in errors


def test_what_cannot_be_written_at_the_end_is_said(found, config, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("model.training.studies.crossval._table", full)
    with pytest.raises(
        TrainingError, match=r"has no room for more: No space .* --resume continues"
    ):
        cross_validate(replace(config, resume=True))


def test_too_many_folds_are_refused(small, tmp_path):
    with pytest.raises(ConfigError, match="--folds 13: choose between 2 and 12"):
        cross_validate(CrossValidation(**small, folds=13, output=tmp_path / "run"))


def test_a_fold_is_a_checkpoint_like_any_other(found):
    for fold in found.checkpoints:
        assert folder.read(fold.path).figures("test")["num_images"] == 4
        for name in ("report.html", "training.png", "README.md"):
            assert (fold.path / name).stat().st_size > 1000
    assert "mean IoU" in (found.ensemble.path / "README.md").read_text()


def test_folds_are_not_judged_by_what_they_learned_from():
    with pytest.raises(ConfigError, match="--include-validation does not go with crossval"):
        CrossValidation(include_validation=True)


def test_the_pictures_that_are_held_out_choose_no_epoch(found):
    for checkpoint in found.checkpoints:
        training = checkpoint.description["training"]
        assert training["best_epoch"] == training["epochs_done"]


@pytest.mark.parametrize("settings", [{"early_stopping": 3}, {"schedule": "plateau"}])
def test_the_pictures_that_are_held_out_have_no_say(settings):
    with pytest.raises(ConfigError, match="would influence its training"):
        CrossValidation(**settings)
