"""Stock interpolation, under mmcv's names."""

import torch.nn.functional as F
from torch import Tensor

from .base import Upsampler


class Nearest(Upsampler):
    """Nearest-neighbour interpolation, ``F.interpolate(mode='nearest')``.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): Upsampling ratio without a guide. Defaults to 2.
    """

    name = 'nearest'
    title = 'Nearest'
    in_mmcv = True
    any_size = True

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        return 0

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        return F.interpolate(x, size=size, mode='nearest')


class Bilinear(Upsampler):
    """Bilinear interpolation, ``F.interpolate(mode='bilinear')``.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): Upsampling ratio without a guide. Defaults to 2.
        align_corners (bool): As in ``F.interpolate``. Defaults to False.

    Raises:
        ValueError: If align_corners is not a boolean.
    """

    name = 'bilinear'
    title = 'Bilinear'
    in_mmcv = True
    any_size = True

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        align_corners: bool = False,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_switch(align_corners=align_corners)
        self.align_corners = align_corners

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        return 0

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        return F.interpolate(x, size=size, mode='bilinear', align_corners=self.align_corners)
