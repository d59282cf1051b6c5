"""BatchNorm whose statistics cover the batches of all processes together.

PyTorch's own SyncBatchNorm is for GPUs; this one computes wherever `torch.distributed` does. The
sums, and in the backward pass their gradients, are added up over the processes, so that a batch
gives the same result however it is shared.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from model.errors import ConfigError


class _SumOverProcesses(torch.autograd.Function):
    """A tensor summed over all processes; each process's gradient is that of all results."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """As `nn.BatchNorm2d`, with the same parameters and buffers.

    Input and output: float (B, C, H, W), of this process.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        batch = input.float()
        count = batch.numel() / batch.shape[1]
        sums = torch.cat([batch.sum((0, 2, 3)), batch.new_tensor([count])])
        sums = _SumOverProcesses.apply(sums)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        # The mean of the squares less the square of the mean would lose small variances.
        centred = batch - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            momentum = self.momentum
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, momentum)
            # The running variance is updated with the unbiased one, as in PyTorch.
            self.running_var.lerp_(variance * count / (count - 1), momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        result = torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None])
        return result.to(input.dtype)


class SynchronisedBatchNormAct2d(SynchronisedBatchNorm2d):
    """As timm's `BatchNormAct2d`: dropout and an activation come after."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))


def synchronise(network: nn.Module) -> nn.Module:
    """Replaces each BatchNorm in the network, in place, its weights kept; returns it.

    Raises: `ConfigError` if it has one of another kind than `nn.BatchNorm2d` or timm's.
    """
    from timm.layers import BatchNormAct2d

    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                replaced = SynchronisedBatchNorm2d(child.num_features, child.eps, child.momentum)
            elif type(child) is BatchNormAct2d:
                replaced = SynchronisedBatchNormAct2d(child.num_features, child.eps, child.momentum)
                replaced.drop, replaced.act = child.drop, child.act
            else:
                continue
            replaced.load_state_dict(child.state_dict())
            setattr(parent, name, replaced.train(child.training))
    for child in network.modules():
        if isinstance(child, _BatchNorm) and not isinstance(child, SynchronisedBatchNorm2d):
            raise ConfigError(
                f"The network has a {type(child).__name__}, whose statistics would be those of "
                "each process alone. Train it in one process, or choose another --network."
            )
    return network
