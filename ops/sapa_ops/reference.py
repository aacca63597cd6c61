"""The oracle: every operator as literal loops in float64.

Written to be read beside the paper, differentiable through autograd, slow, and never
dispatched to: the tests compare the other forms with it. It also defines
what NaN and infinities do: what lies outside the map is not read and counts 0 whatever its factor,
and everything else is multiplied as it is, even a corner of weight 0.
"""

import math
from fractions import Fraction

import torch
from torch import Tensor


def window_similarity(
    query: Tensor,
    key: Tensor,
    kernel_size: int,
    groups: int = 1,
    softmax: bool = False,
    border: str = 'zeros',
) -> Tensor:
    """Inner product of each query with the window of keys around its low-res position (Eq. 6)."""
    if groups > 1:
        each = zip(query.chunk(groups, 1), key.chunk(groups, 1), strict=True)
        parts = [window_similarity(q, k, kernel_size, 1, softmax, border) for q, k in each]
        return torch.cat(parts, 1)
    query, key = query.double(), key.double()
    _, _, high_h, high_w = query.shape
    n, _, h, w = key.shape

    def logit(i, j, y, x):
        if not _inside(y, x, h, w):
            return query.new_zeros(n)
        return (query[:, :, i, j] * key[:, :, y, x]).sum(1)

    def logits(i, j):
        taps = _window(i, j, query, key, kernel_size, border)
        return torch.stack([logit(i, j, y, x) for y, x in taps])

    similarity = _stack_map([[logits(i, j) for j in range(high_w)] for i in range(high_h)])
    return similarity.softmax(1) if softmax else similarity


def window_assemble(
    weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1, border: str = 'zeros'
) -> Tensor:
    """Weighted sum of the window of values around each low-res position (Eq. 2)."""
    weight, value = weight.double(), value.double()
    _, _, high_h, high_w = weight.shape
    n, c, h, w = value.shape
    taps = kernel_size * kernel_size

    def pixel(i, j, channel):
        group = channel // (c // groups)
        total = value.new_zeros(n)
        for tap, (y, x) in enumerate(_window(i, j, weight, value, kernel_size, border)):
            if _inside(y, x, h, w):
                total = total + weight[:, group * taps + tap, i, j] * value[:, channel, y, x]
        return total

    return _stack_map(
        [
            [torch.stack([pixel(i, j, channel) for channel in range(c)]) for j in range(high_w)]
            for i in range(high_h)
        ]
    )


def point_similarity(
    query: Tensor, key: Tensor, offset: Tensor, groups: int, softmax: bool = False
) -> Tensor:
    """Inner product of each query with the keys at its sampled points (Eq. 8)."""
    query, key, offset = query.double(), key.double(), offset.double()
    n, channels, high_h, high_w = query.shape
    d = channels // groups
    points = offset.shape[1] // (2 * groups)

    def logit(b, g, s, i, j):
        own = slice(g * d, (g + 1) * d)
        corners = [
            corner_weight * corner
            for corner_weight, corner in _corners(key[b, own], offset[b], g * points + s, i, j)
        ]
        # A point outside is not compared: it counts 0 even for a query that is not finite.
        return (query[b, own, i, j] * sum(corners)).sum() if corners else query.new_zeros(())

    logits = [
        logit(b, g, s, i, j)
        for b in range(n)
        for g in range(groups)
        for s in range(points)
        for i in range(high_h)
        for j in range(high_w)
    ]
    shape = (n, groups, points, high_h, high_w)
    similarity = torch.stack(logits).view(shape) if logits else query.new_zeros(shape)
    return similarity.softmax(2) if softmax else similarity


def point_assemble(weight: Tensor, value: Tensor, offset: Tensor) -> Tensor:
    """Weighted sum of the values at the sampled points of each position (Eq. 8)."""
    weight, value, offset = weight.double(), value.double(), offset.double()
    n, groups, points, high_h, high_w = weight.shape
    c = value.shape[1]
    per_group = c // groups

    def pixel(b, g, i, j):
        own = slice(g * per_group, (g + 1) * per_group)
        total = value.new_zeros(per_group)
        for s in range(points):
            for corner_weight, corner in _corners(value[b, own], offset[b], g * points + s, i, j):
                total = total + weight[b, g, s, i, j] * corner_weight * corner
        return total

    pixels = [
        pixel(b, g, i, j)
        for b in range(n)
        for i in range(high_h)
        for j in range(high_w)
        for g in range(groups)
    ]
    if not pixels:
        return value.new_zeros(n, c, high_h, high_w)
    return torch.cat(pixels).view(n, high_h, high_w, c).permute(0, 3, 1, 2)


def _low(i: int, low: int, high: int) -> int:
    """i // s for sizes that a stride s, rounding up, relates; else the nearest pixel's centre."""
    stride = math.ceil(high / low)
    if low == math.ceil(high / stride):
        return i // stride
    return math.floor((i + Fraction(1, 2)) * low / high)


def _inside(y: int, x: int, h: int, w: int) -> bool:
    return 0 <= y < h and 0 <= x < w


def _window(i: int, j: int, high: Tensor, low: Tensor, kernel_size: int, border: str):
    """Low-res positions of the taps of high-res (i, j), row by row, then column by column."""
    (h, w), (high_h, high_w) = low.shape[2:], high.shape[2:]
    for y in _taps(_low(i, h, high_h), h, kernel_size, border):
        for x in _taps(_low(j, w, high_w), w, kernel_size, border):
            yield y, x


def _taps(centre: int, size: int, kernel_size: int, border: str) -> list[int]:
    """The taps along an axis: with 'zeros', those before 0 and from the size on are outside."""
    start = centre - kernel_size // 2
    if border == 'shift':
        start = min(max(start, 0), size - kernel_size)
    taps = range(start, start + kernel_size)
    return [min(max(tap, 0), size - 1) for tap in taps] if border == 'replicate' else list(taps)


def _corners(low: Tensor, offset: Tensor, point: int, i: int, j: int):
    """Bilinear weights and values (C,) around a sampled point: of the corners that lie on the map.

    A point outside the open (-1, size) has none. One whose offset is NaN is on the map, with
    weights NaN, for a diverged model must show; it reads the map's first pixels.
    """
    (_, h, w), (_, high_h, high_w) = low.shape, offset.shape
    x = _low(j, w, high_w) + offset[2 * point, i, j]
    y = _low(i, h, high_h) + offset[2 * point + 1, i, j]
    if x.isnan() or y.isnan():
        x, y = x + math.nan, y + math.nan
    if x <= -1 or x >= w or y <= -1 or y >= h:
        return
    left, top = (0 if t.isnan() else math.floor(t.item()) for t in (x, y))
    for corner_y, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
        for corner_x, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
            if _inside(corner_y, corner_x, h, w):
                yield weight_y * weight_x, low[:, corner_y, corner_x]


def _stack_map(rows: list) -> Tensor:
    """Nested [H][W] list of (C, N) tensors to (N, C, H, W)."""
    return torch.stack([torch.stack(row) for row in rows]).permute(3, 2, 0, 1)
