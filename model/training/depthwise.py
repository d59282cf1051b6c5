"""Depthwise convolutions with a stride, kept out of a slow path of bf16 training on processors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StridedDepthwiseConv2d(nn.Conv2d):
    """As `nn.Conv2d`, but in float32 where a processor computes the rest in bf16.

    oneDNN has no fast kernel for the backward pass of such a convolution in bf16: float32 takes
    half to an eighth of the time, with the conversion there and back (bench/README.md).

    Input and output: float (B, C, H, W), of the input's type.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu":
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float()).to(input.dtype)


def replace_strided_depthwise(network: nn.Module) -> nn.Module:
    """Replaces each such `nn.Conv2d` in the network, in place, its weights kept; returns it."""
    for name, child in network.named_children():
        if (
            type(child) is nn.Conv2d
            and 1 < child.groups == child.in_channels
            and child.stride > (1, 1)
        ):
            replaced = StridedDepthwiseConv2d(
                child.in_channels,
                child.out_channels,
                child.kernel_size,
                child.stride,
                child.padding,
                child.dilation,
                child.groups,
                child.bias is not None,
                child.padding_mode,
            )
            replaced.load_state_dict(child.state_dict())
            setattr(network, name, replaced)
        else:
            replace_strided_depthwise(child)
    return network
