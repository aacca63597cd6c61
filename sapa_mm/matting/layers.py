"""The layers of A2U matting: convolutions with norm and LeakyReLU, residual blocks."""

from collections import OrderedDict
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ..upsamplers.state_dict import rename_keys

NEGATIVE_SLOPE = 0.01


def norm_layer(norm_cfg: dict[str, Any], channels: int) -> nn.Module:
    """A normalisation of this many channels."""
    return build_norm_layer(norm_cfg, channels)[1]


def activation() -> nn.Module:
    """The activation of all layers."""
    return nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)


def conv_layers(norm_cfg: dict[str, Any], *convs: nn.Conv2d) -> nn.Sequential:
    """Convolutions, each with its norm and LeakyReLU.

    The convolutions and norms are '0', '1', '2', ... as in the published models, where the norm
    and its activation are one module.

    Args:
        norm_cfg (dict): Type and options of the norms.
        *convs (nn.Conv2d): The convolutions, without biases.

    Returns:
        nn.Sequential: The layers.
    """
    layers = OrderedDict()
    for index, conv in enumerate(convs):
        layers[f'{2 * index}'] = conv
        layers[f'{2 * index + 1}'] = norm_layer(norm_cfg, conv.out_channels)
        layers[f'act{2 * index + 1}'] = activation()
    return nn.Sequential(layers)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, then LeakyReLU.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output; where they differ, the shortcut is a 1×1
            convolution.
        norm_cfg (dict): Type and options of the norms.
        stride (int): Stride of the shortcut's convolution. Defaults to 1.
    """

    def __init__(self, in_channels: int, channels: int, norm_cfg: dict[str, Any], stride: int = 1):
        super().__init__()
        self.convs = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
                bn1=norm_layer(norm_cfg, channels),
                act1=activation(),
                conv2=nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                bn2=norm_layer(norm_cfg, channels),
            )
        )
        self.proj_conv = self.proj_bn = None
        if in_channels != channels:
            self.proj_conv = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
            self.proj_bn = norm_layer(norm_cfg, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, channels, H, W) from (N, in_channels, H, W)."""
        return self.add_shortcut(self.convs(x), x)

    def add_shortcut(self, out: Tensor, x: Tensor) -> Tensor:
        """Add the shortcut of x to what the convolutions give."""
        if self.proj_conv is not None:
            x = self.proj_bn(self.proj_conv(x))
        return F.leaky_relu(out + x, NEGATIVE_SLOPE, inplace=True)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The names in the published models.
        names = ('dep_sep_conv', 'layer1', 'layer2')
        rename_keys(state_dict, prefix, dict.fromkeys(names, 'convs'))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class PoolingBlock(ResidualBlock):
    """A residual block that halves the size by a 2×2 max pool between its convolutions.

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the output, others than those of the input.
        norm_cfg (dict): Type and options of the norms.
    """

    def __init__(self, in_channels: int, channels: int, norm_cfg: dict[str, Any]):
        super().__init__(in_channels, channels, norm_cfg, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            x (Tensor): (N, in_channels, H, W) with even sides.

        Returns:
            tuple[Tensor, Tensor]: The output (N, channels, H/2, W/2), and the feature before the
            pool (N, channels, H, W).
        """
        feature = self.convs[:3](x)
        return self.add_shortcut(self.convs[3:](F.max_pool2d(feature, 2)), x), feature
