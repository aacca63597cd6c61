"""The operators in plain PyTorch, for any device.

Kernels below autograd, so each has its gradients as operators; as functions that torch can
differentiate they are also the source of second derivatives by offsets, and of tangents.

Windows are computed tap by tap and sampled points a few positions at a time, so that they take
little more memory than inputs and output. float16 and bfloat16 are computed in float32 and rounded
once, at the end.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .geometry import children_exist, group_children, layout_of, lowres_index, ungroup_children

# Corners of sampled points take 4 * S times the memory of the output. This many elements are
# gathered at a time.
_CHUNK_ELEMENTS = 2**22

# Around the map whose points are sampled, as F.pad takes it: a pixel on each side for the corners
# just off the map, and one more before it for points outside: their corners, -2 and -1, are zeros.
_PADDING = (2, 1, 2, 1)


def window_similarity(
    query: Tensor,
    key: Tensor,
    kernel_size: int,
    groups: int = 1,
    softmax: bool = False,
    border: str = 'zeros',
) -> Tensor:
    """See ``sapa_ops.window_similarity``."""
    high_h, high_w = query.shape[2:]
    h, w = key.shape[2:]
    # Groups take part in the batch.
    queries, keys = (_compute(t).unflatten(1, (groups, -1)).flatten(0, 1) for t in (query, key))
    children = group_children(queries, h, w)
    taps = _window_taps(keys, kernel_size, border)
    logits = [(children * tap).sum(1).where(inside, 0) for tap, inside in taps]
    out = ungroup_children(torch.stack(logits, 1), high_h, high_w)
    out = out.softmax(1) if softmax else out
    return out.unflatten(0, (-1, groups)).flatten(1, 2).to(query.dtype).contiguous()


def window_assemble(
    weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1, border: str = 'zeros'
) -> Tensor:
    """See ``sapa_ops.window_assemble``."""
    high_h, high_w = weight.shape[2:]
    c, h, w = value.shape[1:]
    weights = _weights_of_children(weight, h, w, groups)
    out = None
    taps = _window_taps(_compute(value), kernel_size, border)
    for tap, (shifted, inside) in enumerate(taps):
        shifted = shifted.unflatten(1, (groups, c // groups))
        tap_weight = weights[:, :, tap : tap + 1].where(inside, 0)
        out = tap_weight * shifted if out is None else torch.addcmul(out, tap_weight, shifted)
    assert out is not None  # there is a tap
    return _finish(ungroup_children(out.flatten(1, 2), high_h, high_w), value)


def window_adjoint(
    weight: Tensor,
    high: Tensor,
    height: int,
    width: int,
    kernel_size: int,
    groups: int = 1,
    border: str = 'zeros',
) -> Tensor:
    """See ``sapa_ops.operators.WindowAdjoint``."""
    exist = children_exist(height, width, high.shape[2], high.shape[3], high.device)
    weights = _weights_of_children(weight, height, width, groups)
    children = group_children(_compute(high), height, width).unflatten(1, (groups, -1))
    last = kernel_size - 1
    out = None
    for tap in range(kernel_size**2):
        dy, dx = divmod(tap, kernel_size)
        # The sum over the children of a pixel goes to the pixel at the tap: the way back through
        # `_window_taps`.
        part = (weights[:, :, tap : tap + 1] * children).where(exist, 0).sum((4, 6))
        if border == 'shift':
            part = _unpad(part, kernel_size // 2, border)
        part = F.pad(part, (dx, last - dx, dy, last - dy))
        out = part if out is None else out + part
    assert out is not None  # there is a tap
    out = out if border == 'shift' else _unpad(out, kernel_size // 2, border)
    return _finish(out.flatten(1, 2), high)


def point_similarity(
    query: Tensor, key: Tensor, offset: Tensor, groups: int, softmax: bool = False
) -> Tensor:
    """See ``sapa_ops.point_similarity``."""
    points = _Points(key, offset, groups)

    def similarity(corners, query):
        samples = points.gather(corners) * corners.weight.flatten(3).unsqueeze(-1)
        samples = samples.unflatten(3, (-1, 4)).sum(4)
        return (samples * query.unsqueeze(3)).sum(-1).where(corners.inside.any(-1), 0)

    out = points.for_each(similarity, points.rows(query))
    out = out.softmax(3) if softmax else out
    return out.transpose(2, 3).unflatten(3, query.shape[2:]).to(query.dtype).contiguous()


def point_assemble(weight: Tensor, value: Tensor, offset: Tensor) -> Tensor:
    """See ``sapa_ops.point_assemble``."""
    points = _Points(value, offset, weight.shape[1])

    def weighted_sums(corners, weight):
        weight = (weight.unsqueeze(-1).where(corners.inside, 0) * corners.weight).flatten(3)
        return (weight.unsqueeze(-1) * points.gather(corners)).sum(3)

    out = points.for_each(weighted_sums, _compute(weight).flatten(3).transpose(2, 3))
    return _finish(out.transpose(2, 3).flatten(1, 2).unflatten(2, weight.shape[3:]), value)


def point_adjoint(weight: Tensor, high: Tensor, offset: Tensor, height: int, width: int) -> Tensor:
    """See ``sapa_ops.operators.PointAdjoint``."""
    low = high.new_zeros(*high.shape[:2], height, width)
    points = _Points(low, offset, weight.shape[1])
    rows = points.low_rows.flatten(0, 2)
    # In place, unless torch is to differentiate it.
    add = rows.index_add if torch.is_grad_enabled() else rows.index_add_
    for corners, weight_rows, high_rows in points.chunks(
        _compute(weight).flatten(3).transpose(2, 3), points.rows(high)
    ):
        factor = (weight_rows.unsqueeze(-1).where(corners.inside, 0) * corners.weight).flatten(3)
        values = factor.unsqueeze(-1) * high_rows.unsqueeze(3)
        rows = add(0, corners.row.flatten(), values.flatten(0, 3))
    left, _, top, _ = _PADDING
    padded = rows.view_as(points.low_rows).unflatten(2, (points.padded_height, -1))
    inside = padded[:, :, top : top + height, left : left + width]
    return _finish(inside.permute(0, 1, 4, 2, 3).flatten(1, 2), high)


def point_gradients(
    weight: Tensor, high: Tensor, low: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """See ``sapa_ops.operators.PointGradients``."""
    points = _Points(low, offset, weight.shape[1])

    def slopes(corners, weight, high):
        products = points.products(corners, high)
        weight = weight.where(corners.inside.any(-1), 0)
        by_weight, by_x, by_y = (
            (products * factor).sum(-1)
            for factor in (corners.weight, corners.slope_x, corners.slope_y)
        )
        return torch.stack([by_weight, weight * by_x, weight * by_y], -1)

    out = points.for_each(slopes, _compute(weight).flatten(3).transpose(2, 3), points.rows(high))
    weight_grad, *offset_grad = out.transpose(2, 3).unflatten(3, high.shape[2:]).unbind(-1)
    by_offset = torch.stack(offset_grad, 3).flatten(1, 3)
    return weight_grad.to(weight.dtype).contiguous(), _finish(by_offset, offset)


def _compute(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _finish(out: Tensor, like: Tensor) -> Tensor:
    """Round to the dtype of an input, in its layout."""
    return out.to(like.dtype).contiguous(memory_format=layout_of(like))


def _weights_of_children(weight: Tensor, h: int, w: int, groups: int) -> Tensor:
    """(N, G*K*K, H, W) to (N, G, K*K, h, my, w, mx)."""
    return group_children(_compute(weight), h, w).unflatten(1, (groups, -1))


def _window_taps(feature: Tensor, kernel_size: int, border: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the map shifted to each tap, (N, C, h, 1, w, 1).

    And where the tap reads it, (h, 1, w, 1): elsewhere a zero must not meet NaN or infinity.

    A map is padded, and each tap a view of it. A window that is shifted onto the map has its taps
    where the nearest has them that fits: views, which are padded.
    """
    inside = feature.new_ones(feature.shape[2:], dtype=torch.bool)
    padding = (kernel_size // 2,) * 4
    if border == 'zeros':
        feature, inside = F.pad(feature, padding), F.pad(inside, padding)
    elif border == 'replicate':
        feature = F.pad(feature, padding, 'replicate')
    h, w = (side - kernel_size + 1 for side in feature.shape[2:])
    for dy in range(kernel_size):
        for dx in range(kernel_size):
            rows, columns = slice(dy, dy + h), slice(dx, dx + w)
            tap = feature[:, :, rows, columns]
            if border == 'shift':
                tap = F.pad(tap, padding, 'replicate')
            on_map = inside[rows, columns] if border == 'zeros' else inside
            yield tap[:, :, :, None, :, None], on_map[:, None, :, None]


def _unpad(padded: Tensor, radius: int, border: str) -> Tensor:
    """The transpose of padding the last two dimensions, with zeros or else with their borders."""
    for _ in range(2):  # columns, then rows
        size = padded.shape[-1] - 2 * radius
        before, inside, after = padded.split((radius, size, radius), -1)
        if border != 'zeros':
            first, last = (side.sum(-1, keepdim=True) for side in (before, after))
            inside = inside + F.pad(first, (0, size - 1)) + F.pad(last, (size - 1, 0))
        padded = inside.mT
    return padded


class _Corners(NamedTuple):
    """The four corners of the points of P positions, (N, G, P, S, 4) each.

    Attributes:
        row (Tensor): Where a corner lies in the rows of all padded low-res maps.
        inside (Tensor): Whether it is on the map.
        weight (Tensor): Its bilinear weight.
        slope_x (Tensor): The derivative of the weight by x.
        slope_y (Tensor): By y.
    """

    row: Tensor
    inside: Tensor
    weight: Tensor
    slope_x: Tensor
    slope_y: Tensor


class _Points:
    """The sampled points of all positions, on a low-res map (N, G*D, h, w).

    Args:
        low (Tensor): (N, G*D, h, w).
        offset (Tensor): (N, G*S*2, H, W).
        groups (int): G.
    """

    def __init__(self, low: Tensor, offset: Tensor, groups: int):
        self.groups = groups
        self.height, self.width = low.shape[2:]
        self.padded_height = self.height + sum(_PADDING[2:])
        self.low_rows = self.rows(F.pad(low, _PADDING))
        x, y = _compute(offset).unflatten(1, (groups, -1, 2)).unbind(3)
        x = x + lowres_index(self.width, offset.shape[3], offset.device)
        y = y + lowres_index(self.height, offset.shape[2], offset.device)[:, None]
        self.x, self.y = (t.flatten(3).transpose(2, 3) for t in (x, y))  # (N, G, H*W, S)

    def rows(self, feature: Tensor) -> Tensor:
        """(N, G*D, h, w) to (N, G, h*w, D): a row for each position, which a gather copies."""
        rows = _compute(feature).unflatten(1, (self.groups, -1)).flatten(3)
        return rows.transpose(2, 3).contiguous()

    def gather(self, corners: _Corners) -> Tensor:
        """The map at the corners, (N, G, P, S*4, D); 0 in the padding."""
        n, groups, positions, points, _ = corners.row.shape
        channels = self.low_rows.shape[3]
        gathered = self.low_rows.flatten(0, 2).index_select(0, corners.row.flatten())
        return gathered.view(n, groups, positions, points * 4, channels)

    def products(self, corners: _Corners, high_rows: Tensor) -> Tensor:
        """Inner products of P high-res rows (N, G, P, D) with the corners, (N, G, P, S, 4)."""
        products = (self.gather(corners) * high_rows.unsqueeze(3)).sum(-1)
        return products.view_as(corners.row).where(corners.inside, 0)

    def chunks(self, *high_rows: Tensor) -> Iterator[tuple]:
        """Yield a few positions at a time: their corners and their high-res rows (N, G, P, ...).

        All at once where torch is to differentiate: it would keep each chunk.
        """
        positions = self.x.shape[2]
        gathered = 4 * self.x.shape[3] * self.low_rows.shape[0] * self.low_rows.shape[1]
        chunk = max(_CHUNK_ELEMENTS // max(gathered * self.low_rows.shape[3], 1), 1)
        chunk = positions if torch.is_grad_enabled() else chunk
        for start in range(0, positions, chunk):
            x, y, *rows = (t[:, :, start : start + chunk] for t in (self.x, self.y, *high_rows))
            yield self._corners(x, y), *rows

    def for_each(self, function, *high_rows: Tensor) -> Tensor:
        """Call a function with each chunk, and return its results for all, (N, G, H*W, ...).

        Results are copied to their place at once. If kept until the end, they would fill the gaps
        that the gathered corners of a chunk leave, and the heap would grow by those corners with
        every chunk.
        """
        if torch.is_grad_enabled():
            return torch.cat([function(*chunk) for chunk in self.chunks(*high_rows)], 2)
        out, start = None, 0
        for chunk in self.chunks(*high_rows):
            part = function(*chunk)
            if out is None:
                out = part.new_empty(*self.x.shape[:3], *part.shape[3:])
            out[:, :, start : start + part.shape[2]] = part
            start += part.shape[2]
        assert out is not None  # there is a position
        return out

    def _corners(self, x: Tensor, y: Tensor) -> _Corners:
        """A NaN in one coordinate is NaN in both, and reads the map's first pixels."""
        h, w = self.height, self.width
        n, groups = x.shape[:2]
        nan = torch.zeros_like(x).masked_fill(x.isnan() | y.isnan(), torch.nan)
        x, y = x + nan, y + nan
        outside = (y <= -1) | (y >= h) | (x <= -1) | (x >= w)
        x, y = x.masked_fill(outside, -2), y.masked_fill(outside, -2)
        left, top = x.detach().floor(), y.detach().floor()
        column, row = (t.nan_to_num().long().unsqueeze(-1) for t in (left, top))
        x, y, left, top = (t.unsqueeze(-1) for t in (x, y, left, top))
        # Top left, top right, bottom left, bottom right.
        corner = torch.arange(4, device=x.device)
        right, below = corner % 2, corner // 2
        column, row = column + right, row + below
        sign_x, sign_y = (2 * t - 1 for t in (right, below))
        weight_x = (1 - right) + sign_x * (x - left)
        weight_y = (1 - below) + sign_y * (y - top)
        size = self.low_rows.shape[2]
        first = torch.arange(n * groups, device=x.device).view(n, groups, 1, 1, 1) * size
        before, _, above, _ = _PADDING
        return _Corners(
            row=first + (row + above) * (size // self.padded_height) + column + before,
            inside=(row >= 0) & (row < h) & (column >= 0) & (column < w),
            weight=weight_y * weight_x,
            slope_x=weight_y * sign_x,
            slope_y=weight_x * sign_y,
        )
