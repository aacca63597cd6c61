"""Autocast: inputs of mixed dtypes, results in the lower one, gradients in the inputs' own."""

import copy

import pytest
import sapa_ops
import torch

from sapa_mm.upsamplers import (
    Deconv,
    PixelShuffle,
    PointUpsampler,
    WindowUpsampler,
    build_upsampler,
)

from ..support.operators import FORMS, skip_where_not_built
from ..support.upsamplers import (
    ALL_TYPES,
    PEER_VARIANTS,
    keep_points_in_cells,
    make_inputs,
    make_upsampler,
)

CASES = [
    *ALL_TYPES.items(),
    *PEER_VARIANTS,
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
    *((kind, dict(ALL_TYPES[kind], pre_norm=True)) for kind in ('sapa_i', 'sapa_b', 'sapa_d')),
]
HALF, FLOAT = torch.bfloat16, torch.float32


def make(kind, options):
    """An upsampler whose parameters are the same in every dtype, and a copy in float64."""
    upsampler = make_upsampler(kind, 32, **options).to(HALF).float()
    if kind == 'sapa_d':
        keep_points_in_cells(upsampler)
        upsampler = upsampler.to(HALF).float()
    return upsampler, copy.deepcopy(upsampler).double()


def results(upsampler, x, guide):
    """Output and gradients by name."""
    x, guide = (t.detach().requires_grad_() for t in (x, guide))
    out = upsampler(x, guide)
    tensors = {'x': x, **dict(upsampler.named_parameters())}
    if upsampler.guided:
        tensors['guide'] = guide
    upstream = torch.linspace(-1, 1, out.numel()).view(out.shape)
    with torch.autocast('cpu', enabled=False):
        grads = torch.autograd.grad(out, list(tensors.values()), upstream.to(out.dtype))
    return out, dict(zip(tensors, grads, strict=True)), tensors


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('dtypes', [(FLOAT, HALF), (HALF, FLOAT), (FLOAT, FLOAT)], ids=str)
@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_mixed_dtypes(kind, options, dtypes, form):
    skip_where_not_built(form)
    upsampler, exact = make(kind, options)
    x, guide = make_inputs(upsampler, (3, 2), (5, 4), dtype=HALF)
    expected, expected_grads, _ = results(exact, x.double(), guide.double())
    inputs = x.to(dtypes[0]), guide.to(dtypes[1])
    with torch.autocast('cpu', HALF), sapa_ops.use_backend(form):
        out, grads, tensors = results(upsampler, *inputs)

    # These end with an operator or a convolution.
    is_lower = isinstance(upsampler, (WindowUpsampler, PointUpsampler, Deconv, PixelShuffle))
    assert out.dtype == (HALF if is_lower else dtypes[0])
    assert_near(out, expected)
    assert grads.keys() == expected_grads.keys()
    for name, grad in grads.items():
        assert grad.dtype == tensors[name].dtype, name
        assert_near(grad, expected_grads[name])


def assert_near(actual, expected):
    """Embeddings, offsets and kernels are rounded, by one part in 2^8."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(actual.double(), expected, atol=5e-2 * scale, rtol=2e-2)


@pytest.mark.parametrize('kind', ['sapa_i', 'sapa_b', 'sapa_d'])
def test_mixed_dtypes_are_refused_outside(kind):
    upsampler, _ = make(kind, ALL_TYPES[kind])
    x, guide = make_inputs(upsampler, (2, 2), (3, 4), dtype=FLOAT)
    for inputs in ((x.to(HALF), guide), (x, guide.to(HALF))):
        with pytest.raises(TypeError, match=r'guide is torch.*x is torch'):
            upsampler(*inputs)


@pytest.mark.parametrize('autocast', [False, True])
def test_a2u_of_a_large_guide(autocast):
    """Its filters grow with the square of the guide, beyond the range of float16."""
    torch.manual_seed(0)
    upsampler = build_upsampler(dict(type='a2u'), 64)
    x, guide = torch.randn(1, 64, 8, 8), torch.randn(1, 64, 16, 16) + 150
    expected = upsampler(x, guide)
    if autocast:
        with torch.autocast('cpu', torch.float16):
            out = upsampler(x, guide)
    else:
        out = upsampler.half()(x.half(), guide.half())
    torch.testing.assert_close(out.float(), expected, atol=0.02, rtol=0.02)
