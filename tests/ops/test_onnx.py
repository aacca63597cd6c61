"""The translations to ONNX, each one graph for all sizes, against the float64 oracle."""

import itertools
from dataclasses import replace

import pytest
import sapa_ops
import torch

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from sapa_ops.onnx import TRANSLATIONS

from ..support.onnx_graph import run_as_onnx
from ..support.operators import OPERATORS, SIZES, Case, make_inputs, solve

EXAMPLE = Case((3, 4), (5, 9))


@pytest.mark.parametrize(
    'options',
    [
        pytest.param(dict(groups=1), marks=pytest.mark.extended),
        dict(groups=3, kernel_size=5, points=4),
    ],
)
@pytest.mark.parametrize('operator', OPERATORS)
def test_all_sizes_in_one_graph(operator, options):
    def case(low, high):
        return Case(low, high, batch=2, channels=6, **options)

    tensors, settings = make_inputs(operator, case(EXAMPLE.low, EXAMPLE.high), torch.float32)
    run = run_as_onnx(
        lambda *t: getattr(sapa_ops, operator)(*t, *settings), tuple(tensors), TRANSLATIONS
    )
    for low, high in SIZES:
        solution = solve(operator, case(low, high), torch.float32)
        actual = run(*solution.tensors).double()
        torch.testing.assert_close(actual, solution.out, atol=2e-5, rtol=1e-4)

    for index, number in itertools.product(range(len(tensors)), ('nan', 'inf')):
        odd = replace(case((3, 4), (5, 7)), strays=((index, number),))
        solution = solve(operator, odd, torch.float32)
        # Samples come before products: of infinities, one makes NaN where the other does not.
        actual, wanted = (
            t.where(t.isfinite(), torch.nan) for t in (run(*solution.tensors), solution.out)
        )
        torch.testing.assert_close(actual.double(), wanted, atol=2e-5, rtol=1e-4, equal_nan=True)
