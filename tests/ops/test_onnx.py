"""The translations to ONNX, each one graph for all sizes, against the float64 oracle."""

from dataclasses import replace

import pytest
import sapa_ops
import torch
from hypothesis import example, given, settings

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from sapa_ops.onnx import TRANSLATIONS

from ..support.onnx_graph import run_as_onnx
from ..support.operators import OPERATORS, SIZES, WINDOW, Case, cases, make_inputs, solve, with_room


@pytest.mark.parametrize(
    ('operator', 'options', 'examples'),
    [
        pytest.param(
            operator,
            dict(groups=1, kernel_size=3, points=3, softmax=False, border='zeros'),
            250,
            marks=pytest.mark.extended,
        )
        for operator in OPERATORS
    ]
    + [
        (operator, dict(groups=3, kernel_size=5, points=4, softmax=True, border='zeros'), 25)
        for operator in OPERATORS
    ]
    + [
        (operator, dict(channels=2, groups=2, kernel_size=3, softmax=False, border=border), 5)
        for operator in WINDOW[:2]
        for border in ('replicate', 'shift')
    ],
)
def test_all_sizes_in_one_graph(operator, options, examples):
    fixed = {'batch': 2, 'channels': 6, 'offsets': 'random', **options}
    tensors, settings_of_operator = make_inputs(
        operator, Case((3, 4), (5, 9), **fixed), torch.float32
    )
    run = run_as_onnx(
        lambda *t: getattr(sapa_ops, operator)(*t, *settings_of_operator),
        tuple(tensors),
        TRANSLATIONS,
    )

    def with_sizes(test):
        for low, high in SIZES:
            test = example(Case(low, high))(test)
        return test

    @settings(max_examples=examples)
    @with_sizes
    @given(cases())
    def holds(case):
        solution = solve(operator, with_room(replace(case, **fixed)), torch.float32)
        # Samples come before products: of infinities, one makes NaN where the other does not.
        actual, wanted = (
            t.where(t.isfinite(), torch.nan) for t in (run(*solution.tensors), solution.out)
        )
        torch.testing.assert_close(actual.double(), wanted, atol=2e-5, rtol=1e-4, equal_nan=True)

    holds()
