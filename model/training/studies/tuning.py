"""The search for settings: Optuna proposes, validation IoU decides, hopeless trials are pruned.

Proposals come from the tree-structured Parzen estimator (Bergstra et al., "Algorithms for
Hyper-Parameter Optimization", NeurIPS 2011); a trial is pruned once its best validation IoU is
below the median of the others' at the same epoch. The storage is shared: several processes or
machines may search together, and the unfinished trial of one that died is resumed.
"""

from __future__ import annotations

import io
import math
import shutil
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from model import writing
from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import datasets, doctor
from model.data.datasets import DataSet
from model.errors import CheckpointError, ConfigError, DataError, StudioError, TrainingError
from model.evaluation.studies import SearchResult, SearchTrial
from model.networks.losses import loss_by_name
from model.training.config import TrainConfig, changed_settings
from model.training.guards import explained
from model.training.loaders import check_enough
from model.training.run import train
from model.training.studies.configs import GOES_ON, Tuning, make_folder
from model.training.studies.runs import check_start, study_data
from model.training.studies.storage import (
    OUT_OF_REACH,
    PROCESS,
    open_study,
    presence,
    retry,
    storage_explained,
    storage_name,
    take_up,
    trial_folder,
)
from model.training.writer import RESUME_FILE, Row

BEST_FILE = "best.json"
TABLE_FILE = "trials.csv"
PLOTS = ("trials.png", "settings.png")

BASE_WIDTHS = (16, 24, 32)
DEPTHS = (3, 5)
STRENGTHS = (0.0, 2.0)

_ALSO_SAME = {
    "search": "another --search",
    "losses": "other --losses",
    "data_digest": "other pictures or masks",
}
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)


def tune(config: Tuning) -> Checkpoint | None:
    """Searches until there are `config.trials` trials, and writes what was found.

    Writes `trial-0000` and so on, `best.json` (a `SearchResult`: the winner's settings, the
    commands that train it, all trials), `trials.csv` and two plots into `config.output`.

    Returns: the winner trained on training and validation pictures, with `config.retrain`.
    Raises: as `train`; `ConfigError` if the storage cannot be opened, belongs to another search,
        or no trial was completed; `TrainingError` if the storage fails later.
    """
    make_folder(config.output)
    with warnings.catch_warnings(), explained(config, GOES_ON), storage_explained(config):
        # The heartbeat has been "experimental" for years, and the plots of the search are.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _tune(config)


def _tune(config: Tuning) -> Checkpoint | None:
    data = datasets.load(config.data, config.data_root, config.split)
    for loss in config.losses:
        loss_by_name(loss)  # a misspelt one is to be reported now, not when a trial uses it
    check_enough(config, data)
    check_start(config, data)
    study = open_study(config)
    _check_same(study, config, data)
    if not config.skip_check and not study.trials:
        doctor.before_training(data)
    take_up(study, config)
    if _left(study, config):
        with presence(config) as process:
            _search(study, config, data, process)
    result = _result(study, config, data)
    writing.write_text(config.output / BEST_FILE, result.model_dump_json(indent=1) + "\n")
    writing.write_text(config.output / TABLE_FILE, writing.csv_text(_table(result)))
    _plot(study, config)
    if not config.retrain:
        return None
    winner = config.winner(result.chosen)
    _check_winner(winner)
    words = _in_words(result.chosen)
    best = trial_folder(config, _best(study)).name
    print(f"{best} again, on all parts except test: {words}")
    return train(replace(winner, resume=(winner.output / RESUME_FILE).exists()), data)


def _check_winner(winner: TrainConfig) -> None:
    """Raises `ConfigError` if an earlier winner's training is in the folder of this one's."""
    if not (winner.output / folder.DESCRIPTION_FILE).exists():
        return
    before = folder.read(winner.output).description["training"]
    now = {name: value for name, value in winner.portable().items() if name in before}
    if changed := changed_settings(before, now):
        raise ConfigError(
            f"{winner.output} holds the training of an earlier winner, with {', '.join(changed)}. "
            "Rename or remove it, then repeat the command."
        )


def _check_same(study: optuna.Study, config: Tuning, data: DataSet) -> None:
    """Records the settings of a new search. Raises `ConfigError` if a search that already has
    trials has other settings, or if there is none to resume."""
    settings = config.portable() | {
        "search": sorted(config.search),
        "losses": list(config.losses),
        "data_digest": data.digest(),
    }
    before = study.user_attrs.get("settings")
    if not study.trials and any(config.output.glob("trial-*")):
        raise ConfigError(
            f"{config.output} holds the trials of another search. Choose another --output."
        )
    if not study.trials and config.resume:
        raise ConfigError(
            f"--resume: {storage_name(config)} has no search to continue. Leave --resume out to "
            "start it."
        )
    if before is None or not any(_has_begun(trial, config) for trial in study.trials):
        study.set_user_attr("settings", settings)
        return
    if not config.resume and not config.storage:
        raise ConfigError(
            f"{config.output} already holds a search with {len(study.trials)} trials. Add --resume "
            "to continue it, or choose another --output."
        )
    changed = changed_settings(before, settings)
    # A search started by an older version does not state its losses.
    changed += [
        words
        for name, words in _ALSO_SAME.items()
        if before.get(name, settings[name]) != settings[name]
    ]
    if changed:
        raise ConfigError(
            f"The search '{config.study}' was started with other settings: {', '.join(changed)}. "
            f"Repeat its own, or choose another --output{' and --study' * bool(config.storage)}."
        )


def _has_begun(trial: FrozenTrial, config: Tuning) -> bool:
    """Whether there is anything of the trial that other settings would contradict."""
    return trial.state != TrialState.FAIL or (trial_folder(config, trial) / RESUME_FILE).exists()


def _left(study: optuna.Study, config: Tuning) -> int:
    return max(0, config.trials - len(study.get_trials(deepcopy=False, states=COUNTED)))


def _search(study: optuna.Study, config: Tuning, data: DataSet, process: str) -> None:
    """Trains trials until there are enough. Args: process: what they record of it."""
    stopped_by: BaseException | None = None

    def objective(trial: optuna.Trial) -> float:
        nonlocal stopped_by
        try:
            trial.set_user_attr(PROCESS, process)
            return _train(trial, config, data)
        except (StudioError, KeyboardInterrupt) as error:
            stopped_by = error
            raise

    try:
        study.optimize(
            objective,
            callbacks=[
                optuna.study.MaxTrialsCallback(config.trials, COUNTED),
                # The state for resuming is several times as large as the weights.
                lambda _, trial: shutil.rmtree(trial_folder(config, trial) / "resume", True),
            ],
        )
    except Exception:
        # On a full disk Optuna cannot record what ended the trial, and raises that instead.
        if not stopped_by:
            raise
    if stopped_by:
        raise stopped_by


def _train(trial: optuna.Trial, config: Tuning, data: DataSet) -> float:
    """One trial: the best validation mean IoU, in [0, 1]."""
    chosen = _choose(trial, config)
    trials = trial.study.get_trials()[: trial.number + 1]
    settings = config.trial(trial_folder(config, trials[-1]), chosen)
    # A failed one is tried again, in its folder but with a new number.
    count = f"{sum(one.state != TrialState.FAIL for one in trials)} of {config.trials}"
    print(f"{settings.output.name} ({count}): {_in_words(trial.params)}")
    begun = (settings.output / RESUME_FILE).exists()
    # A trial that was interrupted is judged by all of its epochs.
    best = _best_before(settings.output) if begun else 0.0

    def watch(row: Row) -> None:
        nonlocal best
        best = max(best, _scored(row["val_iou"], data))
        trial.report(best, row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        checkpoint = train(replace(settings, resume=begun), data, on_epoch=watch, score=False)
    except TrainingError as error:
        if isinstance(error.__cause__, OSError):  # a full disk is no fault of the settings
            _put_back(trial)
            raise
        print(f"  ended: {error}")
        raise optuna.TrialPruned from error
    except KeyboardInterrupt:
        _put_back(trial)
        raise
    best = _scored(_best_epoch(checkpoint), data)
    print(f"  validation mean IoU {best:.4f}")
    return best


def _scored(iou: float, data: DataSet) -> float:
    """Raises `DataError` if there was nothing to score: so it would be in every trial."""
    if math.isnan(iou):
        raise DataError(
            f"{data.name}: every pixel of the {len(data.names('validation'))} validation masks is "
            "void, so there is nothing to score. `python -m model data check` says what masks hold."
        )
    return iou


def _best_epoch(checkpoint: Checkpoint) -> float:
    return max(row["val_iou"] for row in checkpoint.history())


def _best_before(output: Path) -> float:
    """0.0 if it was killed while it wrote what its first epoch left."""
    try:
        return max((row["val_iou"] for row in folder.read(output).history()), default=0.0)
    except CheckpointError:
        return 0.0


def _put_back(trial: optuna.Trial) -> None:
    """The next process to search continues it, with what it has reported so far."""
    with suppress(*OUT_OF_REACH):  # what ended the trial is to be told; `take_up` knows it later
        retry(trial.study, trial.study.get_trials()[trial.number])


def _choose(trial: optuna.Trial, config: Tuning) -> dict[str, Any]:
    """The settings that this trial tries, by their names in `TrainConfig`."""
    # By the trial's number, which no other process has: one that starts at the same time would
    # otherwise try the very same settings.
    own = np.random.SeedSequence((config.seed, trial.number))
    trial.study.sampler = optuna.samplers.TPESampler(
        seed=int(own.generate_state(1)[0]), constant_liar=True
    )
    propose = {
        "lr": lambda: trial.suggest_float("lr", config.lr / 10, config.lr * 10, log=True),
        "base_width": lambda: trial.suggest_categorical("base_width", BASE_WIDTHS),
        "depth": lambda: trial.suggest_int("depth", *DEPTHS),
        "loss": lambda: trial.suggest_categorical("loss", config.losses),
        "augment": lambda: trial.suggest_float("augment", *STRENGTHS),
    }
    return {name: propose[name]() for name in config.searched}


def _best(study: optuna.Study) -> FrozenTrial:
    try:
        return study.best_trial
    except ValueError as error:
        raise ConfigError(
            "No trial was completed: all diverged or were pruned. Try a lower --lr, around which "
            "learning rates are searched, or more --epochs."
        ) from error


def _result(study: optuna.Study, config: Tuning, data: DataSet) -> SearchResult:
    best = _best(study)
    trials = [
        SearchTrial(
            trial=trial.number,
            state=trial.state.name.lower(),
            epochs=max(trial.intermediate_values, default=0),
            chosen=trial.params,
            validation_iou=None if trial.value is None else round(trial.value, 6),
        )
        for trial in study.trials
    ]
    return SearchResult(
        data=study_data(data),
        network=config.network,
        training=config.portable(),
        command=config.command(),
        trial=best.number,
        validation_iou=round(best.value, 6),
        chosen=best.params,
        train=config.trial(trial_folder(config, best), best.params).command(),
        retrain=config.winner(best.params).command(),
        trials=trials,
    )


def _table(result: SearchResult) -> list[dict[str, Any]]:
    names = sorted({name for trial in result.trials for name in trial.chosen})
    return [
        {
            **trial.model_dump(exclude={"chosen", "validation_iou"}),
            "validation_iou": "" if trial.validation_iou is None else trial.validation_iou,
            **{name: trial.chosen.get(name, "") for name in names},
        }
        for trial in result.trials
    ]


def _plot(study: optuna.Study, config: Tuning) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator
    from optuna.visualization import matplotlib as charts

    for name, draw in zip(
        PLOTS, (charts.plot_optimization_history, charts.plot_slice), strict=True
    ):
        with warnings.catch_warnings():
            # Where all trials have one value, Optuna asks for an axis from it to itself.
            warnings.filterwarnings("ignore", "Attempting to set identical", UserWarning)
            drawn = np.atleast_1d(draw(study, target_name="validation mean IoU"))
        for axes in drawn:
            if axes.get_xlabel() in ("Trial", "depth"):
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if len(drawn) > 1:  # a narrow panel for each setting, in which names would overlap
                pyplot.setp(axes.get_xticklabels(which="both"), rotation=45, ha="right")
        drawing = io.BytesIO()
        pyplot.savefig(drawing, dpi=120, bbox_inches="tight")
        writing.write_bytes(config.output / name, drawing.getvalue())
        pyplot.close("all")


def _in_words(chosen: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in chosen.items()
    )
