"""Transposed convolution."""

from torch import Tensor, nn

from .base import Upsampler
from .resize import fit


class Deconv(Upsampler):
    """Strided transposed convolution (Deconv in the paper's tables).

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): Stride, the upsampling ratio. Defaults to 2.
        kernel_size (int): Positive and odd. Defaults to 3.

    Raises:
        ValueError: If the kernel size is even or not positive.
    """

    name = 'deconv'
    title = 'Deconv'
    _version = 1
    in_mmcv = True
    # mmcv's 'deconv' is the bare convolution.
    renamed_keys = {'weight': 'deconv.weight', 'bias': 'deconv.bias'}
    counter_note = (
        "the paper's figure has k²s²C² for each low-res position, as for pixel shuffle; a "
        'transposed convolution of stride s takes k²C²'
    )

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        kernel_size: int = 3,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_kernel_size(kernel_size=kernel_size)
        self.deconv = nn.ConvTranspose2d(
            in_channels,
            in_channels,
            kernel_size,
            stride=scale_factor,
            padding=kernel_size // 2,
            output_padding=scale_factor - 1,
        )

    def flops_per_position(self) -> int:
        """A convolution with a kernel of side k at each high-res position, k²s²C².

        As counted in Table 3; Table 1 has no row for it.
        """
        return (self.deconv.kernel_size[0] * self.scale_factor * self.in_channels) ** 2

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        return fit(self.deconv(x), size, self.scale_factor)
