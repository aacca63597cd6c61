"""Sub-pixel convolution."""

from torch import Tensor, nn

from .base import Upsampler
from .resize import fit, pixel_shuffle


class PixelShuffle(Upsampler):
    """Convolution to s² times the channels, then a pixel shuffle (PixelShuffle in the tables).

    State dict keys are those of mmcv's ``PixelShufflePack``.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): s, the upsampling ratio. Defaults to 2.
        upsample_kernel (int): Kernel size of the convolution; positive and odd. Defaults to 3.

    Raises:
        ValueError: If the kernel size is even or not positive.
    """

    name = 'pixel_shuffle'
    title = 'PixelShuffle'
    _version = 1
    in_mmcv = True
    # The authors' is a Sequential of a convolution and nn.PixelShuffle.
    renamed_keys = {'0': 'upsample_conv'}

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        upsample_kernel: int = 3,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_kernel_size(upsample_kernel=upsample_kernel)
        self.upsample_conv = nn.Conv2d(
            in_channels,
            in_channels * scale_factor**2,
            upsample_kernel,
            padding=upsample_kernel // 2,
        )
        self.init_weights()

    def init_weights(self) -> None:
        """Initialises as mmcv's ``PixelShufflePack`` does."""
        nn.init.xavier_uniform_(self.upsample_conv.weight)
        nn.init.zeros_(self.upsample_conv.bias)

    def flops_per_position(self) -> int:
        """k²s²C², with a kernel of side k, as counted in Table 3; Table 1 has no row for it."""
        return (self.upsample_conv.kernel_size[0] * self.scale_factor * self.in_channels) ** 2

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        high = pixel_shuffle(self.upsample_conv(x), self.scale_factor)
        return fit(high, size, self.scale_factor)
