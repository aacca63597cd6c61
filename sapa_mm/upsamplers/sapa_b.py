"""SAPA-B: similarity of embeddings over a window."""

from torch import Tensor, nn

from .base import Table1Row
from .sapa import WindowSapa


class SapaB(WindowSapa):
    """SAPA-B, Eq. 6: the window weighted by the softmax of (M_x x)ᵀ(M_y y).

    Call it as ``upsampler(x, guide)``, the low-res feature first.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to C.
        scale_factor (int): Unused; the guide sets the size. Defaults to 2.
        embed_dims (int): d, channels of the embeddings. Defaults to 32.
        kernel_size (int): K, size of the window; positive and odd. Defaults to 5.
        pre_norm (bool): Whether x and guide pass GroupNorm(32) before they are embedded
            (section 3.7). Defaults to False.
        similarity_norm (str): 'softmax', 'none', 'relu', 'sigmoid' or 'softplus' (Table 10).
            Defaults to 'softmax'.
        groups (int): g, groups of channels with embeddings of d channels and kernels of their own
            (Table 13). Defaults to 1.
        temperature (float): What similarities are divided by before they are normalised, such as
            the √d of attention; the paper has none. Defaults to 1.

    Raises:
        ValueError: If an option is out of range.
    """

    name = 'sapa_b'
    title = 'SAPA-B'
    table_1 = (Table1Row('5Cd + 4K²d + 4K²C', '2Cd'),)

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        embed_dims: int = 32,
        kernel_size: int = 5,
        pre_norm: bool = False,
        similarity_norm: str = 'softmax',
        groups: int = 1,
        temperature: float = 1.0,
    ):
        super().__init__(
            in_channels,
            guide_channels,
            scale_factor,
            kernel_size,
            pre_norm,
            similarity_norm,
            groups,
            temperature,
        )
        self.check_positive(embed_dims=embed_dims)
        self.query = nn.Conv2d(self.guide_channels, groups * embed_dims, 1)
        self.key = nn.Conv2d(self.in_channels, groups * embed_dims, 1)
        self.init_weights()

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        d, children = self.query.out_channels, self.scale_factor**2
        embedding = (self.in_channels + children * self.guide_channels) * d
        return embedding + children * self.kernel_size**2 * (d + self.in_channels)

    def embed(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Query (N, g*d, H, W) from the guide and key (N, g*d, h, w) from x."""
        return self.query(guide), self.key(x)
