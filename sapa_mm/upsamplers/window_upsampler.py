"""Upsamplers over a fixed window: they differ in the weights that they generate."""

from sapa_ops import window_assemble
from torch import Tensor

from .base import Upsampler


class WindowUpsampler(Upsampler):
    """Assembles the K×K window around each upsampled position by generated weights.

    Attributes:
        kernel_size (int): K.
        groups (int): Groups of channels with kernels of their own.
    """

    kernel_size: int
    groups: int = 1

    def generate_weights(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Kernels of all upsampled positions; what a subclass implements.

        Args:
            x (Tensor): (N, C, h, w).
            guide (Tensor, optional): (N, C', H, W), where the upsampler is guided.
            size (tuple[int, int]): H and W.

        Returns:
            Tensor: (N, groups*K*K, H, W); taps run row by row, then column by column.
        """
        raise NotImplementedError

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See :meth:`Upsampler.forward`."""
        weight = self.generate_weights(x, guide, size)
        return window_assemble(weight, x, self.kernel_size, self.groups)
