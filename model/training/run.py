"""A training run: from a `TrainConfig` to a checkpoint folder.

The run's folder is a complete checkpoint from the first epoch on: that of the best epoch so far,
or of the last with `--keep last`; `resume/` in it holds what continuing needs.
"""

from __future__ import annotations

import logging
import platform
import signal
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import TensorBoardLogger

from model import __version__
from model.checkpoints import folder
from model.checkpoints.card import write_card
from model.checkpoints.trained_on import check_start
from model.data import datasets, doctor, splits
from model.data.datasets import DataSet
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError
from model.evaluation import recording
from model.evaluation.evaluate import evaluate
from model.inference.segmenter import Segmenter
from model.networks.losses import balanced_weights, loss_by_name
from model.networks.registry import architecture, construct, parameter_count
from model.processor import limit_torch_threads, processor_name
from model.training.config import TrainConfig
from model.training.depthwise import replace_strided_depthwise
from model.training.encoder import build_with_encoder, start_from
from model.training.guards import explained
from model.training.loaders import Loaders, check_enough, training_names
from model.training.module import SegmentationModule
from model.training.own_commit import own_commit
from model.training.processes import EndTogether, Processes
from model.training.progress import RunProgress
from model.training.report import write_report
from model.training.resuming import check_same_run, resume_file, run_folder
from model.training.synchronised import synchronise
from model.training.watching import SamplePictures, TensorBoardCurves, board_folder
from model.training.writer import AtomicCheckpointIO, Row, RunWriter

SCORED = ("validation", "test")


def train(
    config: TrainConfig,
    data: DataSet | None = None,
    *,
    on_epoch: Callable[[Row], None] | None = None,
    score: bool = True,
) -> folder.Checkpoint | None:
    """Trains, keeps the best epoch by validation mean IoU or the last, and scores it at the end.

    Args:
        data: the data set, where it is not the one that `config` names with its own split: a
            fold of a cross-validation, say.
        on_epoch: is called after each epoch with its row of `history.csv`, once all is written;
            an exception that it raises ends the training.
        score: whether to score the result on validation and test and to write its report.

    Returns: the finished checkpoint in `config.output`; None in all but the first of several
        processes.
    Raises: `ConfigError`, `DataError`, `CheckpointError`, `TrainingError`; `KeyboardInterrupt`
        after leaving a usable folder.
    """
    with explained(config), ExitStack() as held:
        return _train(config, data, on_epoch, score, held)


def _train(
    config: TrainConfig,
    data: DataSet | None,
    on_epoch: Callable[[Row], None] | None,
    score: bool,
    held: ExitStack,
) -> folder.Checkpoint | None:
    processes = Processes.of(config)
    rank_zero_only.rank = processes.rank
    resume = resume_file(config)
    accelerator = _accelerator(config, processes)
    loss_by_name(config.loss)  # so that a wrong name is reported before anything is read
    lightning.seed_everything(config.seed, verbose=False)
    limit_torch_threads()
    data = data or datasets.load(config.data, config.data_root, config.split)
    preprocessing = config.preprocessing(data.longest_side)
    plan = architecture(
        config.network,
        len(data.classes),
        base_width=config.base_width,
        depth=config.depth,
        dropout=config.dropout,
    )
    if resume:
        # What it started from may be gone: the file to continue from holds all weights.
        network = construct(plan)
        description = _describe(config, processes, data, preprocessing, plan.name, network, {})
        description |= check_same_run(resume, description)
    else:
        network, encoder = build_with_encoder(
            plan, config.encoder_weights, config.encoder_origin, config.data_root
        )
        description = _describe(config, processes, data, preprocessing, plan.name, network, encoder)
    if config.start_from and not resume:
        before = start_from(network, config.start_from, data.classes)
        check_start(before, data, include_validation=config.include_validation)
        description["encoder"] = before.description["encoder"]
        if "training" in before.description:  # that of another program says nothing of it
            description["training"]["before"] = before.description["training"]
    if not (resume or config.skip_check) and rank_zero_only.rank == 0:
        doctor.before_training(data)
    check_enough(config, data, processes.count)
    if rank_zero_only.rank == 0:
        held.enter_context(run_folder(config.output))
        resume_file(config)  # again: another run may have come and gone meanwhile
    loaders = Loaders(config, data, preprocessing, processes)
    weights = None
    if config.class_weights == "balanced":
        weights = balanced_weights(loaders.statistics.pixels)
    network = replace_strided_depthwise(network)
    if processes.count > 1:
        network = synchronise(network)
    module = SegmentationModule(config, network, len(data.classes), weights)
    writer = RunWriter(config, description, data.classes, plan, on_epoch)
    callbacks = [
        *([EndTogether()] if processes.count > 1 else []),
        SamplePictures(config, data.classes, loaders.samples, preprocessing),
        writer,
        # After it: a kill between the two must not leave an epoch in them twice.
        TensorBoardCurves(writer),
        RunProgress(config),
    ]
    _quiet_lightning()
    trainer = lightning.Trainer(
        max_epochs=config.epochs,
        accelerator=accelerator,
        devices=processes.devices,
        num_nodes=processes.num_nodes,
        strategy=_strategy(config, processes),
        use_distributed_sampler=False,  # `Loaders` has its own
        precision=_precision(config),
        accumulate_grad_batches=config.accumulate,
        limit_train_batches=loaders.batches,
        callbacks=callbacks,
        logger=TensorBoardLogger(board_folder(config.output), name="", version=""),
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    processes.check(trainer)
    try:
        # Our own file; still loaded as plain tensors and numbers only, never as a pickle.
        trainer.fit(
            module, loaders.training, loaders.validation, ckpt_path=resume, weights_only=True
        )
    except SystemExit as stop:  # how Lightning ends after Ctrl-C, which it then ignores
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from stop
    if not trainer.is_global_zero:
        return None
    if score:
        finish(config.output, data, ("test",) if config.include_validation else SCORED)
    return folder.read(config.output)


def finish(path: Path, data: DataSet, parts: tuple[str, ...] = SCORED) -> None:
    """Scores the checkpoint in `path`, on test last; writes model card and report."""
    checkpoint = folder.read(path)
    segmenter = Segmenter(checkpoint, engine="torch", precision="f32")
    for part in parts:
        result = evaluate(segmenter, data, data.names(part))
        checkpoint = recording.record(checkpoint, part, result)
    write_report(checkpoint, segmenter, data)
    write_card(checkpoint)


def _describe(
    config: TrainConfig,
    processes: Processes,
    data: DataSet,
    preprocessing: Preprocessing,
    network_name: str,
    network: torch.nn.Module,
    encoder: dict[str, Any],
) -> dict[str, Any]:
    training = config.portable()
    del training["encoder_origin"]  # it stands under "encoder"
    return {
        "schema_version": folder.SCHEMA_VERSION,
        "classes": data.classes.to_json(),
        "preprocessing": preprocessing.to_json(),
        "network": {"name": network_name, "parameters": parameter_count(network)},
        "encoder": encoder,
        "data": {
            "name": data.name,
            "title": data.title,
            "digest": data.digest(),
            "licence": data.licence,
            "source": data.source,
            "split_rule": data.split_rule,
            "split_digest": splits.digest(data.split),
            "split_sizes": _used(config, data),
        },
        "training": {
            **training,
            "command": config.command(),
            "machine": _machine(config, processes),
            "arithmetic": _precision(config),
        },
        "versions": {
            "unet-studio": __version__,
            # As plain text: its own class of string cannot be resumed from.
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            **({"commit": commit} if (commit := own_commit()) else {}),
        },
    }


def _used(config: TrainConfig, data: DataSet) -> dict[str, int]:
    """How many pictures the run learns from, chooses its epoch by, and is tested on, by part."""
    used = {part: len(names) for part, names in data.split.items()}
    if config.include_validation:
        used["validation"] = 0
    return used | {"train": len(training_names(config, data))}


def _machine(config: TrainConfig, processes: Processes) -> str:
    """What each process computes on and, if there are several, how many."""
    together = f", {processes.count} processes" if processes.count > 1 else ""
    if config.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name() + together
    cores = torch.get_num_threads()
    return f"{cores} CPU core{'s' if cores > 1 else ''} ({processor_name()}){together}"


def _accelerator(config: TrainConfig, processes: Processes) -> str:
    found = torch.accelerator.device_count()
    if config.device == "gpu" and not found:
        raise ConfigError("--device gpu: PyTorch finds no GPU here. Use --device cpu or auto.")
    if config.device != "cpu" and 0 < found < processes.devices:
        raise ConfigError(
            f"--devices {processes.devices}: each process needs a GPU of its own, and PyTorch "
            f"finds {found}. Use fewer, or --device cpu."
        )
    return config.device


def _strategy(config: TrainConfig, processes: Processes) -> str:
    if processes.count == 1:
        return "auto"
    # The processes would wait for the gradients of a frozen encoder, and of the layers that some
    # encoders have only for classification.
    return "ddp" if config.network == "unet" else "ddp_find_unused_parameters_true"


def _precision(config: TrainConfig) -> str:
    bf16 = config.precision == "bf16"
    if config.precision == "auto":
        if config.device != "cpu" and torch.cuda.is_available():
            bf16 = torch.cuda.is_bf16_supported()
        else:
            # Without these instructions bf16 is emulated, slower than float32.
            bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if bf16 else "32-true"


def _quiet_lightning() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory.*exists.*",
        ".*treespec, LeafSpec.*",  # Lightning 2.6 with torch 2.12, not our concern
    ):
        warnings.filterwarnings("ignore", message=message)
