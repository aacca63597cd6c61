"""The kernel of a single upsampled position: which low-res points it takes, and how much."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from sapa_ops.geometry import lowres_index
from torch import Tensor

from ..upsamplers import SapaD, Upsampler
from ..upsamplers.window_sapa import WindowSapa


@dataclass(frozen=True)
class Kernel:
    """The kernel of one upsampled position.

    Attributes:
        points (np.ndarray): (S, 2), x and y in low-res pixels; of all groups.
        weights (np.ndarray): (S,), each group's weights divided by the number of groups.
    """

    points: np.ndarray
    weights: np.ndarray


@contextmanager
def record_inputs(upsampler: Upsampler) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Records what an upsampler is called with while the context is open.

    Args:
        upsampler (Upsampler): The upsampler, part of a model.

    Yields:
        list[tuple[Tensor, Tensor]]: (x, guide) of every call so far, detached.
    """
    calls = []
    handle = upsampler.register_forward_pre_hook(
        lambda _, inputs: calls.append(tuple(tensor.detach() for tensor in inputs))
    )
    try:
        yield calls
    finally:
        handle.remove()


@torch.no_grad()
def kernel_at(upsampler: Upsampler, x: Tensor, guide: Tensor, row: int, column: int) -> Kernel:
    """Computes the kernel of one upsampled position.

    Args:
        upsampler (Upsampler): SAPA-I, SAPA-B or SAPA-D.
        x (Tensor): Low-res feature (1, C, h, w).
        guide (Tensor): High-res feature (1, C', H, W).
        row (int): Row of the position, in [0, H).
        column (int): Its column, in [0, W).

    Returns:
        Kernel: Points and weights.

    Raises:
        TypeError: If the upsampler is none of SAPA.
    """
    (h, w), (high_h, high_w) = x.shape[2:], guide.shape[2:]
    centre = torch.stack([lowres_index(w, high_w)[column], lowres_index(h, high_h)[row]])
    if isinstance(upsampler, SapaD):
        weights, offsets = upsampler.kernels(x, guide, (high_h, high_w))
        weights = weights[0, :, :, row, column].flatten() / upsampler.groups
        offsets = offsets[0, :, row, column].view(-1, 2).cpu()
    elif isinstance(upsampler, WindowSapa):
        weights = upsampler.generate_weights(x, guide, (high_h, high_w))[0, :, row, column]
        weights = weights / upsampler.groups
        radius = upsampler.kernel_size // 2
        taps = torch.arange(-radius, radius + 1)
        window = torch.stack(torch.meshgrid(taps, taps, indexing='xy'), -1).view(-1, 2)
        offsets = window.repeat(upsampler.groups, 1)
    else:
        raise TypeError(f'upsampler must be one of SAPA, got {type(upsampler).__name__}')
    return Kernel((centre + offsets).float().numpy(), weights.float().cpu().numpy())
