"""The operators in plain PyTorch: any device, double backward, export.

Windows are computed tap by tap and sampled points a few positions at a time, so that they take
little more memory than inputs and output. float16 and bfloat16 are computed in float32 and rounded
once, at the end.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import group_children, is_recorded, lowres_index, ungroup_children

# Corners of sampled points take 4 * S times the memory of the output. The first number is how many
# elements are gathered at a time; beyond the second, backward gathers them again.
_CHUNK_ELEMENTS = 2**22
_MAX_KEPT_ELEMENTS = 2**26

# Around the map whose points are sampled, as F.pad takes it: a pixel on each side for the corners
# just off the map, and one more before it for points outside: their corners, -2 and -1, are zeros.
_PADDING = (2, 1, 2, 1)


def window_similarity(query: Tensor, key: Tensor, kernel_size: int) -> Tensor:
    """See ``sapa_ops.window_similarity``."""
    high_h, high_w = query.shape[2:]
    h, w = key.shape[2:]
    grouped = group_children(_compute(query), h, w)
    taps = _window_taps(_compute(key), kernel_size)
    logits = [(grouped * tap).sum(1).where(inside, 0) for tap, inside in taps]
    return ungroup_children(torch.stack(logits, 1), high_h, high_w).to(query.dtype)


def window_assemble(weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1) -> Tensor:
    """See ``sapa_ops.window_assemble``."""
    high_h, high_w = weight.shape[2:]
    c, h, w = value.shape[1:]
    # Grouped children with the channel groups split off: (N, G, K*K | C/G, h, my, w, mx).
    grouped = group_children(_compute(weight), h, w)
    grouped = grouped.unflatten(1, (groups, kernel_size**2))
    taps = _window_taps(_compute(value), kernel_size)
    out = None
    for tap, (shifted, inside) in enumerate(taps):
        shifted = shifted.unflatten(1, (groups, c // groups))
        tap_weight = grouped[:, :, tap : tap + 1].where(inside, 0)
        out = tap_weight * shifted if out is None else torch.addcmul(out, tap_weight, shifted)
    assert out is not None  # there is a tap
    return ungroup_children(out.flatten(1, 2), high_h, high_w).to(value.dtype)


def point_similarity(query: Tensor, key: Tensor, offset: Tensor, groups: int) -> Tensor:
    """See ``sapa_ops.point_similarity``."""

    def inner_products(corners, corner_weight, inside, query):
        products = (corners * query.unsqueeze(3)).sum(-1).view_as(corner_weight)
        return (products.where(inside, 0) * corner_weight).sum(-1)

    query_rows = _rows(_compute(query), groups)
    similarity = _gather_and_reduce(inner_products, _compute(key), offset, groups, query_rows)
    return similarity.transpose(2, 3).unflatten(3, query.shape[2:]).to(query.dtype)


def point_assemble(weight: Tensor, value: Tensor, offset: Tensor) -> Tensor:
    """See ``sapa_ops.point_assemble``."""

    def weighted_sums(corners, corner_weight, inside, weight):
        weight = (weight.unsqueeze(-1).where(inside, 0) * corner_weight).flatten(3)
        return (weight.unsqueeze(-1) * corners).sum(3)

    groups = weight.shape[1]
    weight_rows = _compute(weight).flatten(3).transpose(2, 3)
    out = _gather_and_reduce(weighted_sums, _compute(value), offset, groups, weight_rows)
    return out.transpose(2, 3).flatten(1, 2).unflatten(2, weight.shape[3:]).to(value.dtype)


def _compute(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _window_taps(feature: Tensor, kernel_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the map shifted to each tap, zero padded, as a view (N, C, h, 1, w, 1).

    And where the tap is on the map, (h, 1, w, 1): elsewhere a zero must not meet NaN or infinity.
    """
    h, w = feature.shape[2:]
    padding = (kernel_size // 2,) * 4
    padded = F.pad(feature, padding)
    inside = F.pad(feature.new_ones((h, w), dtype=torch.bool), padding)
    for dy in range(kernel_size):
        for dx in range(kernel_size):
            rows, columns = slice(dy, dy + h), slice(dx, dx + w)
            yield padded[:, :, rows, None, columns, None], inside[rows, None, columns, None]


def _rows(feature: Tensor, groups: int) -> Tensor:
    """(N, G*D, h, w) to (N, G, h*w, D): a row for each position, so that a gather copies rows."""
    return feature.unflatten(1, (groups, -1)).flatten(3).transpose(2, 3).contiguous()


def _gather_and_reduce(
    reduce: Callable, low: Tensor, offset: Tensor, groups: int, high_rows: Tensor
) -> Tensor:
    """Gather the four corners of every sampled point and reduce them, a few positions at a time.

    Args:
        reduce (Callable): Takes corners (N, G, P, S*4, D), 0 in the padding, their bilinear weights
            and whether they are on the map (N, G, P, S, 4), and P of the high-res rows; returns
            (N, G, P, ...).
        low (Tensor): (N, G*D, h, w).
        offset (Tensor): (N, G*S*2, H, W).
        groups (int): G.
        high_rows (Tensor): (N, G, H*W, ...).

    Returns:
        Tensor: (N, G, H*W, ...).
    """
    h, w = low.shape[2:]
    low_rows = _rows(F.pad(low, _PADDING), groups)
    x, y = _points(offset, groups, h, w)

    def step(low_rows, x, y, high_rows):
        index, corner_weight, inside = _corners(x, y, h, w)
        corners = low_rows.flatten(0, 2).index_select(0, index.flatten())
        corners = corners.view(*index.shape[:3], index.shape[3] * 4, low_rows.shape[-1])
        return reduce(corners, corner_weight, inside, high_rows)

    # The compiler plans memory itself, and a traced graph is for every size.
    if is_recorded():
        return step(low_rows, x, y, high_rows)
    gathered = 4 * x.shape[3] * low.shape[0] * low.shape[1]  # elements for one position
    chunk = max(_CHUNK_ELEMENTS // max(gathered, 1), 1)
    if gathered * x.shape[2] > _MAX_KEPT_ELEMENTS:
        return _InChunks.apply(step, chunk, low_rows, x, y, high_rows)
    chunks = zip(*(rows.split(chunk, 2) for rows in (x, y, high_rows)), strict=True)
    return torch.cat([step(low_rows, *positions) for positions in chunks], 2)


class _InChunks(torch.autograd.Function):
    """Call step(low_rows, *rows) with a few rows at a time, and again in backward.

    Results are copied to their place at once. If kept until the end, they would fill the gaps that
    the gathered corners of a chunk leave, and the heap would grow by those corners with every chunk
    (as it does with ``torch.utils.checkpoint`` for each chunk).
    """

    @staticmethod
    def forward(ctx, step: Callable, chunk: int, low_rows: Tensor, *rows: Tensor) -> Tensor:
        ctx.step, ctx.chunk = step, chunk
        ctx.save_for_backward(low_rows, *rows)
        out = None
        for start in range(0, rows[0].shape[2], chunk):
            part = step(low_rows, *(r[_chunk(start, chunk)] for r in rows))
            if out is None:
                out = part.new_empty(*rows[0].shape[:3], *part.shape[3:])
            out[_chunk(start, chunk)] = part
        assert out is not None  # there is a row
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        low_rows, *rows = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative needs the whole graph
            inputs = [t for t in ctx.saved_tensors if t.requires_grad]
            out = ctx.step(low_rows, *rows)
            grads = iter(torch.autograd.grad(out, inputs, grad, create_graph=True))
            all_grads = (next(grads) if t.requires_grad else None for t in ctx.saved_tensors)
            return None, None, *all_grads

        low_rows = low_rows.detach().requires_grad_()
        low_grad, *row_grads = (torch.zeros_like(t) for t in (low_rows, *rows))
        for start in range(0, rows[0].shape[2], ctx.chunk):
            positions = _chunk(start, ctx.chunk)
            parts = [r[positions].detach().requires_grad_() for r in rows]
            with torch.enable_grad():
                out = ctx.step(low_rows, *parts)
            low_part, *row_parts = torch.autograd.grad(out, (low_rows, *parts), grad[positions])
            low_grad += low_part
            for total, part in zip(row_grads, row_parts, strict=True):
                total[positions] = part
        return None, None, low_grad, *row_grads


def _chunk(start: int, length: int) -> tuple[slice, slice, slice]:
    return slice(None), slice(None), slice(start, start + length)


def _points(offset: Tensor, groups: int, h: int, w: int) -> tuple[Tensor, Tensor]:
    """x and y of every point in low-res pixels, (N, G, H*W, S) each."""
    high_h, high_w = offset.shape[2:]
    x, y = _compute(offset).unflatten(1, (groups, -1, 2)).unbind(3)
    x = x + lowres_index(w, high_w, offset.device)
    y = y + lowres_index(h, high_h, offset.device)[:, None]
    return x.flatten(3).transpose(2, 3), y.flatten(3).transpose(2, 3)


def _corners(x: Tensor, y: Tensor, h: int, w: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the corners around points (N, G, P, S), bilinear weights, and which are on the map.

    (N, G, P, S, 4) each. A NaN in one coordinate is NaN in both, and reads the map's first pixels.
    """
    n, groups = x.shape[:2]
    nan = torch.zeros_like(x).masked_fill(x.isnan() | y.isnan(), torch.nan)
    x, y = x + nan, y + nan
    outside = (y <= -1) | (y >= h) | (x <= -1) | (x >= w)
    x, y = x.masked_fill(outside, -2), y.masked_fill(outside, -2)
    left, top = x.detach().floor(), y.detach().floor()
    column, row = left.nan_to_num().long(), top.nan_to_num().long()
    before, after = _PADDING[:2]
    height, width = h + before + after, w + before + after
    map_start = torch.arange(n * groups, device=x.device).view(n, groups, 1, 1) * (height * width)
    indices, weights, insides = [], [], []
    for corner_y, weight_y in ((row, top + 1 - y), (row + 1, y - top)):
        start = map_start + (corner_y + before) * width + before
        for corner_x, weight_x in ((column, left + 1 - x), (column + 1, x - left)):
            indices.append(start + corner_x)
            weights.append(weight_y * weight_x)
            insides.append((corner_y >= 0) & (corner_y < h) & (corner_x >= 0) & (corner_x < w))
    return torch.stack(indices, -1), torch.stack(weights, -1), torch.stack(insides, -1)
