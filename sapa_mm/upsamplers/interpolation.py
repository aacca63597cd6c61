"""Stock interpolation, under mmcv's names."""

import torch.nn.functional as F
from torch import Tensor

from .base import Upsampler
from .resize import fit


class Nearest(Upsampler):
    """Nearest-neighbour interpolation by size, ``F.interpolate(mode='nearest')``.

    By two an odd size is the next even size cropped, as with the other upsamplers: row i of 23 is
    row i // 2 of 12. By three or more a size that is not a multiple differs from the crop, as in
    mmseg and mmdet.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): Upsampling ratio without a guide. Defaults to 2.
    """

    name = 'nearest'
    title = 'Nearest'
    _version = 1
    in_mmcv = True
    any_size = True

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        return 0

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        return F.interpolate(x, size=size, mode='nearest')


class Bilinear(Upsampler):
    """Bilinear interpolation, by size as in mmseg, ``F.interpolate(mode='bilinear')``.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): Upsampling ratio without a guide. Defaults to 2.
        align_corners (bool): As in ``F.interpolate``. Defaults to False.
        crop (bool): Whether to interpolate to the next multiple and crop, as the other upsamplers
            and mmdet's FPN_CARAFE do, where a backbone rounded up (23 -> 12). Defaults to False.

    Raises:
        ValueError: If align_corners or crop is not a boolean.
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
        crop: bool = False,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_switch(align_corners=align_corners, crop=crop)
        self.align_corners = align_corners
        self.crop = crop
        self._version = 2 if crop else 1  # see Upsampler

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        return 0

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        if self.crop:
            return fit(x, size, 1, self.align_corners)
        return F.interpolate(x, size=size, mode='bilinear', align_corners=self.align_corners)
