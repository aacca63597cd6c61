"""Steps of a model that torch's exporter cannot translate to ONNX, as onnxscript functions.

A module of its own, since it imports onnxscript.
"""

from collections.abc import Callable

import sapa_ops.onnx
import torch
from onnxscript import opset18 as op


def adaptive_avg_pool2d(x, output_size):
    """``F.adaptive_avg_pool2d`` to any size; ONNX only has it for a single output value."""
    rows, columns = (
        _pooling_matrix(op.Shape(x, start=axis, end=axis + 1), size)
        for axis, size in zip((2, 3), output_size, strict=True)
    )
    return op.MatMul(op.MatMul(rows, x), op.Transpose(columns, perm=[1, 0]))


#: For ``custom_translation_table`` of ``torch.onnx.export``: these steps, and sapa_ops' operators.
TRANSLATIONS: dict[Callable, Callable] = {
    **sapa_ops.onnx.TRANSLATIONS,
    torch.ops.aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    torch.ops.aten._adaptive_avg_pool2d.default: adaptive_avg_pool2d,
}


def _pooling_matrix(side, out: int):
    """(out, side): row i averages from floor(i * side / out) to ceil((i + 1) * side / out)."""
    i = op.Constant(value_ints=list(range(out)))
    start = op.Div(op.Mul(i, side), out)
    end = op.Div(op.Add(op.Mul(op.Add(i, 1), side), out - 1), out)
    start, end = op.Unsqueeze(start, [1]), op.Unsqueeze(end, [1])
    last = op.Squeeze(side, [0])
    position = op.Range(op.Constant(value_int=0), last, op.Constant(value_int=1))
    position = op.Unsqueeze(position, [0])
    inside = op.And(op.GreaterOrEqual(position, start), op.Less(position, end))
    return op.Div(op.Cast(inside, to=1), op.Cast(op.Sub(end, start), to=1))
