"""SAPA-I: inner product similarity, no parameters."""

from .base import Table1Row
from .sapa import WindowSapa


class SapaI(WindowSapa):
    """SAPA-I, Eq. 7: the window weighted by the softmax of xᵀy.

    Call it as ``upsampler(x, guide)``, the low-res feature first.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Channels of the guide; must equal C. Defaults to C.
        scale_factor (int): Unused; the guide sets the size. Defaults to 2.
        kernel_size (int): K, size of the window; positive and odd. Defaults to 5.
        pre_norm (bool): Whether x and guide pass GroupNorm(32) before the similarity is
            computed (section 3.7). Defaults to False.
        similarity_norm (str): 'softmax', 'none', 'relu', 'sigmoid' or 'softplus' (Table 10).
            Defaults to 'softmax'.
        temperature (float): What similarities are divided by before they are normalised, such as
            the √C of attention; the paper has none. Defaults to 1.

    Raises:
        ValueError: If the channels of x and guide differ, or an option is out of range.
    """

    name = 'sapa_i'
    title = 'SAPA-I'
    table_1 = (Table1Row('8K²C', '0'),)

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        kernel_size: int = 5,
        pre_norm: bool = False,
        similarity_norm: str = 'softmax',
        temperature: float = 1.0,
    ):
        super().__init__(
            in_channels,
            guide_channels,
            scale_factor,
            kernel_size,
            pre_norm,
            similarity_norm,
            temperature=temperature,
        )
        if self.guide_channels != self.in_channels:
            self.fail(
                f'guide_channels must equal in_channels, got {self.guide_channels} and '
                f'{self.in_channels}; sapa_b and sapa_d take different channels'
            )

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        return 2 * self.scale_factor**2 * self.kernel_size**2 * self.in_channels
