"""The Fully Convolutional Networks of Long, Shelhamer and Darrell on VGG16, all variants in this one file.

References: "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015 and TPAMI 2017 (sections 3.3,
4.1-4.3 and figure 3); base net: Simonyan, Zisserman, "Very Deep Convolutional Networks", ICLR 2015, table 1, D.
The layers carry the paper's names, so published state_dicts load unchanged. Not here: normalisation of the picture
(`checkpoint.Preprocessing`) and argmax (`export/deploy_graph.py`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcn_edge.errors import UsageError

# VGG16's five blocks: how many 3x3 convolutions, and their channels at width 1.
VGG16_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))

# The factor of the last upsampling, and thereby which pools are skipped from (paper, figure 3). The paper stops at 8s,
# for VOC's things are large; 4s goes one pool further in the same way, for poles and signs that are a few pixels wide.
FINAL_STRIDE = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8, "fcn4s": 4}

# The reference's names of that upsampling.
FINAL_NAMES = {"fcn32s": "upscore", "fcn16s": "upscore16", "fcn8s": "upscore8", "fcn4s": "upscore4"}

# Each skip: the block whose pool it scores, and the upsampling of the coarser scores that it is added to.
SKIPS = {4: "upscore2", 3: "upscore_pool4", 2: "upscore_pool3"}

# At-once training scales the skips instead of training in stages (TPAMI, section 4.3).
AT_ONCE_SCALES = {"score_pool4": 0.01, "score_pool3": 0.0001}

DEEPEST_STRIDE = 32


@dataclass(frozen=True)
class Grid:
    """Where the elements of a feature map lie: element i has its centre at pixel `stride * i + offset`.

    Every crop of the network follows from this one piece of arithmetic: two maps of equal stride are
    aligned by cropping the one that starts earlier by the difference of their offsets.
    """

    stride: float = 1
    offset: float = 0

    def after_convolution(self, kernel: int, padding: int, stride: int = 1) -> Grid:
        return Grid(self.stride * stride, self.offset + self.stride * ((kernel - 1) / 2 - padding))

    def after_deconvolution(self, kernel: int, padding: int, stride: int) -> Grid:
        fine = self.stride / stride
        return Grid(fine, self.offset - fine * ((kernel - 1) / 2 - padding))

    def crop_to(self, target: Grid) -> int:
        """How many elements of this map lie before the first element of `target`."""
        return round((target.offset - self.offset) / self.stride)


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of; stored in every checkpoint."""

    variant: str = "fcn8s"
    num_classes: int = 21
    width: float = 1.0  # 1.0 is VGG16; every convolution's channels are multiplied by it
    fc_dim: int = 4096  # channels of fc6 and fc7
    norm: str = "none"  # "batch" puts batch norm after every convolution but the scores; folded at export
    geometry: str = "same"  # "paper" pads by 100 and crops; "same" keeps every map aligned
    at_once: bool = False

    def __post_init__(self) -> None:
        if self.variant not in FINAL_STRIDE:
            raise UsageError(f"variant must be one of {', '.join(FINAL_STRIDE)}, not {self.variant!r}")
        if self.norm not in ("none", "batch"):
            raise UsageError(f"norm must be none or batch, not {self.norm!r}")
        if self.geometry not in ("paper", "same"):
            raise UsageError(f"geometry must be paper or same, not {self.geometry!r}")
        if self.at_once and self.variant != "fcn8s":
            raise UsageError(f"at-once training belongs to fcn8s, not {self.variant}")
        if not 1 <= self.num_classes <= 255:
            raise UsageError(f"a uint8 mask holds 1 to 255 classes, not {self.num_classes}")
        if not 0 < self.width < math.inf or self.fc_dim < 1:
            raise UsageError(f"width and fc_dim must be positive, not {self.width} and {self.fc_dim}")

    def channels(self, block: int) -> int:
        """Output channels of VGG block 1..5 at this width."""
        return max(1, round(VGG16_BLOCKS[block - 1][1] * self.width))


def bilinear_kernel(kernel_size: int) -> Tensor:
    """The (k, k) kernel that makes a stride-(k/2) transposed convolution a bilinear interpolation (paper, 3.3)."""
    factor = (kernel_size + 1) // 2
    centre = factor - 1 if kernel_size % 2 == 1 else factor - 0.5
    ramp = 1 - (torch.arange(kernel_size, dtype=torch.float64) - centre).abs() / factor
    return torch.outer(ramp, ramp).float()


class FCN(nn.Module):
    """FCN-32s, FCN-16s, FCN-8s or FCN-4s: normalised pictures (N, 3, H, W) in, class scores (N, num_classes, H, W) out.

    Every H, W >= 1 is taken. Geometry `same` pads right and bottom with zeros to a multiple of 32 and crops the scores;
    `paper` pads by 100 on all sides in conv1_1 and crops each fused map (the reference implementation's numbers).
    """

    def __init__(
        self,
        variant: str = "fcn8s",
        num_classes: int = 21,
        width: float = 1.0,
        fc_dim: int = 4096,
        norm: str = "none",
        geometry: str = "same",
        at_once: bool = False,
    ) -> None:
        super().__init__()
        self.config = NetworkConfig(variant, num_classes, width, fc_dim, norm, geometry, at_once)
        self._add_base_net()
        self._add_classifier()
        self._add_decoder()
        self._initialise()

    @classmethod
    def from_config(cls, config: NetworkConfig) -> FCN:
        return cls(**asdict(config))

    # -- layers ---------------------------------------------------------------------------------------------------

    def _add_base_net(self) -> None:
        channels, paper = 3, self.config.geometry == "paper"
        for block, (depth, _) in enumerate(VGG16_BLOCKS, start=1):
            for index in range(1, depth + 1):
                first = block == index == 1
                self._add_conv(
                    f"conv{block}_{index}", channels, self.config.channels(block), 3, 100 if paper and first else 1
                )
                channels = self.config.channels(block)

    def _add_classifier(self) -> None:
        """VGG's fully connected layers as convolutions (paper, section 3.1)."""
        fc_dim, same = self.config.fc_dim, self.config.geometry == "same"
        self._add_conv("fc6", self.config.channels(5), fc_dim, 7, 3 if same else 0)
        self._add_conv("fc7", fc_dim, fc_dim, 1, 0)
        self.drop6, self.drop7 = nn.Dropout2d(), nn.Dropout2d()

    def _add_decoder(self) -> None:
        classes, stride = self.config.num_classes, FINAL_STRIDE[self.config.variant]
        self.score_fr = nn.Conv2d(self.config.fc_dim, classes, 1)
        for block, upsampling in self.skips.items():
            self.add_module(f"score_pool{block}", nn.Conv2d(self.config.channels(block), classes, 1))
            self.add_module(upsampling, self._deconvolution(2))
        final = self._deconvolution(stride)
        final.weight.requires_grad_(False)  # the paper fixes the last kernel to bilinear interpolation (section 4.3)
        self.add_module(self.final_name, final)

    @property
    def skips(self) -> dict[int, str]:
        """What of `SKIPS` this variant has; pool n has the stride 2 ** n."""
        return {block: name for block, name in SKIPS.items() if 2**block >= FINAL_STRIDE[self.config.variant]}

    @property
    def final_name(self) -> str:
        return FINAL_NAMES[self.config.variant]

    def _add_conv(self, name: str, in_channels: int, out_channels: int, kernel: int, padding: int) -> None:
        batch_norm = self.config.norm == "batch"
        self.add_module(name, nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=not batch_norm))
        if batch_norm:
            self.add_module(f"{name}_norm", nn.BatchNorm2d(out_channels))

    def _deconvolution(self, stride: int) -> nn.ConvTranspose2d:
        classes = self.config.num_classes
        padding = stride // 2 if self.config.geometry == "same" else 0
        return nn.ConvTranspose2d(classes, classes, 2 * stride, stride=stride, padding=padding, bias=False)

    def _initialise(self) -> None:
        """He initialisation for the base net, zero for the scores, bilinear for the deconvolutions (paper, 4.1-4.3)."""
        for name, module in self.named_modules():
            if isinstance(module, nn.ConvTranspose2d):
                kernel = bilinear_kernel(module.kernel_size[0])
                module.weight.data.zero_()
                for channel in range(module.in_channels):
                    module.weight.data[channel, channel] = kernel
            elif isinstance(module, nn.Conv2d):
                if name.startswith("score"):
                    nn.init.zeros_(module.weight)
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    # -- forward --------------------------------------------------------------------------------------------------

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        scores, grid = self._upsample(self.final_name, *self.coarse_scores(images))
        crop = grid.crop_to(Grid())
        return scores[..., crop : crop + height, crop : crop + width]

    def coarse_scores(self, images: Tensor) -> tuple[Tensor, Grid]:
        """The scores before the last upsampling, (N, num_classes, h, w), and where they lie on the picture."""
        pools, grids = self._pools(self._padded(images))
        x, grid = self._conv_relu("fc6", pools[5], grids[5])
        x, grid = self._conv_relu("fc7", self.drop6(x), grid)
        x = self.score_fr(self.drop7(x))
        for block, upsampling in self.skips.items():
            x, grid = self._upsample(upsampling, x, grid)
            x, grid = self._fuse(f"score_pool{block}", pools[block], grids[block], x, grid)
        return x, grid

    def _padded(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if self.config.geometry == "paper":
            return images
        return functional.pad(images, (0, -width % DEEPEST_STRIDE, 0, -height % DEEPEST_STRIDE))

    def _pools(self, images: Tensor) -> tuple[dict[int, Tensor], dict[int, Grid]]:
        """The base net's five pooled maps; pooling rounds up, as Caffe's does."""
        x, grid = images, Grid()
        pools, grids = {}, {}
        for block, (depth, _) in enumerate(VGG16_BLOCKS, start=1):
            for index in range(1, depth + 1):
                x, grid = self._conv_relu(f"conv{block}_{index}", x, grid)
            x, grid = functional.max_pool2d(x, 2, ceil_mode=True), grid.after_convolution(2, 0, stride=2)
            pools[block], grids[block] = x, grid
        return pools, grids

    def _conv_relu(self, name: str, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        layer = self._layer(name)
        x = layer(x)
        if self.config.norm == "batch":
            x = self.get_submodule(f"{name}_norm")(x)
        return functional.relu(x, inplace=True), grid.after_convolution(layer.kernel_size[0], layer.padding[0])

    def _upsample(self, name: str, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        layer = self._layer(name)
        return layer(x), grid.after_deconvolution(layer.kernel_size[0], layer.padding[0], layer.stride[0])

    def _fuse(self, name: str, pool: Tensor, pool_grid: Grid, x: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """Add the scores of a skip, cropped to the coarser map it is fused with (paper, figure 3)."""
        skip = self._layer(name)(pool * AT_ONCE_SCALES[name] if self.config.at_once else pool)
        crop = pool_grid.crop_to(grid)
        return x + skip[..., crop : crop + x.shape[-2], crop : crop + x.shape[-1]], grid

    def _layer(self, name: str) -> Any:
        return self.get_submodule(name)


def channels_last(network: FCN) -> FCN:
    """The network itself, its weights laid out as (O, H, W, I): CPUs and tensor cores are quicker so."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
