"""What is exported: the network with everything between a camera's frame and its mask inside. Not used in training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import FCN


class DeployGraph(nn.Module):
    """A frame (1, H, W, 3) BGR uint8 in, its mask (1, H, W) uint8 out: the graph contract."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = folded(checkpoint.network).eval()
        self.preprocessing = checkpoint.preprocessing

    def forward(self, frame: Tensor) -> Tensor:
        scores = self.network(self.preprocessing.normalise(frame))  # (1, C, H, W)
        # By way of float, because TensorRT 8 casts to uint8 from floats only.
        mask: Tensor = scores.argmax(1).to(torch.float32).to(torch.uint8)
        return mask


def folded(network: FCN) -> FCN:
    """The same function without batch norm: its scale and shift moved into the convolution before it."""
    if network.config.norm == "none":
        return network
    plain = FCN.from_config(replace(network.config, norm="none"))
    weights = network.state_dict()
    for name, convolution in network.named_modules():
        norm = getattr(network, f"{name}_norm", None)
        if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
            continue
        assert norm.running_mean is not None and norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight.detach(), bias.detach()
    plain.load_state_dict({key: value for key, value in weights.items() if "_norm." not in key})
    return plain
