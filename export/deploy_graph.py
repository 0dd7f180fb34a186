"""What is exported: the network with everything between a camera's frame and its mask inside. Not used in training."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from export.decoder import PhaseDecoder, phase_decoder
from fcn_edge.errors import UsageError
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import AT_ONCE_SCALES, FCN

OUTPUTS = ("mask", "confidence")

# Equal functions in cheaper forms, each measured by benchmarks/rewrites.py: the deviation divided into the first
# weights, and the last deconvolution as its phases. A benchmark leaves some out to see what they bring.
REWRITES = frozenset({"normalisation", "decoder"})


class DeployGraph(nn.Module):
    """A frame (1, H, W, 3) BGR uint8 in, its mask (1, H, W) uint8 out: the graph contract.

    With "confidence" among the outputs a second one, (1, H, W) uint8: the softmax of the winning class times 255.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        size_hw: tuple[int, int],
        outputs: tuple[str, ...] = OUTPUTS[:1],
        rewrites: Set[str] = REWRITES,
    ) -> None:
        super().__init__()
        if outputs not in (OUTPUTS[:1], OUTPUTS):
            raise UsageError(
                f"wanted the outputs mask or mask,confidence, found {','.join(outputs)}; choose one of them"
            )
        self.outputs = outputs
        self.network = folded(checkpoint.network).eval()
        self.preprocessing = checkpoint.preprocessing
        self.mean = _mean(checkpoint.preprocessing.mean_bgr)
        self.scaled = "normalisation" in rewrites
        if self.scaled:
            _scale_input(self.network, checkpoint.preprocessing.std_bgr)
        self.decoder = self._phase_decoder(size_hw) if "decoder" in rewrites else None

    def _phase_decoder(self, size_hw: tuple[int, int]) -> PhaseDecoder | None:
        with torch.inference_mode():
            _, grid = self.network.coarse_scores(torch.zeros(1, 3, 1, 1))
        return phase_decoder(self.network, grid, size_hw)

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        # Cast first: TensorRT takes no uint8 but from the network's ends.
        x = frame.float().permute(0, 3, 1, 2) - self.mean if self.scaled else self.preprocessing.normalise(frame)
        if self.decoder is None:
            scores = self.network(x)  # (1, C, H, W)
            return tuple(_byte(pixels) for pixels in self._told(scores, 1))
        coarse, _ = self.network.coarse_scores(x)
        phases = self.decoder.phases(coarse)  # (C, phases, h, w)
        return tuple(_byte(self.decoder.pixels(pixels)) for pixels in self._told(phases, 0))

    def _told(self, scores: Tensor, classes: int) -> list[Tensor]:
        """What is asked for of scores whose dimension `classes` counts the classes, as floats 0..255."""
        told = [scores.argmax(classes).to(torch.float32)]
        if "confidence" in self.outputs:
            told.append(torch.floor(scores.softmax(classes).amax(classes) * 255 + 0.5))
        return told


def _byte(values: Tensor) -> Tensor:
    """Last of all and from float: TensorRT moves no uint8 about, and TensorRT 8 casts to it from floats only."""
    return values.to(torch.uint8)


def _mean(mean_bgr: tuple[float, float, float]) -> Tensor:
    """One number where all channels have the same, for a scalar costs nothing in any layout."""
    return torch.tensor(mean_bgr[0]) if len(set(mean_bgr)) == 1 else torch.tensor(mean_bgr).view(1, 3, 1, 1)


def _scale_input(network: FCN, std_bgr: tuple[float, float, float]) -> None:
    """Divide by the deviation within the first weights. The mean must stay outside: zeros are padded after it."""
    weight = network.get_parameter("conv1_1.weight")
    weight.data.div_(torch.tensor(std_bgr).view(1, 3, 1, 1))


def folded(network: FCN) -> FCN:
    """A copy, the same function in fewer steps: batch norm and the scales of at-once skips move into the weights."""
    plain = FCN.from_config(replace(network.config, norm="none", at_once=False))
    weights = dict(network.state_dict())
    if network.config.at_once:
        weights.update({f"{name}.weight": scale * weights[f"{name}.weight"] for name, scale in AT_ONCE_SCALES.items()})
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
