"""Kernels: the low-res points that an upsampled position is computed from, and their weights."""

from dataclasses import dataclass

import numpy as np
import torch
from sapa_ops.geometry import lowres_index
from torch import Tensor

from ..upsamplers import UPSAMPLERS, IndexNet, PointUpsampler, Upsampler, WindowUpsampler
from ..upsamplers.resize import whole_side
from .model_run import Call


@dataclass(frozen=True)
class Kernel:
    """The kernel of one upsampled position.

    Attributes:
        points (np.ndarray): x and y in low-res pixels of the points of all groups, (S, 2).
        weights (np.ndarray): (S,), the weights of each group divided by the number of groups.
    """

    points: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Kernels:
    """The kernels of all upsampled positions of an image.

    Attributes:
        weights (Tensor): Weights of S points in each of g groups of channels, (g, S, H, W).
        offsets (Tensor): x and y of the points relative to the low-res index, in low-res pixels,
            (g, S, 2, H, W) or broadcastable to it: (1, S, 2, 1, 1) for a window.
        rows (Tensor): Low-res index of each row, (H,).
        columns (Tensor): Low-res index of each column, (W,).
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
        """Computes the effective number of points of each position, (H, W), the mean of the groups.

        This is the exponential of the entropy of the absolute weights: 1 where one point has all
        the weight, S where all have the same.
        """
        share = self.weights.abs()
        share = share / share.sum(1, keepdim=True).clamp(min=torch.finfo(share.dtype).tiny)
        return torch.special.entr(share).sum(1).exp().mean(0)

    def mean_distance(self) -> Tensor:
        """Mean distance of the points from the low-res index in low-res pixels, (H, W)."""
        return self.offsets.norm(dim=2).mean((0, 1)).expand(self.weights.shape[2:])


@torch.no_grad()
def compute_kernels(upsampler: Upsampler, x: Tensor, guide: Tensor | None = None) -> Kernels:
    """Computes the kernels of the first image of a batch.

    Args:
        upsampler (Upsampler): An upsampler over a window or over points.
        x (Tensor): Low-res feature (N, C, h, w).
        guide (Tensor, optional): High-res feature (N, C', H, W). Defaults to None.

    Returns:
        Kernels: In float32, on the CPU. FADE's are those before its gate. Where DySample resizes
        its result to a size that is not a multiple, each position has the kernel of the nearest.

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
        names = class_names(WindowUpsampler, PointUpsampler)
        raise TypeError(f'{type(upsampler).__name__} has no kernels; those that have: {names}')
    full = weights.shape[2:]
    rows, columns = (_full_index(*sides, scale) for sides in zip(low, full, size, strict=True))
    low_rows, low_columns = (lowres_index(*sides) for sides in zip(low, full, strict=True))
    if offsets.shape[3:] == full:
        offsets = offsets[..., rows, :][..., columns]
    return Kernels(
        weights=weights[..., rows, :][..., columns].float().cpu(),
        offsets=offsets.float().cpu(),
        rows=low_rows[rows],
        columns=low_columns[columns],
    )


def has_kernels(kind: type[Upsampler]) -> bool:
    """Tells whether ``compute_kernels`` takes upsamplers of a class."""
    return issubclass(kind, (WindowUpsampler, PointUpsampler))


def class_names(*bases: type[Upsampler]) -> str:
    """Lists the names of the registered upsamplers that have one of the base classes."""
    return ', '.join(kind.__name__ for kind in UPSAMPLERS.values() if issubclass(kind, bases))


def kernel_map(call: Call) -> tuple[np.ndarray, str] | None:
    """Describes the kernel at each position by one number.

    Args:
        call (Call): A call of an upsampler.

    Returns:
        tuple[np.ndarray, str] | None: The map (H, W) and its title: for kernels of several points
        their effective number (few at a boundary that the kernel respects), for a single point its
        distance in low-res pixels, for IndexNet its index map. None for other upsamplers.
    """
    if isinstance(call.upsampler, IndexNet):
        return index_map(call), 'index map'
    if not has_kernels(type(call.upsampler)):
        return None
    kernels = compute_kernels(call.upsampler, call.x, call.guide)
    taps = kernels.weights.shape[1]
    if taps == 1:
        return kernels.mean_distance().numpy(), 'distance of the point'
    return kernels.effective_points().numpy(), f'effective points of {taps}'


def index_map(call: Call) -> np.ndarray:
    """IndexNet's index map (H, W), the mean of its channels."""
    values = call.upsampler.index_map(call.guide[:1], call.output.shape[2:])
    return values.detach()[0].mean(0).float().cpu().numpy()


def _window(kernel_size: int) -> Tensor:
    """x and y of a window's taps, (1, K*K, 2, 1, 1), row by row, then column by column."""
    taps = torch.arange(kernel_size) - kernel_size // 2
    window = torch.stack(torch.meshgrid(taps, taps, indexing='xy'), -1)
    return window.view(1, -1, 2, 1, 1)


def _full_index(low: int, full: int, size: int, scale: int) -> Tensor:
    """Index of each output position in the full result that the upsampler crops or resizes."""
    if full in (size, whole_side(low, size, scale)):
        return torch.arange(size)
    return lowres_index(low, size, refinement=scale)
