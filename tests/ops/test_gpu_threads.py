"""The code of the GPU's threads, run on the CPU, against the CPU's kernels and the oracle.

Everything but the launch itself: which thread does what, loads of 16 bytes, sums shared by threads.
"""

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sapa_ops import backend_for, build
from sapa_ops.checks import BORDERS
from sapa_ops.schemas import define_schemas

from ..support.operators import (
    DIRECT,
    OPERATORS,
    TOLERANCES,
    assert_close,
    cases,
    direct,
    run_direct,
    solve,
)
from ..support.pairs import in_both_tiers, parametrize_pairs

SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (2, 3)),
    ((3, 4), (6, 8)),
    ((2, 3), (6, 9)),
    ((3, 2), (12, 8)),
    ((5, 4), (7, 9)),
    ((22, 3), (43, 6)),
    ((12, 5), (20, 13)),
]

# Of all groups together: whole 16-byte loads for every dtype, for some, for none.
CHANNELS = [(64, 1), (48, 3), (12, 1), (6, 2), (7, 1)]


# As long as this lives, so do the operators.
LIBRARY = define_schemas('sapa_ops_threads')


@pytest.fixture(scope='module')
def threads():
    """torch.ops.sapa_ops_threads."""
    unavailable = backend_for(torch.zeros(1)).unavailable
    if 'compiled' in unavailable:
        pytest.skip(unavailable['compiled'])
    for tool in ('c++', 'ninja'):
        if shutil.which(tool) is None:
            pytest.skip(f'compiling these threads needs {tool}')
    from torch.utils import cpp_extension

    cpp_extension.load(
        name='sapa_ops_threads',
        sources=[str(Path(__file__).with_name('gpu_threads_on_cpu.cpp'))],
        extra_cflags=[*build.settings(('cpu',))['cxx'], '-O1'],
        extra_include_paths=[str(build.csrc())],
        is_python_module=False,
    )
    return torch.ops.sapa_ops_threads


for_maps = parametrize_pairs(
    product=False,
    low__high=SIZES,
    channels__groups=CHANNELS,
    dtype=TOLERANCES,
    layout=[torch.contiguous_format, torch.channels_last],
    strays=[(), ('nan', 'inf')],
)


def rand(*shape, dtype, layout, strays):
    generator = torch.Generator().manual_seed(sum(shape))
    tensor = torch.randn(*shape, generator=generator, dtype=torch.float64).mul(0.5).to(dtype)
    for number in strays:
        tensor.view(-1)[torch.randint(tensor.numel(), (), generator=generator)] = float(number)
    return tensor.contiguous(memory_format=layout) if len(shape) == 4 else tensor


def assert_same(got, wanted, dtype):
    assert got.stride() == wanted.stride()
    assert got.dtype == wanted.dtype
    tolerance = TOLERANCES[dtype]
    largest = wanted.nan_to_num(0, 0, 0).abs().max().item()
    torch.testing.assert_close(
        got, wanted, atol=tolerance * (1 + largest), rtol=tolerance, equal_nan=True
    )


@for_maps
def test_window_operators(threads, low, high, channels, groups, dtype, layout, strays):
    ops, kind = torch.ops.sapa_ops_compiled, dict(dtype=dtype, layout=layout, strays=strays)
    borders = itertools.product((1, 3, 5, 7, 9), BORDERS)
    for kernel_size, border in borders:
        if border == 'shift' and min(low) < kernel_size:
            continue
        taps = groups * kernel_size**2
        x = rand(2, channels, *low, **kind)
        y = rand(2, channels, *high, **kind)
        weight = rand(2, taps, *high, **kind)
        for name, arguments in (
            ('window_similarity', (y, x, kernel_size, groups, False, border)),
            ('window_similarity', (y, x, kernel_size, groups, True, border)),
            ('window_assemble', (weight, x, kernel_size, groups, border)),
            ('window_adjoint', (weight, y, *low, kernel_size, groups, border)),
        ):
            wanted = getattr(ops, name)(*arguments)
            assert_same(getattr(threads, name)(*arguments), wanted, dtype)


@for_maps
def test_point_operators(threads, low, high, channels, groups, dtype, layout, strays):
    ops, kind = torch.ops.sapa_ops_compiled, dict(dtype=dtype, layout=layout, strays=strays)
    x = rand(2, channels, *low, **kind)
    y = rand(2, channels, *high, **kind)
    weight = rand(2, groups, 3, *high, **kind)
    offset = rand(2, groups * 6, *high, **kind) * 3
    for name, arguments in (
        ('point_similarity', (y, x, offset, groups)),
        ('point_similarity', (y, x, offset, groups, True)),
        ('point_assemble', (weight, x, offset)),
        ('point_adjoint', (weight, y, offset, *low)),
        ('point_gradients', (weight, y, x, offset)),
    ):
        got, wanted = getattr(threads, name)(*arguments), getattr(ops, name)(*arguments)
        if torch.is_tensor(got):
            got, wanted = (got,), (wanted,)
        for one, other in zip(got, wanted, strict=True):
            assert_same(one, other, dtype)


@in_both_tiers
@pytest.mark.parametrize('operator', DIRECT)
def test_values_match_the_oracle(threads, operator, examples):
    @settings(max_examples=examples)
    @given(cases(), st.sampled_from(list(TOLERANCES)))
    def holds(case, dtype):
        if operator in OPERATORS:  # with softmax, too
            known = solve(operator, case, dtype)
            outs, expected = (
                [getattr(threads, operator)(*known.tensors, *known.options)],
                [known.out],
            )
        else:
            arguments, expected = direct(operator, case, dtype)
            outs = run_direct(operator, arguments, namespace='sapa_ops_threads')
        for out, wanted in zip(outs, expected, strict=True):
            if operator not in OPERATORS:  # of infinities, the order of a sum makes one or NaN
                out, wanted = (t.where(t.isfinite(), torch.nan) for t in (out, wanted))
            assert_close(out, wanted, dtype)

    holds()
