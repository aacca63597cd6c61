"""Kernels: which low-res points an upsampled position takes, and how much of each."""

from dataclasses import dataclass

import numpy as np
import torch
from sapa_ops.geometry import lowres_index
from torch import Tensor

from ..upsamplers import UPSAMPLERS, PointUpsampler, Upsampler, WindowUpsampler


@dataclass(frozen=True)
class Kernel:
    """The kernel of one upsampled position.

    Attributes:
        points (np.ndarray): (S, 2), x and y in low-res pixels; of all groups.
        weights (np.ndarray): (S,), each group's weights divided by the number of groups.
    """

    points: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Kernels:
    """The kernels of all upsampled positions of an image.

    Attributes:
        weights (Tensor): (g, S, H, W), of S points in each group of channels.
        offsets (Tensor): (g, S, 2, H, W), x and y from the low-res index, in low-res pixels;
            broadcastable, (1, S, 2, 1, 1) for a window.
        rows (Tensor): (H,), low-res index of each row.
        columns (Tensor): (W,), low-res index of each column.
    """

    weights: Tensor
    offsets: Tensor
    rows: Tensor
    columns: Tensor

    def at(self, row: int, column: int) -> Kernel:
        """The kernel of one position."""
        groups, taps, *size = self.weights.shape
        offsets = self.offsets.expand(groups, taps, 2, *size)[..., row, column]
        centre = torch.stack([self.columns[column], self.rows[row]])
        weights = self.weights[..., row, column] / groups
        return Kernel((centre + offsets).flatten(0, 1).numpy(), weights.flatten().numpy())

    def effective_points(self) -> Tensor:
        """How many points each position draws on, (H, W), the mean of the groups.

        The exponential of the entropy of the absolute weights: 1 where one point has all the
        weight, S where all have the same.
        """
        share = self.weights.abs()
        share = share / share.sum(1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)
        return torch.special.entr(share).sum(1).exp().mean(0)

    def reach(self) -> Tensor:
        """Mean distance of the points from the low-res index, (H, W), in low-res pixels."""
        return self.offsets.norm(dim=2).mean((0, 1)).expand(self.weights.shape[2:])


@torch.no_grad()
def find_kernels(upsampler: Upsampler, x: Tensor, guide: Tensor | None = None) -> Kernels:
    """Computes the kernels of the first image of a batch.

    Args:
        upsampler (Upsampler): One over a window, or over points.
        x (Tensor): Low-res feature (N, C, h, w).
        guide (Tensor, optional): High-res feature (N, C', H, W). Defaults to None.

    Returns:
        Kernels: In float32, on the CPU. FADE's are those before its gate. Where DySample resizes
        its result to a size that is no multiple, those of the nearest position.

    Raises:
        TypeError: If the upsampler has no kernels.
    """
    x, guide = x[:1], None if guide is None else guide[:1]
    low, scale = x.shape[2:], upsampler.scale_factor
    size = tuple(side * scale for side in low) if guide is None else tuple(guide.shape[2:])
    if isinstance(upsampler, WindowUpsampler):
        weights = upsampler.generate_weights(x, guide, size)[0].unflatten(0, (upsampler.groups, -1))
        offsets = _window(upsampler.kernel_size)
    elif isinstance(upsampler, PointUpsampler):
        weights, offsets = (kernels[0] for kernels in upsampler.kernels(x, guide, size))
        offsets = offsets.unflatten(0, (*weights.shape[:2], 2))
    else:
        kinds = ', '.join(kind.__name__ for kind in UPSAMPLERS.values() if has_kernels(kind))
        raise TypeError(f'{type(upsampler).__name__} has no kernels; those that have: {kinds}')
    own = weights.shape[2:]
    rows, columns = (_places(*sides, scale) for sides in zip(own, size, strict=True))
    low_rows, low_columns = (lowres_index(*sides) for sides in zip(low, own, strict=True))
    if offsets.shape[3:] == own:
        offsets = offsets[..., rows, :][..., columns]
    return Kernels(
        weights=weights[..., rows, :][..., columns].float().cpu(),
        offsets=offsets.float().cpu(),
        rows=low_rows[rows],
        columns=low_columns[columns],
    )


def has_kernels(kind: type[Upsampler]) -> bool:
    """Tells whether :func:`find_kernels` takes upsamplers of a class."""
    return issubclass(kind, (WindowUpsampler, PointUpsampler))


def kernel_at(
    upsampler: Upsampler, x: Tensor, guide: Tensor | None, row: int, column: int
) -> Kernel:
    """Computes the kernel of one upsampled position; see :func:`find_kernels`.

    Args:
        upsampler (Upsampler): One over a window, or over points.
        x (Tensor): Low-res feature (1, C, h, w).
        guide (Tensor, optional): High-res feature (1, C', H, W).
        row (int): Row of the position, in [0, H).
        column (int): Its column, in [0, W).

    Returns:
        Kernel: Points and weights.

    Raises:
        TypeError: If the upsampler has no kernels.
    """
    return find_kernels(upsampler, x, guide).at(row, column)


def _window(kernel_size: int) -> Tensor:
    """(x, y) of a window's taps, (1, K*K, 2, 1, 1), row by row, then column by column."""
    taps = torch.arange(kernel_size) - kernel_size // 2
    window = torch.stack(torch.meshgrid(taps, taps, indexing='xy'), -1)
    return window.view(1, -1, 2, 1, 1)


def _places(own: int, wanted: int, scale: int) -> Tensor:
    """Where the positions of the output lie among an upsampler's own, which it crops or resizes."""
    if 0 <= own - wanted < scale:
        return torch.arange(wanted)
    return lowres_index(own, wanted)
