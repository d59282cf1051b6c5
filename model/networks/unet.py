"""The U-Net, from scratch.

After O. Ronneberger, P. Fischer, T. Brox: "U-Net: Convolutional Networks for Biomedical
Image Segmentation", MICCAI 2015, arXiv 1505.04597, figure 1. What differs from the paper
is stated in `UNet`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST_DEPTH = 10
"""Poolings: each doubles the multiple that sides are padded to, to 1024 pixels with ten."""


class DoubleConvolution(nn.Sequential):
    """Two 3x3 convolutions, each with BatchNorm (optional) and ReLU; dropout after both.

    (B, in_channels, H, W) -> (B, out_channels, H, W): 'same' padding.
    """

    def __init__(
        self, in_channels: int, out_channels: int, batch_norm: bool = True, dropout: float = 0.0
    ) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            # BatchNorm's shift makes the convolution's bias redundant.
            layers.append(nn.Conv2d(channels, out_channels, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(out_channels))
            layers.append(nn.ReLU(inplace=True))
        if dropout:
            layers.append(nn.Dropout2d(dropout))
        super().__init__(*layers)


class UNet(nn.Module):
    """U-Net with `depth` poolings and `base_width` channels at the top, doubling downwards.

    The paper's network is `depth=4, base_width=64`. Differences: 'same' padding, so that
    the output has the input's size; BatchNorm after each convolution (Ioffe & Szegedy 2015,
    arXiv 1502.03167), which postdates the paper's choice; inputs of any size, padded at the
    right and bottom to a multiple of 2**depth and cropped back.

    Weights: He initialisation for ReLU (normal; arXiv 1502.01852) for 3x3 convolutions, by fan-out
    where the paper has fan-in; PyTorch's default (uniform, fan-in) for the transposed ones and
    the head; BatchNorm at one and zero. A head near zero, as in detectors, would make all classes
    equally probable at first, but learns slowly: its few weights must first grow.

    Args:
        in_channels: channels of the input.
        num_classes: channels of the logits.
        base_width: channels of the first block.
        depth: number of 2x2 max-poolings, at most `MOST_DEPTH`.
        batch_norm: normalise after each convolution.
        dropout: probability of dropping a whole feature map, in the two deepest blocks
            (where the paper drops: "at the end of the contracting path").

    Shape: float (B, in_channels, H, W), H and W at least 1 -> logits (B, num_classes, H, W).

    >>> UNet(num_classes=2, base_width=4, depth=2)(torch.zeros(1, 3, 50, 37)).shape
    torch.Size([1, 2, 50, 37])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        base_width: int = 32,
        depth: int = 4,
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(in_channels, num_classes, base_width, depth) < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "in_channels, num_classes, base_width and depth must be at least 1, and dropout "
                f"in [0, 1); got {in_channels}, {num_classes}, {base_width}, {depth}, {dropout}."
            )
        if depth > MOST_DEPTH:
            raise ValueError(f"depth must be at most {MOST_DEPTH}, got {depth}.")
        widths = [base_width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList()
        for level, width in enumerate(widths):
            channels = widths[level - 1] if level else in_channels
            drop = dropout if level >= depth - 1 else 0.0
            self.encoder.append(DoubleConvolution(channels, width, batch_norm, drop))
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1]
        )
        self.decoder = nn.ModuleList(
            DoubleConvolution(2 * width, width, batch_norm) for width in widths[:-1]
        )
        self.head = nn.Conv2d(base_width, num_classes, 1)
        self._initialise()

    @property
    def depth(self) -> int:
        return len(self.decoder)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        multiple = 2**self.depth
        x = functional.pad(x, (0, -width % multiple, 0, -height % multiple))
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            if level:
                x = functional.max_pool2d(x, 2)  # (B, c, h, w) -> (B, c, h / 2, w / 2)
            x = block(x)
            skips.append(x)
        for level in reversed(range(self.depth)):
            x = self.upsample[level](x)  # (B, 2c, h, w) -> (B, c, 2h, 2w)
            x = self.decoder[level](torch.cat([skips[level], x], dim=1))
        return self.head(x)[..., :height, :width]

    def receptive_field(self) -> int:
        """Side of the square of input pixels that can influence one output pixel.

        It depends by a few pixels on where the output pixel lies in the grid of the
        poolings; this is the largest. The path through the bridge is followed backwards:
        the two convolutions of a block add 2 pixels on either side, an output of a 2x2
        transposed convolution of stride 2 sees one pixel, and a pooled pixel sees two.
        """
        return max(self._rows_seen_by(row) for row in range(2**self.depth))

    def _rows_seen_by(self, row: int) -> int:
        first = last = row
        for _ in range(self.depth):
            first, last = (first - 2) // 2, (last + 2) // 2
        first, last = first - 2, last + 2
        for _ in range(self.depth):
            first, last = 2 * first - 2, 2 * last + 1 + 2
        return last - first + 1

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
