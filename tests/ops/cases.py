"""Inputs of the operator tests: every form is held against the oracle on these."""

from dataclasses import dataclass

import torch

OPERATORS = ('window_similarity', 'window_assemble', 'point_similarity', 'point_assemble')

# (h, w), (H, W): exact multiples, odd and uneven sizes, single pixels, the same size.
SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (2, 3)),
    ((2, 3), (4, 6)),
    ((3, 2), (9, 6)),
    ((2, 2), (8, 8)),
    ((3, 5), (3, 5)),
    ((4, 3), (7, 5)),
    ((5, 4), (7, 9)),
    ((6, 1), (11, 4)),
    ((2, 5), (5, 12)),
]

# Absolute and relative tolerance against the float64 oracle.
TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1.6e-2,
}


@dataclass(frozen=True)
class Case:
    """Sizes and options of one call."""

    low: tuple[int, int] = (3, 4)
    high: tuple[int, int] = (6, 8)
    batch: int = 2
    channels: int = 6
    kernel_size: int = 3
    groups: int = 2
    points: int = 3
    seed: int = 0


def make_inputs(operator, case, dtype=torch.float64):
    """Tensors and options of an operator; values are already rounded to dtype."""
    generator = torch.Generator().manual_seed(case.seed)

    def randn(*shape):
        # Scaled so that no sum over channels or taps leaves the range of float16.
        return torch.randn(*shape, generator=generator, dtype=torch.float64).mul(0.5).to(dtype)

    n, c, g, k, s = case.batch, case.channels, case.groups, case.kernel_size, case.points
    if operator == 'window_similarity':
        return (randn(n, c, *case.high), randn(n, c, *case.low)), (k,)
    if operator == 'window_assemble':
        return (randn(n, g * k * k, *case.high), randn(n, c, *case.low)), (k, g)
    # Reaches well outside the map.
    offset = randn(n, g * s * 2, *case.high) * 2 * max(case.low)
    if operator == 'point_similarity':
        return (randn(n, c, *case.high), randn(n, c, *case.low), offset), (g,)
    return (randn(n, g, s, *case.high), randn(n, c, *case.low), offset), ()


def relayout(tensor, layout):
    """The same values in another memory layout."""
    if layout == 'channels_last':
        if tensor.dim() == 5:
            return tensor.to(memory_format=torch.channels_last_3d)
        return tensor.to(memory_format=torch.channels_last)
    if layout == 'sliced':
        padded = torch.full((*tensor.shape[:-1], tensor.shape[-1] * 2), torch.nan).to(tensor)
        padded[..., ::2] = tensor
        return padded[..., ::2]
    if layout == 'expanded':
        return tensor[:1].expand_as(tensor)
    return tensor.contiguous()
