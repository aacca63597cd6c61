"""Upsamplers over selected points: they differ in points and weights."""

from torch import Tensor

from .base import Upsampler


class PointUpsampler(Upsampler):
    """Assembles points that each upsampled position selects, in groups of channels.

    Attributes:
        groups (int): g, groups of channels with points of their own.
    """

    groups: int

    def kernels(
        self, x: Tensor, guide: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Weights and points of all upsampled positions; what a subclass implements.

        Args:
            x (Tensor): (N, C, h, w).
            guide (Tensor, optional): (N, C', H, W), where the upsampler is guided.
            size (tuple[int, int]): H and W.

        Returns:
            tuple[Tensor, Tensor]: Weights (N, g, S, H, W) and offsets (N, g*S*2, H, W) from the
            low-res index, in low-res pixels; their channels run group, point, (x, y).
        """
        raise NotImplementedError
