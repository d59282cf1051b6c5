"""Imports what `save_pretrained` of segmentation_models_pytorch (smp) writes.

Such a checkpoint is `config.json` and `model.safetensors`; it does not say what its classes
mean or how pictures are prepared. Both are guessed, and the description says so. The same two
files of our own U-Net are imported in the same way.
"""

from __future__ import annotations

import json
import operator
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model import writing
from model.checkpoints import folder
from model.checkpoints.folder import OURS
from model.checkpoints.weights import assemble, read_tensors, save_network
from model.data.classes import OKABE_ITO, ClassTable
from model.data.preprocessing import Preprocessing
from model.errors import CheckpointError, ConfigError
from model.networks.registry import Architecture, parameter_count

BINARY_HEADS = (
    *("segmentation_head.0.weight", "segmentation_head.0.bias"),  # smp
    *("head.weight", "head.bias"),  # ours
)
LONGEST_SIDE = 512
GUESSED = (
    "its classes have no names in the checkpoint and are numbered; pictures are scaled to "
    f"{LONGEST_SIDE} pixels on the longer side and normalised as ImageNet's, which it may not "
    "have been trained with"
)


def convert(source: Path, target: Path, origin: str) -> Path:
    """Writes a plain checkpoint as a checkpoint folder of ours.

    A network with a single logit (smp's binary mode: sigmoid above one half) becomes the
    equivalent one with two: softmax over (0, z) is the sigmoid of z.

    Args:
        source: folder with `config.json` and `model.safetensors`.
        target: the folder to write; left as it is if it exists.
        origin: where the checkpoint is from, for its description.

    Returns: `target`. Raises: `CheckpointError` if no U-Net can be built from it.
    """
    if target.is_dir():
        return target
    config = _read_config(source / folder.CONFIG_FILE, origin)
    architecture = _architecture(config, origin)
    state = _state(read_tensors(source / folder.WEIGHTS_FILE), binary=_outputs(config) == 1)
    try:
        network = assemble(architecture, state)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(
            f"{origin} cannot be built from its config.json: {str(error).splitlines()[0][:300]}"
        ) from error
    target.parent.mkdir(parents=True, exist_ok=True)
    # Written under another name, then renamed: a folder that exists is complete.
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=target.parent))
    try:
        save_network(network, part / folder.WEIGHTS_FILE)
        writing.write_json(part / folder.CONFIG_FILE, architecture.to_json())
        encoder_weights = config.get("encoder_weights")
        description = _description(architecture, parameter_count(network), origin, encoder_weights)
        writing.write_json(part / folder.DESCRIPTION_FILE, description)
        part.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _read_config(path: Path, origin: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["_model_class"] != OURS:
            config["encoder_name"]
        operator.index(_outputs(config))
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{origin} is neither a checkpoint of U-Net Studio (it has no "
            f"{folder.DESCRIPTION_FILE}) nor one of segmentation_models_pytorch."
        ) from error
    return config


def _architecture(config: dict[str, Any], origin: str) -> Architecture:
    if config.get("in_channels", 3) != 3:
        raise CheckpointError(
            f"{origin} expects pictures of {config['in_channels']} channels; only RGB is supported."
        )
    architecture = Architecture.from_json(config)
    outputs = max(2, _outputs(config))
    if architecture.model_class == OURS:
        return Architecture(OURS, {**architecture.arguments, "num_classes": outputs})
    changes = {
        # Its own weights follow; smp would download the encoder's first.
        "encoder_weights": None,
        # Only logits are wanted, and only for pixels.
        "activation": None,
        "aux_params": None,
        "classes": outputs,
    }
    return Architecture(architecture.model_class, {**architecture.arguments, **changes})


def _outputs(config: dict[str, Any]) -> int:
    """Channels of the logits; 1 is smp's default."""
    return config.get("num_classes" if config["_model_class"] == OURS else "classes", 1)


def _state(state: dict[str, Tensor], *, binary: bool) -> dict[str, Tensor]:
    state = {k: v for k, v in state.items() if not k.startswith("classification_head.")}
    if binary:
        for key in BINARY_HEADS:
            if key in state:
                state[key] = torch.cat([torch.zeros_like(state[key]), state[key]])
    return state


def _description(
    architecture: Architecture, parameters: int, origin: str, encoder_weights: str | None
) -> dict[str, Any]:
    names = [f"class {index}" for index in range(_outputs(architecture.to_json()))]
    colours = [OKABE_ITO[index % len(OKABE_ITO)] for index in range(len(names))]
    encoder = architecture.arguments.get("encoder_name")
    return {
        "schema_version": folder.SCHEMA_VERSION,
        "classes": ClassTable.of(zip(names, colours, strict=True)).to_json(),
        "preprocessing": Preprocessing(LONGEST_SIDE).to_json(),
        "network": {"name": architecture.name, "parameters": parameters},
        "encoder": {
            "name": encoder,
            "pretrained": encoder_weights is not None,
            "origin": encoder_weights or "not stated",
        },
        "data": {"name": "unknown", "title": f"unknown data ({origin})", "licence": "not stated"},
        "guessed": GUESSED,
    }
