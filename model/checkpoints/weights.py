"""Weights on disk: safetensors only, so that opening a checkpoint can run no code."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from model.checkpoints.folder import Checkpoint, write_bytes
from model.errors import CheckpointError, ConfigError
from model.networks.registry import Architecture, construct


def load_network(checkpoint: Checkpoint) -> nn.Module:
    """Builds the checkpoint's network and loads its weights, in float32 and evaluation mode.

    Raises: `CheckpointError` if the weights cannot be read or do not fit the network.
    """
    state = read_tensors(checkpoint.weights_path)
    try:
        network = construct(Architecture.from_json(checkpoint.config))
        network.load_state_dict(state)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(
            f"The weights of {checkpoint.path} do not fit its config.json: "
            f"{str(error).splitlines()[0][:300]}"
        ) from error
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises `CheckpointError` if the file is missing, truncated or no safetensors file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}). Copy or download it again."
        ) from error


def save_network(network: nn.Module, path: Path, *, dtype: torch.dtype | None = None) -> None:
    """Writes the network's state atomically; floating-point tensors as `dtype` if given."""
    state = {
        key: (value.to(dtype) if dtype and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in network.state_dict().items()
    }
    write_bytes(path, save(state, metadata={"format": "pt"}))
