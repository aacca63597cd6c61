"""The FLOPs of the operators, by torch's counter: two for each multiply-add."""

import pytest
import sapa_ops
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from ..support.operators import Case, make_inputs

# Two images, 9 channels in three groups of 3, 5 x 8 positions, 25 taps or 4 points.
CASE = Case((3, 4), (5, 8), batch=2, channels=9, groups=3, kernel_size=5, points=4)
POSITIONS = 2 * 5 * 8
MULTIPLY_ADDS = {
    'window_similarity': POSITIONS * 25 * 9,
    'window_assemble': POSITIONS * 25 * 9,
    # Each bilinear sample has four corners.
    'point_similarity': POSITIONS * 4 * 9 * (4 + 1),
    'point_assemble': POSITIONS * 4 * 9 * (4 + 1),
}


@pytest.mark.parametrize('operator', MULTIPLY_ADDS)
def test_each_multiply_add_counts_two(operator):
    tensors, options = make_inputs(operator, CASE)
    with FlopCounterMode(display=False) as counter:
        getattr(sapa_ops, operator)(*tensors, *options)
    assert counter.get_total_flops() == 2 * MULTIPLY_ADDS[operator]


@pytest.mark.parametrize('operator', MULTIPLY_ADDS)
def test_gradients(operator):
    """Each tensor's takes as many as the operator; those by weight and offset are computed once."""
    tensors, options = make_inputs(operator, CASE)
    tensors = [t.requires_grad_() for t in tensors]
    with FlopCounterMode(display=False) as counter:
        getattr(sapa_ops, operator)(*tensors, *options).sum().backward()
    backward = 2 if operator != 'point_similarity' else 3
    assert counter.get_total_flops() == 2 * MULTIPLY_ADDS[operator] * (1 + backward)


def test_tensors_without_values():
    with FakeTensorMode(), FlopCounterMode(display=False) as counter:
        weight = torch.empty(1, 25, 200, 300)
        sapa_ops.window_assemble(weight, torch.empty(1, 64, 100, 150), 5)
    assert counter.get_total_flops() == 2 * 64 * 200 * 300 * 25
