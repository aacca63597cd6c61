"""The operators as ONNX graphs, for ``torch.onnx.export(dynamo=True)``. Needs onnxscript.

Windows are gathered at low resolution, where all children of a pixel share one, and multiplied with
the children as matrices; points are sampled by ``GridSample``. Sizes are computed in the graph, so
that one graph serves all of them.
"""

import math
from collections.abc import Callable

import torch
from onnxscript import opset18 as op

OPSET = 18


def window_similarity(
    query,
    key,
    kernel_size: int,
    groups: int = 1,
    softmax: bool = False,
    border: str = 'zeros',
):
    """See ``sapa_ops.window_similarity``; groups are folded into the batch."""
    n, low, high = _side(query, 0), _sides(key), _sides(query)
    query, key = _fold_groups(query, groups), _fold_groups(key, groups)
    children = _group(query, low)
    rows = _window_rows(key, kernel_size, border)
    products = [
        _where(inside, op.MatMul(children, op.Transpose(row, perm=[0, 1, 2, 4, 3])))
        for row, inside in rows
    ]
    similarity = _ungroup(op.Concat(*products, axis=-1), low, high)
    similarity = op.Softmax(similarity, axis=1) if softmax else similarity
    return _reshape(similarity, n, groups * kernel_size**2, *high)


def window_assemble(weight, value, kernel_size: int, groups: int = 1, border: str = 'zeros'):
    """See ``sapa_ops.window_assemble``; groups are folded into the batch."""
    n, c, low, high = _side(value, 0), _side(value, 1), _sides(value), _sides(weight)
    weight, value = _fold_groups(weight, groups), _fold_groups(value, groups)
    children = _group(weight, low)
    out = None
    for dy, (row, inside) in enumerate(_window_rows(value, kernel_size, border)):
        first = dy * kernel_size
        weight_row = op.Slice(children, [first], [first + kernel_size], [4])
        part = op.MatMul(_where(inside, weight_row), row)
        out = part if out is None else op.Add(out, part)
    return _reshape(_ungroup(out, low, high), n, c, *high)


def point_similarity(query, key, offset, groups: int, softmax: bool = False):
    """See ``sapa_ops.point_similarity``."""
    n, high = _side(query, 0), _sides(query)
    query = _fold_groups(query, groups)
    samples, unsampled, instead = _samples(key, offset, groups)
    products = [op.ReduceSum(op.Mul(query, sample), [1], keepdims=1) for sample in samples]
    similarity = op.Where(unsampled, instead, op.Concat(*products, axis=1))
    similarity = op.Softmax(similarity, axis=1) if softmax else similarity
    return _reshape(similarity, n, groups, len(products), *high)


def point_assemble(weight, value, offset):
    """See ``sapa_ops.point_assemble``."""
    n, c, high = _side(value, 0), _side(value, 1), _sides(offset)
    groups, points = weight.shape[1], weight.shape[2]
    samples, unsampled, instead = _samples(value, offset, groups)
    weight = op.Where(unsampled, instead, _reshape(weight, -1, points, *high))
    out = None
    for s, sample in enumerate(samples):
        part = op.Mul(op.Slice(weight, [s], [s + 1], [1]), sample)
        out = part if out is None else op.Add(out, part)
    return _reshape(out, n, c, *high)


#: The ``custom_translation_table`` of ``torch.onnx.export``.
TRANSLATIONS: dict[Callable, Callable] = {
    getattr(torch.ops.sapa_ops, function.__name__).default: function
    for function in (window_similarity, window_assemble, point_similarity, point_assemble)
}


def _side(x, axis: int):
    return op.Shape(x, start=axis, end=axis + 1)


def _sides(x):
    return _side(x, 2), _side(x, 3)


def _reshape(x, *sides):
    """Reshape; a side is a number or a tensor of one, and -1 is inferred."""
    tensors = [op.Constant(value_ints=[s]) if isinstance(s, int) else s for s in sides]
    return op.Reshape(x, op.Concat(*tensors, axis=0))


def _range(side):
    return op.Range(op.Constant(value_int=0), op.Squeeze(side, [0]), op.Constant(value_int=1))


def _fold_groups(x, groups: int):
    """(N, G*C, h, w) to (N*G, C, h, w)."""
    if groups == 1:
        return x
    return _reshape(x, -1, op.Div(_side(x, 1), groups), *_sides(x))


def _has_ratio(low, high):
    """Whether ``low == ceil(high / s)`` for a whole s; see ``sapa_ops.geometry.lowres_index``."""
    return op.Equal(_ceil_div(high, _num_children(low, high)), low)


def _low_index(low, high):
    """See ``sapa_ops.geometry.lowres_index``."""
    position = _range(high)
    twice = op.Mul(op.Add(op.Mul(position, 2), 1), low)
    by_ratio = op.Div(position, _num_children(low, high))
    return op.Where(_has_ratio(low, high), by_ratio, op.Div(twice, op.Mul(high, 2)))


def _first_child(low, high):
    """The first high-res index of every low-res one."""
    position = _range(low)
    numerator = op.Add(op.Mul(op.Mul(position, high), 2), op.Sub(low, 1))
    by_ratio = op.Mul(position, _num_children(low, high))
    return op.Where(_has_ratio(low, high), by_ratio, op.Div(numerator, op.Mul(low, 2)))


def _ceil_div(a, b):
    return op.Div(op.Add(a, op.Sub(b, 1)), b)


def _num_children(low, high):
    """How many children a low-res index has at most."""
    return _ceil_div(high, low)


def _group(x, low):
    """(N, C, H, W) to (N, h, w, children, C); see ``sapa_ops.geometry.group_children``."""
    c, high = _side(x, 1), _sides(x)
    for axis in (0, 1):
        first = op.Unsqueeze(_first_child(low[axis], high[axis]), [1])
        child = op.Unsqueeze(_range(_num_children(low[axis], high[axis])), [0])
        index = op.Min(op.Add(first, child), op.Sub(high[axis], 1))
        # Two axes for one: low-res positions and their children.
        x = op.Gather(x, index, axis=2 + 2 * axis)
    x = op.Transpose(x, perm=[0, 2, 4, 3, 5, 1])
    return _reshape(x, _side(x, 0), *low, -1, c)


def _ungroup(x, low, high):
    """(N, h, w, children, C) to (N, C, H, W)."""
    children = [_num_children(*sides) for sides in zip(low, high, strict=True)]
    c = _side(x, 4)
    x = _reshape(x, _side(x, 0), *low, *children, c)
    x = op.Transpose(x, perm=[0, 5, 1, 3, 2, 4])
    sides = [op.Mul(side, many) for side, many in zip(low, children, strict=True)]
    x = _reshape(x, _side(x, 0), c, *sides)
    for axis in (0, 1):
        index = _low_index(low[axis], high[axis])
        child = op.Sub(_range(high[axis]), op.Gather(_first_child(low[axis], high[axis]), index))
        x = op.Gather(x, op.Add(op.Mul(index, children[axis]), child), axis=2 + axis)
    return x


def _window_rows(x, kernel_size: int, border: str) -> list:
    """The rows of the window around each pixel of (N, C, h, w), and which taps are on the map.

    (N, h, w, K, C) and (h, w, 1, K), or None for all of them. Elsewhere the rows are zeros, which
    must not meet NaN or infinity.
    """
    h, w = _sides(x)
    radius = kernel_size // 2
    x = op.Transpose(x, perm=[0, 2, 3, 1])
    if border == 'zeros':
        x = op.Pad(x, [0, radius, radius, 0, 0, radius, radius, 0], 0.0)

    def taps(size):
        """Where each pixel has its taps, (size, K): in the padded map, with zeros."""
        start = op.Sub(_range(size), 0 if border == 'zeros' else radius)
        if border == 'shift':
            start = op.Max(op.Min(start, op.Sub(size, kernel_size)), 0)
        tap = op.Constant(value_ints=list(range(kernel_size)))
        index = op.Add(op.Unsqueeze(start, [1]), op.Unsqueeze(tap, [0]))
        return op.Max(op.Min(index, op.Sub(size, 1)), 0) if border == 'replicate' else index

    def inside(index, size):
        return op.And(op.GreaterOrEqual(index, radius), op.Less(index, op.Add(size, radius)))

    row_taps, columns = taps(h), taps(w)
    shifted = op.Gather(x, columns, axis=2)
    rows = []
    for dy in range(kernel_size):
        index, on_map = op.Gather(row_taps, dy, axis=1), None
        if border == 'zeros':
            inside_rows = op.Unsqueeze(inside(index, h), [1, 2, 3])
            on_map = op.And(inside_rows, op.Unsqueeze(inside(columns, w), [0, 2]))
        rows.append((op.Gather(shifted, index, axis=1), on_map))
    return rows


def _where(inside, x):
    return x if inside is None else op.Where(inside, x, 0.0)


def _samples(low, offset, groups: int) -> tuple:
    """(N, C, h, w) at the points of each position, (N*G, C/G, H, W) for each point.

    And (N*G, S, H, W) where a point is not to be sampled, and what it counts then: 0 outside the
    map, whatever it is multiplied with, and NaN where its offset is.
    """
    points = offset.shape[1] // (2 * groups)
    sizes = zip(_sides(low), _sides(offset), strict=True)
    rows, columns = (op.Cast(_low_index(*sides), to=1) for sides in sizes)
    h, w = (op.Cast(side, to=1) for side in _sides(low))
    split = _reshape(offset, -1, points, 2, *_sides(offset))
    x = op.Add(op.Gather(split, 0, axis=2), columns)
    y = op.Add(op.Gather(split, 1, axis=2), op.Unsqueeze(rows, [1]))
    nan = op.Or(op.IsNaN(x), op.IsNaN(y))
    outside_x = op.Or(op.LessOrEqual(x, -1.0), op.GreaterOrEqual(x, w))
    outside_y = op.Or(op.LessOrEqual(y, -1.0), op.GreaterOrEqual(y, h))
    unsampled = op.Or(nan, op.Or(outside_x, outside_y))
    instead = op.Where(nan, op.Constant(value_float=math.nan), 0.0)
    # What GridSample makes of NaN and infinity is not specified.
    x, y = op.Where(unsampled, -2.0, x), op.Where(unsampled, -2.0, y)
    # -1 and 1 are the outer borders of the first and last pixels.
    x = op.Sub(op.Div(op.Add(op.Mul(x, 2.0), 1.0), w), 1.0)
    y = op.Sub(op.Div(op.Add(op.Mul(y, 2.0), 1.0), h), 1.0)
    grid = op.Concat(op.Unsqueeze(x, [-1]), op.Unsqueeze(y, [-1]), axis=-1)
    low = _fold_groups(low, groups)
    samples = [
        op.GridSample(
            low, op.Gather(grid, s, axis=1), mode='bilinear', padding_mode='zeros', align_corners=0
        )
        for s in range(points)
    ]
    return samples, unsampled, instead
