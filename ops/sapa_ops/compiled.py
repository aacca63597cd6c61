"""The compiled form: C++ for the CPU, CUDA C++ for the GPU, through ``torch.ops.sapa_ops``.

The library has the kernels, autograd and autocast. This module registers shapes and layouts of the
results, for torch.compile and torch.export, and multiply-adds, for torch's FLOP counter.
"""

import json
import math
import os
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_HERE = Path(__file__).parent

# The revision of what the operators compute; csrc/bindings/schemas.cpp has the same number.
_REVISION = 2


def _load() -> str | None:
    """Load the library; return what went wrong, or None."""
    override = os.environ.get('SAPA_OPS_LIBRARY')
    libraries = [Path(override)] if override else sorted(_HERE.glob('_C*.so'))
    if not libraries:
        return 'no library was built'
    try:
        torch.ops.load_library(str(libraries[0]))
    except OSError as error:
        why = error.__cause__ or error
        return f'{libraries[0]} cannot be loaded with torch {torch.__version__}: {why}'
    revision = getattr(torch.ops.sapa_ops, 'revision', lambda: 1)()
    if revision != _REVISION:
        return f'{libraries[0]} was built from other sources of sapa_ops, build it again'
    return None


def _read_build_record() -> dict[str, str]:
    record = _HERE / '_build.json'
    return json.loads(record.read_text()) if record.exists() else {}


# Once, at import: every operator asks, and torch.compile cannot trace the reading of a file.
_load_error = _load()
_why_not_built = _read_build_record()


def why_not(tensor: Tensor) -> str | None:
    """Tell why the compiled form cannot run on this tensor.

    Args:
        tensor (Tensor): An input of the operator.

    Returns:
        str | None: The reason, or None if it can run.
    """
    device = tensor.device.type
    if device not in ('cpu', 'cuda'):
        return f'it has kernels for cpu and cuda only, the tensor is on {device}'
    if _load_error is not None:
        reason = _why_not_built.get(device)
        return f'{_load_error}: {reason}' if reason else _load_error
    if device == 'cuda' and not _has_cuda:
        return _why_not_built.get('cuda', 'the library was built without CUDA')
    if tensor.dtype not in _DTYPES:
        return f'it has no kernel for {tensor.dtype}'
    return None


def window_similarity(query: Tensor, key: Tensor, kernel_size: int) -> Tensor:
    """See ``sapa_ops.window_similarity``."""
    return torch.ops.sapa_ops.window_similarity(query, key, kernel_size)


def window_assemble(weight: Tensor, value: Tensor, kernel_size: int, groups: int = 1) -> Tensor:
    """See ``sapa_ops.window_assemble``."""
    return torch.ops.sapa_ops.window_assemble(weight, value, kernel_size, groups)


def point_similarity(query: Tensor, key: Tensor, offset: Tensor, groups: int) -> Tensor:
    """See ``sapa_ops.point_similarity``."""
    return torch.ops.sapa_ops.point_similarity(query, key, offset, groups)


def point_assemble(weight: Tensor, value: Tensor, offset: Tensor) -> Tensor:
    """See ``sapa_ops.point_assemble``."""
    return torch.ops.sapa_ops.point_assemble(weight, value, offset)


def _empty_map(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Make a map in the layout of another: channels_last if its channels lie side by side.

    csrc/bindings/arguments.h has the same rule.
    """
    size, stride = like.shape, like.stride()
    side_by_side = size[1] > 1 and stride[1] == 1 and stride[3] >= size[1]
    layout = torch.channels_last if side_by_side else torch.contiguous_format
    return like.new_empty(size[0], channels, height, width).contiguous(memory_format=layout)


def _register_fakes() -> None:
    def fake(name):
        def register(function):
            def checked(*arguments, **options):
                devices = {str(t.device) for t in arguments if isinstance(t, Tensor)}
                if len(devices) > 1:
                    raise ValueError(f'{name}: tensors are on {" and ".join(sorted(devices))}')
                return function(*arguments, **options)

            torch.library.register_fake(name)(checked)

        return register

    @fake('sapa_ops::window_similarity')
    def _(query, key, kernel_size, groups=1):
        n, _, height, width = query.shape
        return query.new_empty(n, groups * kernel_size**2, height, width)

    @fake('sapa_ops::window_assemble')
    def _(weight, value, kernel_size, groups=1):
        return _empty_map(value, value.shape[1], *weight.shape[2:])

    @fake('sapa_ops::window_assemble_backward_value')
    def _(weight, high, height, width, kernel_size, groups=1):
        return _empty_map(high, high.shape[1], height, width)

    @fake('sapa_ops::point_similarity')
    def _(query, key, offset, groups):
        n, _, height, width = query.shape
        return query.new_empty(n, groups, offset.shape[1] // (2 * groups), height, width)

    @fake('sapa_ops::point_assemble')
    def _(weight, value, offset):
        return _empty_map(value, value.shape[1], *weight.shape[3:])

    @fake('sapa_ops::point_assemble_backward_value')
    def _(weight, high, offset, height, width):
        return _empty_map(high, high.shape[1], height, width)

    @fake('sapa_ops::point_assemble_backward_weight_offset')
    def _(weight, high, low, offset):
        weight_grad = weight.new_empty(weight.shape)
        return weight_grad, _empty_map(offset, *offset.shape[1:])


def _register_flop_formulas() -> None:
    """Two FLOPs for each multiply-add, as torch counts; a bilinear sample takes four of them."""
    ops = torch.ops.sapa_ops

    @register_flop_formula(ops.window_similarity)
    def _(query_shape, key_shape, kernel_size, groups=1, *, out_shape, **_):
        return 2 * math.prod(out_shape) * (query_shape[1] // groups)

    @register_flop_formula(ops.window_assemble)
    def _(weight_shape, value_shape, kernel_size, groups=1, *, out_shape, **_):
        return 2 * math.prod(out_shape) * kernel_size**2

    @register_flop_formula(ops.point_similarity)
    def _(query_shape, key_shape, offset_shape, groups, *, out_shape, **_):
        return 2 * math.prod(out_shape) * (query_shape[1] // groups) * (4 + 1)

    @register_flop_formula(ops.point_assemble)
    def _(weight_shape, value_shape, offset_shape, *, out_shape, **_):
        return 2 * math.prod(out_shape) * weight_shape[2] * (4 + 1)


_has_cuda = False
if _load_error is None:
    _register_fakes()
    _register_flop_formulas()
    _has_cuda = torch._C._dispatch_has_kernel_for_dispatch_key(
        'sapa_ops::window_similarity', 'CUDA'
    )
