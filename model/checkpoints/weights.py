"""Weights on disk: safetensors only, so that opening a checkpoint can run no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model.checkpoints.folder import OURS, Checkpoint
from model.errors import CheckpointError, ConfigError
from model.networks.registry import Architecture, construct
from model.writing import write_bytes


def load_network(checkpoint: Checkpoint) -> nn.Module:
    """Builds the checkpoint's network and loads its weights, in float32 and evaluation mode.

    Raises: `CheckpointError` if the weights cannot be read or do not fit the network.
    """
    state = read_tensors(checkpoint.weights_path)
    try:
        plan = Architecture.from_json(checkpoint.config)
        if plan.model_class != OURS:
            # Otherwise smp would first download those that training started from.
            plan.arguments["encoder_weights"] = None
        network = assemble(plan, state)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(
            f"The weights {checkpoint.weights_path} do not fit the config.json beside them: "
            f"{misfit(error)}"
        ) from error
    return network.eval()


def assemble(plan: Architecture, state: dict[str, Tensor]) -> nn.Module:
    """Builds a network and gives it its weights.

    Whether they fit is checked on shapes alone: a config.json may describe a network larger than
    any memory, and is refused before it takes any.

    Raises: `ConfigError` as `construct`, torch's `RuntimeError` for weights that do not fit.
    """
    with torch.device("meta"), _LinspaceComputed():
        # Assigned, not copied: a copy into a meta tensor warns each time.
        construct(plan).load_state_dict(state, assign=True)
    network = construct(plan)
    network.load_state_dict(state)
    return network


class _LinspaceComputed(TorchFunctionMode):
    """Some encoders read these few values while they are built, and meta tensors have none."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        here = {"device": "cpu"} if function is torch.linspace else {}
        return function(*args, **{**(kwargs or {}), **here})


def misfit(error: Exception) -> str:
    """The first difference that torch's `load_state_dict` found, from its long list of them."""
    return " ".join(line.strip() for line in str(error).splitlines()[:2])[:300]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises `CheckpointError` if the file is missing, truncated or not a safetensors file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}). Copy or download it again."
        ) from error


def save_network(network: nn.Module, path: Path, *, dtype: torch.dtype | None = None) -> None:
    """Writes the network's state atomically.

    Args: dtype: for floating-point tensors; those with values beyond its range stay as they are.
    """
    state = {
        key: _narrowed(value, dtype).detach().cpu().contiguous()
        for key, value in network.state_dict().items()
    }
    write_bytes(path, save(state, metadata={"format": "pt"}))


def _narrowed(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    if dtype is None or not value.is_floating_point():
        return value
    fits = value.abs().amax() <= torch.finfo(dtype).max if value.numel() else True
    return value.to(dtype) if fits else value
