"""The command `describe`: what it takes, and what it prints."""

from __future__ import annotations

from dataclasses import dataclass

import tyro


@dataclass(frozen=True)
class Describe:
    """Print a network's number of parameters and its receptive field."""

    network: tyro.conf.Positional[str]
    """"unet" or "unet-<encoder>", such as unet-resnet34."""
    num_classes: int = 2
    base_width: int = 32
    """Channels of the first block of "unet"."""
    depth: int = 4
    """Number of poolings of "unet"."""


def describe(command: Describe) -> None:
    """Runs `describe`. Raises `ConfigError` for an unknown network."""
    from model.networks.registry import build, parameter_count

    network = build(
        command.network, command.num_classes, base_width=command.base_width, depth=command.depth
    )
    print(f"{command.network}: {parameter_count(network):,} parameters")
    if hasattr(network, "receptive_field"):
        side = network.receptive_field()
        print(f"receptive field: {side} x {side} pixels")
    print(f"float (B, 3, H, W) -> logits (B, {command.num_classes}, H, W)")
