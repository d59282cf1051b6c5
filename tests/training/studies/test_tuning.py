"""The search: what it tries, prunes and keeps, and that it goes on where it stopped."""

import csv
import json
import math
import os
import shutil
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from matplotlib import pyplot

from model.checkpoints import folder
from model.errors import ConfigError, DataError, TrainingError
from model.training.studies import storage, tuning
from model.training.studies.configs import Tuning
from model.training.writer import RESUME_FILE


@pytest.fixture(scope="module")
def config(small, tmp_path_factory) -> Tuning:
    return Tuning(
        **small,
        trials=3,
        search=("lr", "loss", "augment"),
        losses=("ce", "dice"),
        retrain=True,
        output=tmp_path_factory.mktemp("tuning") / "run",
    )


@pytest.fixture(scope="module")
def winner(config):
    return tuning.tune(config)


def trials(config) -> list[dict[str, str]]:
    with open(config.output / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_trial_is_named_with_the_command_that_trains_it(config, winner):
    rows = trials(config)
    assert len(rows) == 3
    best = json.loads((config.output / "best.json").read_text())
    top = max(rows, key=lambda row: float(row["validation_iou"] or 0))
    assert best["trial"] == int(top["trial"])
    for command in (best["train"], best["retrain"]):
        assert f"--lr {best['chosen']['lr']}" in command
    assert best["retrain"] == winner.description["training"]["command"]
    assert "--include-validation" in best["retrain"]
    assert set(best["chosen"]) == {"lr", "loss", "augment"}


def test_trials_are_runs_with_the_proposed_settings(config, winner):
    for row in trials(config):
        run = folder.read(config.output / f"trial-{int(row['trial']):04d}")
        assert run.description["training"]["loss"] == row["loss"]
        assert run.description["training"]["lr"] == pytest.approx(float(row["lr"]))
        assert max(r["val_iou"] for r in run.history()) == pytest.approx(
            float(row["validation_iou"]), abs=1e-6
        )
        assert not (run.path / "resume").exists()


def test_the_winner_learns_from_all_but_the_test_part(config, winner):
    training = winner.description["training"]
    assert training["include_validation"]
    assert training["best_epoch"] == training["epochs_done"] == 2
    assert winner.figures("test")["num_images"] == 4
    assert winner.figures("validation") is None, "it has seen those pictures"


def test_the_plots_are_pictures(config, winner):
    for name in tuning.PLOTS:
        assert (config.output / name).read_bytes().startswith(b"\x89PNG")


def test_a_finished_search_is_not_begun_again(config, winner, monkeypatch):
    monkeypatch.setattr(tuning, "_train", lambda *_: pytest.fail("a trial was started"))
    tuning.tune(replace(config, resume=True, retrain=False))
    assert len(trials(config)) == 3
    with pytest.raises(ConfigError, match="already holds a search with 3 trials"):
        tuning.tune(config)


def test_a_search_goes_on_only_with_its_own_settings(config, winner):
    with pytest.raises(ConfigError, match=r"--batch-size 3 \(now 4\)"):
        tuning.tune(replace(config, resume=True, batch_size=4))


def test_hopeless_trials_are_pruned_and_diverged_ones_counted(small, tmp_path, monkeypatch):
    epochs = []

    def train(settings, data, *, on_epoch, score):
        number = int(settings.output.name.removeprefix("trial-"))
        for epoch in range(1, 9):
            epochs.append((number, epoch))
            on_epoch({"epoch": epoch, "val_iou": 0.1 if number == 7 else 0.5})
        path = tmp_path / "scored"
        path.mkdir(exist_ok=True)
        return type("Run", (), {"history": lambda self: [{"val_iou": 0.5}]})()

    monkeypatch.setattr(tuning, "train", train)
    config = Tuning(**small | {"epochs": 8}, trials=8, search=("lr",), output=tmp_path / "run")
    tuning.tune(config)
    states = [row["state"] for row in trials(config)]
    assert states == ["complete"] * 7 + ["pruned"]
    assert max(epoch for number, epoch in epochs if number == 7) < 8


@pytest.fixture
def folders(monkeypatch) -> list[str]:
    """The folders that trials train in, one after the other; nothing is really trained."""
    seen = []

    def train(settings, data, *, on_epoch, score):
        seen.append(settings.output.name)
        return type("Run", (), {"history": lambda self: [{"val_iou": 0.5}]})()

    monkeypatch.setattr(tuning, "train", train)
    return seen


def test_an_interrupted_trial_is_taken_up_again(small, tmp_path, monkeypatch, folders, capsys):
    config = Tuning(**small, trials=2, search=("lr",), output=tmp_path / "run")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tuning.tune(config)
    tuning.tune(replace(config, resume=True))
    assert folders == ["trial-0000", "trial-0002"]
    rows = trials(config)
    assert [row["state"] for row in rows] == ["fail", "complete", "complete"]
    assert rows[0]["lr"] == rows[1]["lr"]
    said = [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if "trial" in line]
    assert said == ["trial-0000 (1 of 2)", "trial-0000 (1 of 2)", "trial-0002 (2 of 2)"]


def test_what_a_killed_machine_was_at_is_taken_up_again(small, tmp_path, folders):
    config = Tuning(**small, trials=3, search=("lr",), output=tmp_path / "run")
    tuning.tune(replace(config, trials=1))
    url = f"sqlite:///{config.output / storage.STORAGE_FILE}"
    study = optuna.load_study(study_name=config.study, storage=url)
    trial = study.ask({"lr": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)})
    with optuna.storages.RDBStorage(url).engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (?, '2000-01-01 00:00:00')",
            (trial._trial_id,),
        )
    tuning.tune(replace(config, resume=True))
    assert folders == ["trial-0000", "trial-0001", "trial-0003"]
    assert [row["state"] for row in trials(config)] == ["complete", "fail", "complete", "complete"]


def test_a_storage_that_cannot_be_opened_is_named(small, tmp_path):
    config = Tuning(**small, storage="nonsense://x", output=tmp_path / "run")
    with pytest.raises(ConfigError, match="--storage nonsense://x cannot be opened"):
        tuning.tune(config)


@pytest.mark.parametrize(
    "url", ["nonsense://me:secret@host/x", "nonsense://host/x?password=secret"]
)
def test_the_password_of_a_storage_is_not_printed(small, tmp_path, url):
    with pytest.raises(ConfigError, match=r"host.* cannot be opened") as error:
        tuning.tune(Tuning(**small, storage=url, output=tmp_path / "run"))
    assert "secret" not in str(error.value)


def test_the_winner_is_not_limited_as_the_search_was():
    config = Tuning(limit=4)
    assert config.trial(config.trial_folder(0), {}).limit == 4
    assert config.winner({}).limit is None


def test_width_and_depth_belong_to_the_scratch_network_alone():
    assert "depth" in Tuning(network="unet").searched
    assert Tuning(network="unet-resnet34").searched == ["lr", "loss", "augment"]
    with pytest.raises(ConfigError, match="unet-resnet34 has none to search"):
        Tuning(network="unet-resnet34", search=("depth",))


def test_names_in_the_plots_do_not_overlap(tmp_path, monkeypatch):
    """Each panel of the settings is narrower than its names together: they are slanted."""
    study = optuna.create_study(direction="maximize")
    for _ in range(3):
        trial = study.ask()
        trial.suggest_categorical("loss", ("ce", "ce+dice", "lovasz"))
        trial.suggest_float("lr", 1e-4, 1e-2, log=True)
        study.tell(trial, 0.5)
    drawn = []
    monkeypatch.setattr(pyplot, "close", lambda _: drawn.append(pyplot.gcf()))
    tuning._plot(study, Tuning(output=tmp_path, trials=3))
    panels = [axes for axes in drawn[1].axes if axes.get_xlabel() in ("loss", "lr")]
    assert len(panels) == 2
    labels = [label for axes in panels for label in axes.get_xticklabels(which="both")]
    assert {label.get_rotation() for label in labels} == {45}
    assert {label.get_horizontalalignment() for label in labels} == {"right"}


def test_a_full_disk_is_no_fault_of_the_settings(small, tmp_path, monkeypatch, folders):
    config = Tuning(**small, trials=2, search=("lr",), output=tmp_path / "run")

    def full(*_, **__):
        raise TrainingError("The disk is full.") from OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "train", full)
        with pytest.raises(TrainingError, match="The disk is full"):
            tuning.tune(config)
    tuning.tune(replace(config, resume=True))
    assert [row["state"] for row in trials(config)] == ["fail", "complete", "complete"]


def test_other_losses_are_another_search(small, tmp_path, folders):
    config = Tuning(**small, trials=1, search=("loss",), output=tmp_path / "run")
    tuning.tune(config)
    with pytest.raises(ConfigError, match="other settings: other --losses"):
        tuning.tune(replace(config, losses=("ce",), trials=2, resume=True))


def test_a_loss_that_is_none_is_told_before_the_first_trial(small, tmp_path, folders):
    config = Tuning(**small, losses=("ce", "dise"), output=tmp_path / "run")
    with pytest.raises(ConfigError, match="dise"):
        tuning.tune(config)
    assert folders == []


def test_a_search_that_never_began_can_be_mended(small, tmp_path, folders, monkeypatch):
    output = tmp_path / "run"
    config = Tuning(**small | {"batch_size": 40}, trials=1, search=("lr",), output=output)
    with pytest.raises(ConfigError, match="--batch-size 40"):
        tuning.tune(config)
    config = replace(config, batch_size=3, skip_check=False)

    def damaged(data):
        raise DataError("A mask is damaged.")

    with monkeypatch.context() as patched:
        patched.setattr(tuning.doctor, "before_training", damaged)
        with pytest.raises(DataError):
            tuning.tune(config)
    tuning.tune(replace(config, batch_size=4))
    assert len(folders) == 1


def test_the_training_of_an_earlier_winner_stays(config, winner, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(config.output, output)
    later = replace(config, output=output, resume=True)
    path = output / "best" / folder.DESCRIPTION_FILE
    description = json.loads(path.read_text())
    description["training"]["lr"] = 0.5
    path.write_text(json.dumps(description))
    before = folder.read(output / "best").digest()
    with pytest.raises(ConfigError, match=r"an earlier winner, with --lr 0\.5 .* Rename or remove"):
        tuning.tune(later)
    assert folder.read(output / "best").digest() == before


def test_trials_are_not_judged_by_what_they_learned_from():
    with pytest.raises(ConfigError, match="--include-validation does not go with tune"):
        Tuning(include_validation=True)


def test_the_winner_trains_on_without_pictures_to_stop_it(small, tmp_path, folders):
    config = Tuning(**small, trials=1, search=("lr",), early_stopping=1, output=tmp_path / "run")
    tuning.tune(config)
    assert (config.output / tuning.BEST_FILE).exists()
    assert config.trial(tmp_path, {}).early_stopping == 1
    assert config.winner({}).early_stopping is None


def test_only_losses_that_know_class_weights_get_them():
    config = Tuning(loss="ce", class_weights="balanced")
    assert config.trial(Path("x"), {"loss": "dice"}).class_weights == "none"
    assert config.trial(Path("x"), {"loss": "ce+dice"}).class_weights == "balanced"
    assert config.winner({}).class_weights == "balanced"


def test_what_the_winner_could_not_follow_is_refused():
    with pytest.raises(ConfigError, match="--schedule plateau does not go with tune"):
        Tuning(schedule="plateau")


def test_searches_in_one_storage_share_the_trials(small, tmp_path, monkeypatch):
    """As on two machines: the second starts while the first is at its first trial."""
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    settings = small | {"trials": 3, "search": ("lr",), "storage": shared}
    first, second = (Tuning(**settings, output=tmp_path / name) for name in ("first", "second"))
    train, begun = tuning.train, []

    def meanwhile(config, *words, **options):
        if not begun:
            begun.append(config.output)
            tuning.tune(second)
        return train(config, *words, **options)

    monkeypatch.setattr(tuning, "train", meanwhile)
    tuning.tune(first)
    assert begun == [first.output / "trial-0000"]
    made = sorted(path.name for path in second.output.glob("trial-*"))
    assert made == ["trial-0001", "trial-0002", "trial-0003"]
    rows = trials(first)
    assert [row["state"] for row in rows] == ["complete"] * 4
    assert len({row["lr"] for row in rows}) == 4, "none tries what another does"


def test_searches_that_start_together_try_different_settings(small, tmp_path):
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    config = Tuning(**small, search=("lr",), storage=shared, output=tmp_path / "run")
    studies = [storage.open_study(config) for _ in range(2)]
    together = [study.ask() for study in studies]
    first, second = (tuning._choose(trial, config)["lr"] for trial in together)
    assert first != second


def test_a_second_search_does_not_share_a_folder(config, winner):
    with pytest.raises(ConfigError, match="holds the trials of another search"):
        tuning.tune(replace(config, study="second"))


def test_a_trial_that_was_broken_off_is_judged_by_all_of_its_epochs(small, tmp_path, monkeypatch):
    """It had 0.7; the lower figures after it was taken up again do not count against it."""
    config = Tuning(**small, trials=1, search=("lr",), output=tmp_path / "run")

    def interrupted(settings, data, *, on_epoch, score):
        on_epoch({"epoch": 1, "val_iou": 0.7})
        run_folder = settings.output / "resume"
        run_folder.mkdir(parents=True)
        (run_folder / "last.ckpt").touch()
        raise KeyboardInterrupt

    def resumed(settings, data, *, on_epoch, score):
        assert settings.resume
        on_epoch({"epoch": 2, "val_iou": 0.4})
        return Run()

    class Run:
        def history(self) -> list[dict[str, float]]:
            return [{"val_iou": 0.7}, {"val_iou": 0.4}]

    monkeypatch.setattr(tuning, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(config)
    monkeypatch.setattr(tuning, "train", resumed)
    monkeypatch.setattr(tuning.folder, "read", lambda path: Run())
    tuning.tune(replace(config, resume=True))
    study = optuna.load_study(
        study_name=config.study, storage=f"sqlite:///{config.output / storage.STORAGE_FILE}"
    )
    assert study.trials[-1].intermediate_values == {1: 0.7, 2: 0.7}


def test_a_trial_that_was_killed_while_its_first_epoch_was_written_had_nothing(tmp_path):
    assert tuning._best_before(tmp_path) == 0.0


def test_trials_are_not_shared_out_by_torchrun(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="torchrun are for train alone"):
        Tuning()


@contextmanager
def locked(search: Path) -> Iterator[None]:
    """Another program has the search's database to itself."""
    database = sqlite3.connect(search / storage.STORAGE_FILE)
    database.execute("BEGIN EXCLUSIVE")
    yield
    database.close()


@pytest.fixture
def impatient(monkeypatch):
    """Waits for a lock no longer than for the heartbeat of its own process."""
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *given, **options: connect(*given, **options, timeout=0.3)
    )


def begin(path: Path) -> None:
    """Leaves in a trial's folder what is there once its first epoch has ended."""
    (path / "resume").mkdir(parents=True)
    (path / RESUME_FILE).touch()
    # Some seconds after the trial began, as it would be.
    os.utime(path, (time.time() + 9, time.time() + 9))


@pytest.mark.parametrize("cause", [OSError(28, "No space left on device"), None])
def test_a_storage_out_of_reach_is_named_and_the_trial_continued(
    small, tmp_path, monkeypatch, folders, impatient, cause
):
    config = Tuning(**small, trials=2, search=("lr",), output=tmp_path / "run")
    with ExitStack() as lock, monkeypatch.context() as patch:

        def train(settings, data, *, on_epoch, score):
            begin(settings.output)
            lock.enter_context(locked(config.output))
            if cause:
                raise TrainingError("The disk is full.") from cause
            on_epoch({"epoch": 1, "val_iou": 0.5})

        patch.setattr(tuning, "train", train)
        said = (
            r"The disk is full" if cause else r"search\.db cannot be read or written: database is"
        )
        with pytest.raises(TrainingError, match=said) as error:
            tuning.tune(config)
        assert cause or "the same command with --resume continues" in str(error.value)
        assert "SQL" not in str(error.value)
    with pytest.raises(ConfigError, match="Add --resume"):
        tuning.tune(config)
    tuning.tune(replace(config, resume=True))
    assert folders[0] == "trial-0000"
    assert [row["state"] for row in trials(config)] == ["fail", "complete", "complete"]


def test_a_search_that_cannot_be_opened_is_named(small, tmp_path, impatient, folders):
    config = Tuning(**small, trials=1, search=("lr",), output=tmp_path / "run")
    tuning.tune(config)
    with (
        locked(config.output),
        pytest.raises(
            ConfigError, match=r"search\.db cannot be opened: database is locked\."
        ) as error,
    ):
        tuning.tune(replace(config, resume=True))
    assert "--storage" not in str(error.value)


@pytest.mark.parametrize("handed_over", [True, False])
def test_a_trial_that_failed_is_continued_once(small, tmp_path, monkeypatch, folders, handed_over):
    """Also if the storage had room for its failure, but none for the trial that takes over."""
    config = Tuning(**small, trials=2, search=("lr",), output=tmp_path / "run")

    def full(settings, *_, **__):
        begin(settings.output)
        raise TrainingError("The disk is full.") from OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "train", full)
        if not handed_over:
            patch.setattr(tuning, "retry", lambda *_: None)
        with pytest.raises(TrainingError, match="The disk is full"):
            tuning.tune(config)
    tuning.tune(replace(config, resume=True))
    assert [row["state"] for row in trials(config)] == ["fail", "complete", "complete"]
    assert folders == ["trial-0000", "trial-0002"]


def ask(config, process: str = "") -> optuna.Study:
    """Begins a trial, of which then nobody says any more how it goes."""
    url = f"sqlite:///{config.output / storage.STORAGE_FILE}"
    study = optuna.load_study(study_name=config.study, storage=url)
    trial = study.ask({"lr": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)})
    if process:
        trial.set_user_attr(storage.PROCESS, process)
    return study


def killed(config) -> str:
    """A process that was killed, as its trials record it."""
    with storage.presence(config) as process:
        lock = config.output / storage.LOCKS / process.rpartition(" ")[2]
    lock.touch()
    return process


@pytest.mark.parametrize("handed_over", [True, False])
@pytest.mark.parametrize("orderly", [True, False])
def test_a_trial_of_a_process_that_is_gone_is_taken_up_at_once(
    small, tmp_path, folders, orderly, handed_over
):
    """Its heartbeat is not yet missed."""
    config = Tuning(**small, trials=3, search=("lr",), output=tmp_path / "run")
    tuning.tune(replace(config, trials=1))
    process = killed(config)
    if orderly:  # it ended when the storage was out of reach
        (config.output / storage.LOCKS / process.rpartition(" ")[2]).unlink()
    study = ask(config, process)
    begin(config.trial_folder(1))
    if handed_over:
        storage.retry(study, study.trials[1])
    tuning.tune(replace(config, resume=True))
    assert folders == ["trial-0000", "trial-0001", "trial-0003"]
    assert [row["state"] for row in trials(config)] == ["complete", "fail", "complete", "complete"]
    assert {path.name for path in (config.output / storage.LOCKS).iterdir()} <= {"take-up"}


@pytest.mark.parametrize("still", ["trains here", "has just begun", "trains elsewhere"])
def test_a_trial_of_another_process_is_left_to_it(small, tmp_path, folders, still):
    config = Tuning(**small, trials=2, search=("lr",), output=tmp_path / "run")
    tuning.tune(replace(config, trials=1))
    begin(config.trial_folder(1))
    with storage.presence(config) as process:
        processes = {"trains here": process, "trains elsewhere": f"other {killed(config)}"}
        ask(config, processes.get(still, ""))
        tuning.tune(replace(config, resume=True))
    assert [row["state"] for row in trials(config)] == ["complete", "running", "complete"]


def test_a_trial_that_ends_while_it_is_looked_at_keeps_its_value(
    small, tmp_path, folders, monkeypatch
):
    config = Tuning(**small, trials=2, search=("lr",), output=tmp_path / "run")
    tuning.tune(replace(config, trials=1))
    study = ask(config, killed(config))
    is_left = storage._is_left

    def ends(trial, config):
        if left := is_left(trial, config):
            study.tell(trial.number, 0.25)
        return left

    monkeypatch.setattr(storage, "_is_left", ends)
    tuning.tune(replace(config, resume=True))
    assert [row["state"] for row in trials(config)] == ["complete", "complete"]
    assert folders == ["trial-0000"]


def test_a_search_that_was_never_started_is_not_resumed(small, tmp_path, folders):
    config = Tuning(**small, trials=1, search=("lr",), output=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"search\.db has no search to continue"):
        tuning.tune(replace(config, resume=True))
    assert folders == []
    tuning.tune(config)
    assert folders == ["trial-0000"]


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "val_iou": math.nan}]])
def test_a_search_without_anything_to_score_ends(small, tmp_path, monkeypatch, rows):
    begun = []

    def train(settings, data, *, on_epoch, score):
        begun.append(settings.output.name)
        assert len(begun) == 1, "the search goes on"
        for row in rows:
            on_epoch(row)
        return type("Run", (), {"history": lambda self: [{"val_iou": math.nan}]})()

    monkeypatch.setattr(tuning, "train", train)
    config = Tuning(**small, trials=1, search=("lr",), output=tmp_path / "run")
    with pytest.raises(DataError, match="3 validation masks is void, so there is nothing to score"):
        tuning.tune(config)


def test_width_and_depth_are_those_of_the_network_to_start_from():
    assert Tuning(start_from="runs/x").searched == ["lr", "loss", "augment"]
    with pytest.raises(ConfigError, match="--search depth does not go with --start-from"):
        Tuning(start_from="runs/x", search=("depth",))


def test_a_search_of_one_trial_is_plotted_without_warnings(tmp_path):
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    trial.suggest_categorical("loss", ("ce",))
    trial.suggest_float("lr", 1e-4, 1e-2, log=True)
    study.tell(trial, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        tuning._plot(study, Tuning(output=tmp_path, trials=1))


def test_the_help_says_that_the_time_limit_is_that_of_a_trial(here):
    text = " ".join(here("tune", "--help")[1].split())
    assert "Hours of training of each trial" in text
