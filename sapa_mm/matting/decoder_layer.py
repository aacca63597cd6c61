"""A step of the decoder of A2U matting."""

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from ..upsamplers import build_upsampler
from .layers import ResidualBlock


class DecoderLayer(BaseModule):
    """Upsample, add the skip connection, two residual blocks.

    Args:
        in_channels (int): Channels of the input, of its guide and of the skip connection.
        channels (int): Channels of the output.
        upsample_cfg (dict): Type and options of the upsampler.
        norm_cfg (dict): Type and options of the norms.

    Raises:
        TypeError: If upsample_cfg is not a dict.
        ValueError: If its type or an option is unknown or does not fit.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        upsample_cfg: dict[str, Any],
        norm_cfg: dict[str, Any],
    ):
        super().__init__()
        self.up = build_upsampler(upsample_cfg, in_channels, in_channels)
        self.dconv = ResidualBlock(in_channels, channels, norm_cfg)
        self.dconv1 = ResidualBlock(channels, channels, norm_cfg)

    def forward(self, x: Tensor, guide: Tensor, skip: Tensor) -> Tensor:
        """Decode.

        Args:
            x (Tensor): (N, in_channels, h, w).
            guide (Tensor): (N, in_channels, H, W).
            skip (Tensor): (N, in_channels, H, W).

        Returns:
            Tensor: (N, channels, H, W).
        """
        return self.dconv1(self.dconv(self.up(x, guide) + skip))
