"""The operators in plain PyTorch: any device, double backward, export.

Taps and points are worked through one at a time, so that memory stays near that of inputs and
output. float16 and bfloat16 are computed in float32 and rounded once, at the end.
"""

import functools
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .geometry import group_children, lowres_index, ungroup_children

# Positions are sampled in chunks that stay in cache.
_CHUNK_ELEMENTS = 2**20
# Beyond this the sampled corners are recomputed in backward rather than kept: they take 4 * S
# times the memory of the output.
_MAX_KEPT_ELEMENTS = 2**26


def window_similarity(query: Tensor, key: Tensor, kernel_size: int) -> Tensor:
    """See :func:`sapa_ops.window_similarity`."""
    high_h, high_w = query.shape[2:]
    h, w = key.shape[2:]
    grouped = group_children(_compute(query), h, w)
    logits = [(grouped * tap).sum(1) for tap in _window_taps(_compute(key), kernel_size)]
    return ungroup_children(torch.stack(logits, 1), high_h, high_w).to(query.dtype)


def window_assemble(weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1) -> Tensor:
    """See :func:`sapa_ops.window_assemble`."""
    high_h, high_w = weight.shape[2:]
    c, h, w = value.shape[1:]
    # Grouped children with the channel groups split off: (N, G, K*K | C/G, h, my, w, mx).
    grouped = group_children(_compute(weight), h, w)
    grouped = grouped.unflatten(1, (groups, kernel_size**2))
    taps = _window_taps(_compute(value), kernel_size)
    out = None
    for tap, shifted in enumerate(taps):
        shifted = shifted.unflatten(1, (groups, c // groups))
        tap_weight = grouped[:, :, tap : tap + 1]
        out = tap_weight * shifted if out is None else torch.addcmul(out, tap_weight, shifted)
    return ungroup_children(out.flatten(1, 2), high_h, high_w).to(value.dtype)


def point_similarity(query: Tensor, key: Tensor, offset: Tensor, groups: int) -> Tensor:
    """See :func:`sapa_ops.point_similarity`."""

    def inner_product(query_rows, sample):
        return (query_rows * sample).sum(-1)

    query_rows = itertools.repeat(_rows(_compute(query), groups))
    logits = list(_combine_samples(inner_product, query_rows, _compute(key), offset, groups))
    return torch.stack(logits, 2).unflatten(3, query.shape[2:]).to(query.dtype)


def point_assemble(weight: Tensor, value: Tensor, offset: Tensor) -> Tensor:
    """See :func:`sapa_ops.point_assemble`."""
    point_weights = _compute(weight).flatten(3).unsqueeze(-1).unbind(2)
    groups = weight.shape[1]
    out = sum(_combine_samples(torch.mul, point_weights, _compute(value), offset, groups))
    return out.transpose(2, 3).flatten(1, 2).unflatten(2, weight.shape[3:]).to(value.dtype)


def _compute(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _window_taps(feature: Tensor, kernel_size: int):
    """Yields the map shifted to each tap, as a view (N, C, h, 1, w, 1), zero padded."""
    h, w = feature.shape[2:]
    padded = F.pad(feature, (kernel_size // 2,) * 4)
    for dy in range(kernel_size):
        for dx in range(kernel_size):
            yield padded[:, :, dy : dy + h, None, dx : dx + w, None]


def _rows(feature: Tensor, groups: int) -> Tensor:
    """(N, G*D, h, w) to (N, G, h*w, D): one row a position, so that a gather copies rows."""
    return feature.unflatten(1, (groups, -1)).flatten(3).transpose(2, 3).contiguous()


def _combine_samples(combine, high_rows, low: Tensor, offset: Tensor, groups: int):
    """Yields combine(high-res rows, samples of the low-res map) for every point.

    Args:
        combine (Callable): Takes (N, G, P, D or 1) and samples (N, G, P, D).
        high_rows (Iterable[Tensor]): (N, G, H*W, D or 1) for every point.
        low (Tensor): (N, G*D, h, w).
        offset (Tensor): (N, G*S*2, H, W).
        groups (int): G.
    """
    n, channels, h, w = low.shape
    low_rows = _rows(low, groups)
    xs, ys = _points(offset, groups, h, w)

    def step(rows, low_rows, x, y):
        return combine(rows, _sample(low_rows, x, y, h, w))

    run, chunk = step, xs[0].shape[2]
    if not torch.compiler.is_compiling():  # A compiler plans memory itself.
        chunk = max(_CHUNK_ELEMENTS // max(n * channels, 1), 1)
        corners = 4 * len(xs) * n * channels * xs[0].shape[2]
        if torch.is_grad_enabled() and corners > _MAX_KEPT_ELEMENTS:
            run = functools.partial(checkpoint, step, use_reentrant=False, preserve_rng_state=False)
    for point in zip(high_rows, xs, ys, strict=False):
        chunks = zip(*(tensor.split(chunk, 2) for tensor in point), strict=True)
        yield torch.cat([run(rows, low_rows, x, y) for rows, x, y in chunks], 2)


def _points(offset: Tensor, groups: int, h: int, w: int) -> tuple[tuple, tuple]:
    """x and y of every point: S tensors (N, G, H*W) each, in low-res pixels."""
    high_h, high_w = offset.shape[2:]
    x, y = _compute(offset).unflatten(1, (groups, -1, 2)).unbind(3)
    x = x + lowres_index(w, high_w, offset.device)
    y = y + lowres_index(h, high_h, offset.device)[:, None]
    return x.flatten(3).unbind(2), y.flatten(3).unbind(2)


def _sample(rows: Tensor, x: Tensor, y: Tensor, h: int, w: int) -> Tensor:
    """Bilinear samples (N, G, P, D) of rows (N, G, h*w, D) at x, y (N, G, P), zero padded."""
    n, groups, points = x.shape
    valid = (y > -1) & (y < h) & (x > -1) & (x < w)
    # Also keeps infinities and NaN away from the conversion to integers.
    x, y = x.where(valid, 0), y.where(valid, 0)
    left, top = x.detach().floor(), y.detach().floor()
    map_start = torch.arange(n * groups, device=rows.device).view(n, groups, 1) * (h * w)
    flat = rows.flatten(0, 2)
    out = None
    for corner_y, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        row = map_start + corner_y.clamp(0, h - 1).long() * w
        weight_y = weight_y * ((corner_y >= 0) & (corner_y < h) & valid)
        for corner_x, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            index = row + corner_x.clamp(0, w - 1).long()
            weight = weight_y * weight_x * ((corner_x >= 0) & (corner_x < w))
            corner = flat.index_select(0, index.flatten()).unflatten(0, (n, groups, points))
            weight = weight.unsqueeze(-1)
            out = weight * corner if out is None else torch.addcmul(out, weight, corner)
    return out
