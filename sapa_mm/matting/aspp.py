"""Atrous spatial pyramid pooling with depthwise-separable convolutions."""

from typing import Any

import torch
from torch import Tensor, nn

from .layers import activation, conv_layers, norm_layer

DILATIONS = (6, 12, 18)


class SeparableASPP(nn.Module):
    """The ASPP of A2U matting, at 1/16 of the image's size.

    A 1×1 convolution, three depthwise-separable 3×3 ones of dilation 6, 12 and 18, and the mean
    over the image are concatenated; a 1×1 convolution and dropout of 0.5 follow.

    Args:
        channels (int): Channels of the input, of each branch and of the output.
        norm_cfg (dict): Type and options of the norms.
    """

    def __init__(self, channels: int, norm_cfg: dict[str, Any]):
        super().__init__()
        self.aspp1 = _Branch(norm_cfg, _conv1x1(channels, channels))
        for index, dilation in enumerate(DILATIONS, start=2):
            depthwise = nn.Conv2d(
                channels,
                channels,
                3,
                padding=dilation,
                dilation=dilation,
                groups=channels,
                bias=False,
            )
            branch = _Branch(norm_cfg, depthwise, _conv1x1(channels, channels))
            self.add_module(f'aspp{index}', branch)
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            _conv1x1(channels, channels),
            norm_layer(norm_cfg, channels),
            activation(),
        )
        self.bottleneck_conv = conv_layers(norm_cfg, _conv1x1(5 * channels, channels))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, channels, H, W) from the same."""
        branches = [branch(x) for branch in (self.aspp1, self.aspp2, self.aspp3, self.aspp4)]
        mean = self.global_avg_pool(x).expand_as(x)
        return self.dropout(self.bottleneck_conv(torch.cat([*branches, mean], 1)))


class _Branch(nn.Module):
    """It gives its convolutions the name that they have in the published models."""

    def __init__(self, norm_cfg: dict[str, Any], *convs: nn.Conv2d):
        super().__init__()
        self.atrous_conv = conv_layers(norm_cfg, *convs)

    def forward(self, x: Tensor) -> Tensor:
        return self.atrous_conv(x)


def _conv1x1(in_channels: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, 1, bias=False)
