"""Small data: one network trained on more and more pictures; each seed draws different ones.

So that only the number of pictures differs, all runs take the same number of steps, choose
their epoch on the same validation pictures, and are scored on the same test part. Smaller draws
of a seed are subsets of its larger ones, and another network gets the same draws.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from model import writing
from model.checkpoints.folder import Checkpoint
from model.data import datasets, doctor, split_file, splits
from model.data.datasets import DataSet
from model.errors import ConfigError
from model.evaluation.studies import SmallDataResult, Trained, read
from model.training.config import TrainConfig, changed_settings
from model.training.guards import explained
from model.training.studies.configs import GOES_ON, SmallData, make_folder
from model.training.studies.runs import check_start, study_data, trained, with_split
from model.training.writer import RESUME_FILE

SUMMARY_FILE = "small-data.json"


def small_data(config: SmallData) -> SmallDataResult:
    """Trains the runs that are not trained yet, and writes `small-data.json` after each.

    Each run is a checkpoint folder in `config.output`, such as `25-seed-0`, with the split that
    it was trained with beside it, `25-seed-0.split.json`.

    Raises: as `train`; `ConfigError` if the folder holds something else, or there are too few
        pictures.
    """
    make_folder(config.output)
    with explained(config, GOES_ON):
        return _small_data(config)


def _small_data(config: SmallData) -> SmallDataResult:
    path = config.output / SUMMARY_FILE
    if (config.output / RESUME_FILE).exists():
        raise ConfigError(f"{config.output} holds a run of its own. Choose another --output.")
    if not config.resume and (path.exists() or any(config.output.glob("*.split.json"))):
        raise ConfigError(
            f"{config.output} already holds such a study. Add --resume to continue, or choose "
            "another --output."
        )
    data = datasets.load(config.data, config.data_root, config.split)
    check_start(config, data, splits_anew=True)
    every = len(data.names("train"))
    if max(config.pictures) >= every:
        raise ConfigError(
            f"--pictures {max(config.pictures)}: there are {every} training pictures, and the last "
            "run uses all of them anyway. Give smaller numbers."
        )
    study = read(SmallDataResult, path) if path.exists() else None
    if study:
        _check_same(config, study, data)
    elif not config.skip_check:
        doctor.before_training(data)
    runs = config.runs(every)
    for number, (count, seed) in enumerate(runs, start=1):
        if study and any((one.pictures, one.seed) == (count, seed) for one in study.runs):
            continue
        print(f"run {number} of {len(runs)}: {count} training pictures, seed {seed}")
        checkpoint = _run(config, data, count, seed)
        study = _with(study or _begin(config, data, checkpoint), checkpoint, count, seed)
        writing.write_text(path, study.model_dump_json(indent=1) + "\n")
        # The state for resuming is several times as large as the weights.
        shutil.rmtree(checkpoint.path / Path(RESUME_FILE).parent, ignore_errors=True)
    return study


def _run(config: SmallData, data: DataSet, count: int, seed: int) -> Checkpoint:
    name = f"{count}-seed-{seed}"
    every = len(data.names("train"))
    own = splits.fewer(data.split, count, seed=seed, group_of=data.group_of)
    rule = f"{count} of {every} training pictures, drawn by seed {seed} ({data.split_rule})"
    path = config.output / f"{name}.split.json"
    if not path.exists():
        whole = path.with_suffix(".part")  # the only one that a kill can leave incomplete
        whole.unlink(missing_ok=True)
        split_file.write(whole, own, data=data.name, rule=rule)
        whole.replace(path)
    settings = config.run(config.output / name, path, seed, every)
    return trained(settings, with_split(data, own, rule), ["test"])


def _begin(config: SmallData, data: DataSet, checkpoint: Checkpoint) -> SmallDataResult:
    """The summary, still without runs."""
    return SmallDataResult(
        data=study_data(data),
        network=checkpoint.description["network"],
        encoder=checkpoint.description["encoder"],
        training=_settings(config, data)
        | {"machine": checkpoint.description["training"]["machine"]},
        command=config.command(),
        runs=[],
    )


def _with(study: SmallDataResult, checkpoint: Checkpoint, count: int, seed: int) -> SmallDataResult:
    training, figures = checkpoint.description["training"], checkpoint.figures("test")
    batches = training["pictures_per_epoch"] // training["batch_size"]
    found = Trained(
        pictures=count,
        seed=seed,
        mean_iou=figures["mean_iou"],
        mean_dice=figures["mean_dice"],
        accuracy=figures["accuracy"],
        epochs=training["epochs_done"],
        best_epoch=training["best_epoch"],
        steps=training["epochs_done"] * (batches // training["accumulate"]),
        seconds=training["seconds"],
    )
    runs = sorted([*study.runs, found], key=lambda one: (one.pictures, one.seed))
    return study.model_copy(update={"runs": runs})


def _check_same(config: SmallData, study: SmallDataResult, data: DataSet) -> None:
    """Raises `ConfigError` if the study was begun with other settings or data."""
    if changed := changed_settings(study.training, _settings(config, data)):
        raise ConfigError(
            f"--resume: the study in {config.output} was started with {', '.join(changed)}. Repeat "
            "its own settings, or choose another --output."
        )
    if study.data.key != (data.name, data.digest(), splits.digest(data.split)):
        raise ConfigError(
            f"--resume: the data set {data.name} or its split has changed since the study in "
            f"{config.output} was started. Choose another --output."
        )


def _settings(config: TrainConfig, data: DataSet) -> dict:
    length = config.pictures_per_epoch or len(data.names("train"))
    return config.portable() | {"pictures_per_epoch": length}
