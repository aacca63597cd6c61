"""SAPA over a fixed window, the base of SAPA-I and SAPA-B."""

from sapa_ops import window_similarity
from torch import Tensor

from .sapa import Sapa
from .similarity_norm import SIMILARITY_NORMS, normalize_similarity
from .window_upsampler import WindowUpsampler


class WindowSapa(Sapa, WindowUpsampler):
    """SAPA with a fixed window as the points: the base of SAPA-I and SAPA-B.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Ratio of upsampling. Defaults to 2.
        kernel_size (int): K, size of the window; positive and odd. Defaults to 5.
        pre_norm (bool): See :class:`Sapa`. Defaults to False.
        similarity_norm (str): Normalisation of the similarity, 'softmax', 'none', 'relu',
            'sigmoid' or 'softplus' (Table 10). Defaults to 'softmax'.
        groups (int): g, groups of channels with kernels of their own. Defaults to 1.

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        kernel_size: int = 5,
        pre_norm: bool = False,
        similarity_norm: str = 'softmax',
        groups: int = 1,
    ):
        super().__init__(in_channels, guide_channels, scale_factor, pre_norm)
        self.check_kernel_size(kernel_size=kernel_size)
        if similarity_norm not in SIMILARITY_NORMS:
            known = ', '.join(SIMILARITY_NORMS)
            self.fail(f'similarity_norm must be one of {known}, got {similarity_norm!r}')
        self.check_groups(in_channels, groups=groups)
        self.kernel_size = kernel_size
        self.groups = groups
        self.similarity_norm = similarity_norm

    def embed(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Query (N, g*D, H, W) from the guide and key (N, g*D, h, w) from x."""
        return guide, x

    def generate_weights(self, x: Tensor, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """See :meth:`WindowUpsampler.generate_weights`."""
        query, key = self.embed(self.norm_x(x), self.norm_guide(guide))
        # Groups as images.
        query, key = (t.unflatten(1, (self.groups, -1)).flatten(0, 1) for t in (query, key))
        similarity = window_similarity(query, key, self.kernel_size)
        weight = normalize_similarity(similarity, self.similarity_norm, dim=1)
        return weight.unflatten(0, (-1, self.groups)).flatten(1, 2)
