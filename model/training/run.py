"""A training run: from a `TrainConfig` to a checkpoint folder.

The run's folder is a complete checkpoint from the first epoch on, always that of the best
epoch so far; `resume/` in it holds what continuing needs.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import platform
import signal
import time
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader

from model import __version__
from model.checkpoints import folder
from model.checkpoints.card import write_card
from model.checkpoints.weights import save_network
from model.data import datasets, splits
from model.data.datasets import DataSet
from model.data.preprocessing import Preprocessing
from model.data.statistics import measure
from model.data.transforms import Collate, SampleDataset, augmentation
from model.errors import CheckpointError, ConfigError
from model.evaluation.evaluate import evaluate
from model.inference.segmenter import Segmenter
from model.networks.losses import balanced_weights
from model.networks.registry import architecture, parameter_count
from model.training.config import TrainConfig
from model.training.encoder import build_with_encoder, start_from
from model.training.module import SegmentationModule

HISTORY_COLUMNS = (
    "epoch", "lr", "train_loss", "val_loss", "train_dice", "val_dice", "train_iou", "val_iou",
    "train_accuracy", "val_accuracy", "seconds",
)  # fmt: skip


def train(config: TrainConfig) -> folder.Checkpoint:
    """Trains, keeps the best epoch by validation mean IoU, and scores it at the end.

    Returns: the finished checkpoint in `config.output`.
    Raises: `ConfigError`, `DataError`, `CheckpointError`; `KeyboardInterrupt` after leaving a
        usable folder.
    """
    resume = _resume_file(config)
    accelerator = _accelerator(config)
    lightning.seed_everything(config.seed, verbose=False)
    data = datasets.load(config.data, config.data_root)
    preprocessing = Preprocessing(longest_side=config.longest_side or data.longest_side)
    plan = architecture(
        config.network,
        len(data.classes),
        base_width=config.base_width,
        depth=config.depth,
        dropout=config.dropout,
    )
    network, encoder = build_with_encoder(plan, config.encoder_weights, config.encoder_origin)
    before = start_from(network, config.start_from, data.classes) if config.start_from else None
    train_loader, validation_loader = _loaders(config, data, preprocessing)
    weights = None
    if config.class_weights == "balanced":
        weights = balanced_weights(measure(data, data.names("train"), "weighing classes").pixels)
    module = SegmentationModule(config, network, len(data.classes), weights)
    description = _describe(config, data, preprocessing, plan.name, network, encoder)
    if before:
        description["encoder"] = before.description["encoder"]
        description["training"]["before"] = before.description["training"]
    if resume:
        _check_same_run(config.output, description)

    _make_folder(config.output)
    folder.write_json(config.output / folder.CONFIG_FILE, plan.to_json())
    writer = RunWriter(config, description)
    # Without the version counter: a run that was moved would write "last-v1.ckpt" beside the
    # file that the next --resume reads.
    keeper = ModelCheckpoint(
        config.output / "resume", "last", monitor=None, enable_version_counter=False
    )
    _quiet_lightning()
    trainer = lightning.Trainer(
        max_epochs=config.epochs,
        accelerator=accelerator,
        devices=1,
        precision=_precision(config),
        callbacks=[writer, keeper],
        logger=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    try:
        # Our own file; still loaded as plain tensors and numbers only, never as a pickle.
        trainer.fit(module, train_loader, validation_loader, ckpt_path=resume, weights_only=True)
    except SystemExit as stop:  # how Lightning ends after Ctrl-C, which it then ignores
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from stop
    finish(config.output, data)
    return folder.read(config.output)


def finish(path: Path, data: DataSet) -> None:
    """Scores the checkpoint in `path` on validation and test, and writes its model card."""
    segmenter = Segmenter(path, engine="torch")
    metrics: dict[str, Any] = {"data": data.name, "splits": {}}
    for part in ("validation", "test"):
        result = evaluate(segmenter, data, data.names(part))
        metrics["splits"][part] = {result.precision: result.to_json()}
    folder.write_json(path / folder.METRICS_FILE, metrics)
    folder.write_text(path / folder.PER_IMAGE_FILE, _csv(result.per_image))
    write_card(folder.read(path))


class RunWriter(Callback):
    """After each epoch: a row in `history.csv`, and the weights if they are the best so far."""

    def __init__(self, config: TrainConfig, description: dict[str, Any]) -> None:
        self.path = config.output
        self.description = description
        self.rows: list[dict[str, float]] = []
        self.started = time.monotonic()

    def on_train_epoch_start(self, trainer, module) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer, module: SegmentationModule) -> None:
        seconds = time.monotonic() - self.started
        row = {"epoch": trainer.current_epoch + 1, **module.figures, "seconds": seconds}
        self.rows.append({name: _rounded(row[name]) for name in HISTORY_COLUMNS})
        best = max(self.rows, key=lambda r: (r["val_iou"], -r["epoch"]))
        if best is self.rows[-1]:
            # fp16 halves the file and costs nothing measurable; float32 where it overflows.
            save_network(module.network, self.path / folder.WEIGHTS_FILE, dtype=torch.float16)
        self.description["training"] |= {
            "best_epoch": best["epoch"],
            "epochs_done": len(self.rows),
            "seconds": round(sum(r["seconds"] for r in self.rows), 1),
        }
        folder.write_json(self.path / folder.DESCRIPTION_FILE, self.description)
        folder.write_text(self.path / folder.HISTORY_FILE, _csv(self.rows))

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "random": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]
        # With it a resumed run shuffles and augments as if it had never stopped.
        torch.set_rng_state(state["random"])


def _resume_file(config: TrainConfig) -> Path | None:
    last = config.output / "resume" / "last.ckpt"
    if config.resume:
        if not last.exists():
            raise ConfigError(
                f"--resume: {config.output} has no run to continue. Leave --resume out to start it."
            )
        try:
            torch.load(last, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # zip, pickle and torch each have their own
            raise CheckpointError(
                f"--resume: {last} is damaged, so the run cannot be continued. {config.output} "
                "still holds its best epoch; start again with another --output."
            ) from error
        return last
    if (config.output / folder.DESCRIPTION_FILE).exists():
        raise ConfigError(
            f"{config.output} already holds a run. Add --resume to continue it, or choose another "
            "--output."
        )
    return None


def _check_same_run(output: Path, description: dict[str, Any]) -> None:
    """Raises `ConfigError` if the run in `output` was started with other settings or data."""
    recorded = folder.read(output).description
    before = recorded.get("training", {})
    changed = [
        f"--{name.replace('_', '-')} {before.get(name)} (now {value})"
        for name, value in description["training"].items()
        if name not in ("device", "command", "machine") and before.get(name) != value
    ]
    if changed:
        raise ConfigError(
            f"--resume: the run in {output} was started with {', '.join(changed)}. Repeat its own "
            "settings to continue it, or choose another --output for a new run."
        )
    if any(description["data"][key] != recorded["data"][key] for key in ("digest", "split_digest")):
        raise ConfigError(
            f"--resume: the data set {description['data']['name']} or its split has changed since "
            f"the run in {output} was started. Choose another --output for a new run."
        )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {path} cannot be made: {error.strerror}.") from error


def _loaders(
    config: TrainConfig, data: DataSet, preprocessing: Preprocessing
) -> tuple[DataLoader, DataLoader]:
    names = data.names("train")[: config.limit]
    if len(names) < config.batch_size:
        raise ConfigError(
            f"--batch-size {config.batch_size} is more than the {len(names)} training pictures."
        )
    training = SampleDataset(data, names, preprocessing, augmentation(preprocessing, config.crop))
    validation = SampleDataset(data, data.names("validation"), preprocessing)
    collate = Collate(preprocessing)
    # No worker processes: from the cache a batch costs a few per cent of a step, and on
    # two cores workers would take them from the network.
    return (
        DataLoader(training, config.batch_size, shuffle=True, drop_last=True, collate_fn=collate),
        DataLoader(validation, config.batch_size, collate_fn=collate),
    )


def _describe(
    config: TrainConfig,
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
            "split_sizes": {part: len(names) for part, names in data.split.items()},
        },
        "training": {**training, "command": config.command(), "machine": _machine(config)},
        "versions": {
            "unet-studio": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def _machine(config: TrainConfig) -> str:
    if config.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU cores ({platform.machine()})"


def _accelerator(config: TrainConfig) -> str:
    if config.device == "gpu" and not torch.accelerator.is_available():
        raise ConfigError("--device gpu: PyTorch finds no GPU here. Use --device cpu or auto.")
    return config.device


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
        ".*dirpath has changed.*",  # a run that was moved
        ".*treespec, LeafSpec.*",  # Lightning 2.6 with torch 2.12, its own affair
    ):
        warnings.filterwarnings("ignore", message)


def _rounded(value: float) -> float:
    return value if isinstance(value, int) or math.isnan(value) else float(f"{value:.6g}")


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
