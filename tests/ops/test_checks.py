"""Bad input: the error names the argument, the given and the allowed value."""

import numpy as np
import pytest
import sapa_ops
import torch


def window_inputs(**changes):
    inputs = dict(weight=torch.zeros(2, 18, 4, 6), value=torch.zeros(2, 4, 2, 3))
    return {**inputs, 'kernel_size': 3, 'groups': 2, **changes}


def point_inputs(**changes):
    inputs = dict(
        query=torch.zeros(2, 4, 4, 6),
        key=torch.zeros(2, 4, 2, 3),
        offset=torch.zeros(2, 12, 4, 6),
        groups=2,
    )
    return {**inputs, **changes}


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(kernel_size=4), ValueError, 'kernel_size must be odd, got 4'),
        (dict(kernel_size=0), ValueError, 'kernel_size must be a positive odd integer, got 0'),
        (dict(kernel_size=-3), ValueError, 'kernel_size must be a positive odd integer, got -3'),
        (dict(kernel_size=3.0), ValueError, 'kernel_size must be a positive odd integer, got 3.0'),
        (dict(kernel_size=5), ValueError, r'weight must have 50 channels .*, got 18'),
        (dict(border='reflect'), ValueError, "one of zeros, replicate, shift, got 'reflect'"),
        (dict(border=np.array(['zeros'])), ValueError, 'border must be one of zeros'),
        (dict(border=1), ValueError, 'border must be one of zeros, replicate, shift, got 1'),
        (dict(border='shift'), ValueError, r'no smaller than kernel_size=3, got .* = \(2, 3\)'),
        (dict(groups=3), ValueError, 'value has 4 channels, not divisible by groups=3'),
        (dict(groups=0), ValueError, 'groups must be a positive integer, got 0'),
        (dict(value=torch.zeros(1, 4, 2, 3)), ValueError, 'weight with 2 and value with 1'),
        (dict(value=torch.zeros(2, 4, 5, 3)), ValueError, r'\(4, 6\) is smaller than value.*5, 3'),
        (dict(value=torch.zeros(4, 2, 3)), ValueError, r'value must have 4 dim.*\(4, 2, 3\)'),
        (dict(value=torch.zeros(2, 4, 0, 3)), ValueError, r'only the batch may be empty, value'),
        (dict(value=torch.zeros(2, 4, 2, 3).half()), TypeError, 'float32 and value torch.float16'),
        (dict(value=torch.zeros(2, 4, 2, 3).int()), TypeError, 'or float64, got torch.int32'),
        (dict(value=torch.zeros(2, 4, 2, 3).to(torch.float8_e5m2)), TypeError, 'torch.float8_e5m2'),
        (dict(value=torch.zeros(2, 4, 2, 3).to_sparse()), TypeError, 'got torch.sparse_coo'),
        (dict(value=torch.zeros(2, 4, 2, 3).to_mkldnn()), TypeError, 'got torch._mkldnn'),
        (dict(value=None), TypeError, 'value must be a dense tensor of .*, got NoneType'),
        (dict(value=torch.zeros(2, 4, 2, 3, device='meta')), ValueError, 'cpu and value on meta'),
    ],
)
def test_window_assemble(changes, error, message):
    with pytest.raises(error, match=f'^window_assemble: .*{message}'):
        sapa_ops.window_assemble(**window_inputs(**changes))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(key=torch.zeros(2, 6, 2, 3)), r'key must have 4 channels \(as query\), got 6'),
        (dict(groups=3), 'query has 4 channels, not divisible by groups=3'),
        (dict(offset=torch.zeros(2, 11, 4, 6)), 'offset must have 8 channels .* got 11'),
        (dict(offset=torch.zeros(2, 12, 4, 5)), r'offset must have the .* query, \(4, 6\), got'),
        (dict(key=torch.zeros(2, 4, 2, 7)), 'query .* is smaller than key'),
    ],
)
def test_point_similarity(changes, message):
    with pytest.raises(ValueError, match=f'^point_similarity: {message}'):
        sapa_ops.point_similarity(**point_inputs(**changes))


def test_point_assemble():
    value, offset = torch.zeros(2, 4, 2, 3), torch.zeros(2, 12, 4, 6)
    with pytest.raises(ValueError, match='weight must have 5 dimensions'):
        sapa_ops.point_assemble(torch.zeros(2, 2, 4, 6), value, offset)
    with pytest.raises(ValueError, match=r'offset must have 20 channels .*, got 12'):
        sapa_ops.point_assemble(torch.zeros(2, 2, 5, 4, 6), value, offset)


def test_window_similarity():
    with pytest.raises(ValueError, match=r'window_similarity: key must have 3 channels'):
        sapa_ops.window_similarity(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 2, 2), 3)
