"""Batch norm over the pictures of all processes, on CPUs too, where torch's own SyncBatchNorm refuses to work."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.autograd import Function

from fcn_edge.training.ranks import summed


class _Summed(Function):
    """The sum over all processes; each of them gets the gradient of all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return summed(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return summed(gradients[0])


class SyncedBatchNorm(nn.BatchNorm2d):
    """While training, mean and variance are those of the maps (N, C, H, W) of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        maps = x.float()
        sums = _Summed.apply(torch.cat([maps.sum((0, 2, 3)), maps.new_tensor([maps[:, 0].numel()])]))  # type: ignore[no-untyped-call]
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = maps - mean[:, None, None]
        variance = _Summed.apply((centred**2).sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        normed: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normed.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


class SyncedOnCpu(LayerSync):
    """Lightning's way to have layers work together; the layers keep their names, weights and statistics."""

    def apply(self, model: nn.Module) -> nn.Module:
        return _turned(model, nn.BatchNorm2d, SyncedBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        return _turned(model, SyncedBatchNorm, nn.BatchNorm2d)


def _turned(model: nn.Module, before: type[nn.Module], after: type[nn.Module]) -> nn.Module:
    for layer in model.modules():
        if type(layer) is before:
            layer.__class__ = after
    return model
