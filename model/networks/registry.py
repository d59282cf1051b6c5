"""Networks by name.

`unet` is our own; `unet-<encoder>` is segmentation_models_pytorch's U-Net on any of its
encoders. Both take normalised RGB, float (B, 3, H, W), and return logits
(B, num_classes, H, W); `unet-<encoder>` needs sides divisible by 32, which
`Preprocessing` sees to.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from torch import nn

from model.errors import ConfigError
from model.networks.unet import UNet

POPULAR_ENCODERS = ("resnet34", "vgg16_bn", "mobilenet_v2", "efficientnet-b0", "resnet50")

_MISFITS = (
    *(ArithmeticError, AssertionError, AttributeError),
    *(LookupError, RuntimeError, TypeError, ValueError),
)
"""What constructors raise for arguments that they do not expect."""


@dataclass(frozen=True)
class Architecture:
    """A network's class name and constructor arguments: what `config.json` stores."""

    model_class: str
    arguments: dict[str, Any]

    def to_json(self) -> dict:
        """In smp's own format: keys that start with an underscore are not arguments."""
        return {"_model_class": self.model_class, **self.arguments}

    @classmethod
    def from_json(cls, values: dict) -> Architecture:
        arguments = {k: v for k, v in values.items() if not k.startswith("_")}
        return cls(values["_model_class"], arguments)

    @property
    def name(self) -> str:
        """The name in this registry, e.g. "unet" or "unet-resnet34"."""
        if self.model_class == "UNet":
            return "unet"
        return f"{self.model_class.lower()}-{self.arguments.get('encoder_name', '?')}"


def architecture(
    name: str, num_classes: int, *, base_width: int = 32, depth: int = 4, dropout: float = 0.0
) -> Architecture:
    """What `build` will construct, without constructing it.

    Args:
        name: "unet" or "unet-<encoder>".
        num_classes: channels of the logits.
        base_width, depth, dropout: of "unet" only; see `UNet`.

    Raises: `ConfigError` for an unknown name.
    """
    if name == "unet":
        arguments = {
            "in_channels": 3,
            "num_classes": num_classes,
            "base_width": base_width,
            "depth": depth,
            "batch_norm": True,
            "dropout": dropout,
        }
        return Architecture("UNet", arguments)
    prefix, _, encoder = name.partition("-")
    if prefix == "unet" and encoder in _encoder_names():
        # `encoder_weights` stays None: a checkpoint brings its own weights, and asking
        # for ImageNet's would download them at every load, and fail offline.
        arguments = {
            "encoder_name": encoder,
            "encoder_weights": None,
            "in_channels": 3,
            "classes": num_classes,
        }
        return Architecture("Unet", arguments)
    raise ConfigError(
        f"There is no network '{name}'. Use 'unet' or 'unet-<encoder>', where <encoder> is one "
        f"of segmentation_models_pytorch's, such as {', '.join(POPULAR_ENCODERS)}."
    )


def construct(architecture: Architecture) -> nn.Module:
    """Builds the network with fresh weights.

    Arguments may come from a stranger's `config.json`: only those that the class itself names are
    passed on. All others would reach timm, which could open files and URLs for them.

    Raises: `ConfigError` for an unknown class or arguments that do not fit it.
    """
    try:
        if architecture.model_class == "UNet":
            return UNet(**architecture.arguments)
        import segmentation_models_pytorch as smp  # 2.7 s that the scratch network saves

        classes = {kind.__name__: kind for kind in (smp.Unet, smp.UnetPlusPlus, smp.FPN)}
        if architecture.model_class not in classes:
            raise ConfigError(
                f"There is no network class '{architecture.model_class}'; this program builds "
                f"{['UNet', *classes]}."
            )
        kind = classes[architecture.model_class]
        known = inspect.signature(kind).parameters.keys() - {"kwargs"}
        if unknown := architecture.arguments.keys() - known:
            raise ValueError(f"it has no arguments {sorted(unknown)}")
        if ":" in str(architecture.arguments.get("encoder_name")):
            raise ValueError("encoder_name must be a plain name, without a source to load it from")
        return kind(**architecture.arguments)
    except _MISFITS as error:
        raise ConfigError(
            f"{architecture.model_class} cannot be built from {architecture.arguments}: {error}"
        ) from error


def build(name: str, num_classes: int, **options) -> nn.Module:
    """The network of that name with fresh weights; see `architecture` for the arguments.

    >>> build("unet", num_classes=3, base_width=8).head.out_channels
    3
    """
    return construct(architecture(name, num_classes, **options))


def parameter_count(network: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _encoder_names() -> list[str]:
    import segmentation_models_pytorch as smp

    return smp.encoders.get_encoder_names()
