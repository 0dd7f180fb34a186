"""The last upsampling together with the argmax, as its phases: exactly what the fixed deconvolution gives, cheaper.

A deconvolution of stride s with the bilinear kernel is s x s small convolutions, one for each position of a pixel
between the coarse scores ("phase"); each sees at most 2 x 2 of them. One kernel serves every class, so the classes
become the batch: a convolution from 1 to s * s channels. The argmax is taken phase by phase, and only class ids are
put into their places. Compared with the deconvolution, which multiplies every class with every other one by zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcn_edge.training.network import FCN, Grid, bilinear_kernel

REACH = 1  # a phase sees its own coarse score and one neighbour on either side


@dataclass(frozen=True)
class Offset:
    """Where the crop of an upsampled map begins: `cells` whole coarse scores and `phase` pixels in."""

    cells: int
    phase: int


class PhaseDecoder(nn.Module):
    """Coarse scores (1, C, h, w) to phases (C, s * s, rows, columns), and phases to pixels (1, H, W)."""

    def __init__(self, stride: int, padding: int, crop: int, size_hw: tuple[int, int]) -> None:
        """Of a deconvolution with kernel 2 * stride and `padding`, its result cropped at `crop` to `size_hw`."""
        super().__init__()
        self.stride, self.size_hw = stride, size_hw
        self.offset = Offset(*divmod(padding + crop, stride))
        self.cells_hw = -(-size_hw[0] // stride), -(-size_hw[1] // stride)
        self.kernel = nn.Parameter(_phase_kernels(stride, self.offset.phase), requires_grad=False)

    def phases(self, scores: Tensor) -> Tensor:
        """(C, s * s, rows, columns): channel s * i + j holds the scores of pixels (s * row + i, s * column + j)."""
        (top, bottom), (left, right) = map(self._margins, self.cells_hw, scores.shape[2:])
        height, width = scores.shape[2:]
        seen = scores[:, :, max(0, -top) : height + min(0, bottom), max(0, -left) : width + min(0, right)]
        margins = [max(0, margin) for margin in (left, right, top, bottom)]
        return functional.conv2d(functional.pad(seen.transpose(0, 1), margins), self.kernel)

    def _margins(self, wanted: int, found: int) -> tuple[int, int]:
        """How many zeros to put before and after the coarse scores; negative: how many scores to leave out."""
        before = REACH - self.offset.cells
        return before, wanted + 2 * REACH - found - before

    def pixels(self, phases: Tensor) -> Tensor:
        """One float per phase and cell, (s * s, rows, columns), to (1, H, W)."""
        (rows, columns), stride = self.cells_hw, self.stride
        lines = phases.reshape(stride, stride, rows * columns).transpose(1, 2)  # columns first: fewer, longer moves
        image = lines.reshape(stride, rows, columns * stride).transpose(0, 1)
        height, width = self.size_hw
        return image.reshape(1, rows * stride, columns * stride)[:, :height, :width]


def _phase_kernels(stride: int, phase: int) -> Tensor:
    """(s * s, 1, 3, 3): the taps of the bilinear kernel that each of the phases sees, from `phase` on."""
    ramp = torch.zeros(stride, 2 * REACH + 1)
    profile = bilinear_kernel(2 * stride).sum(0) / stride  # the one-dimensional kernel
    for pixel in range(stride):
        cell, tap = divmod(pixel + phase, stride)
        ramp[pixel, cell + REACH] = profile[tap]
        ramp[pixel, cell + REACH - 1] = profile[tap + stride]
    return torch.einsum("ia,jb->ijab", ramp, ramp).reshape(stride * stride, 1, *[2 * REACH + 1] * 2)


def phase_decoder(network: FCN, grid: Grid, size_hw: tuple[int, int]) -> PhaseDecoder | None:
    """The decoder equal to the network's last layer on scores that lie on `grid`; None where its kernel was learned."""
    layer = network.get_submodule(network.final_name)
    assert isinstance(layer, nn.ConvTranspose2d)
    if not is_bilinear(layer):
        return None
    stride, padding = layer.stride[0], int(layer.padding[0])
    crop = grid.after_deconvolution(layer.kernel_size[0], padding, stride).crop_to(Grid())
    return PhaseDecoder(stride, padding, crop, size_hw)


def is_bilinear(layer: nn.ConvTranspose2d) -> bool:
    """Whether a deconvolution is the fixed interpolation of each class by itself."""
    kernel = bilinear_kernel(layer.kernel_size[0]).to(layer.weight)
    identity = torch.eye(layer.in_channels).to(layer.weight)
    wanted = torch.einsum("io,hw->iohw", identity, kernel)
    return layer.weight.shape == wanted.shape and bool(torch.equal(layer.weight, wanted))
