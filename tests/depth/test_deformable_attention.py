"""Deformable attention, held against mmcv's module."""

import pytest
import torch
from torch.autograd import gradcheck

pytest.importorskip('mmseg')
pytest.importorskip('mmcv.ops')

from mmcv.ops import MultiScaleDeformableAttention as Mmcvs

from sapa_mm.depth import MultiScaleDeformableAttention

SIZES = {
    'even': [(8, 12), (4, 6), (2, 3)],
    'odd': [(7, 5), (4, 3), (2, 2)],
    'single pixels': [(1, 3), (1, 2), (1, 1)],
}


def drawn_anew(module, dtype=torch.float64):
    """All parameters matter: the points of each query lie elsewhere, also outside of the map."""
    generator = torch.Generator().manual_seed(0)
    module = module.to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise / (parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 1))
    return module


def make(sizes, dtype=torch.float64, **options):
    options = dict(embed_dims=16, num_heads=4, num_levels=3, num_points=2, dropout=0.0, **options)
    ours = drawn_anew(MultiScaleDeformableAttention(**options), dtype)
    generator = torch.Generator().manual_seed(1)
    pixels = sum(height * width for height, width in SIZES[sizes])
    inputs = [
        torch.randn(2, 11, 16, generator=generator, dtype=torch.float64),
        torch.randn(2, pixels, 16, generator=generator, dtype=torch.float64),
        torch.rand(2, 11, 2, generator=generator, dtype=torch.float64),
        torch.randn(2, 11, 16, generator=generator, dtype=torch.float64),
    ]
    return ours, [x.to(dtype).requires_grad_() for x in inputs]


def run(module, sizes, query, value, reference, query_pos):
    return module(query, value, reference, SIZES[sizes], query_pos)


def run_mmcv(module, sizes, query, value, reference, query_pos):
    return module(
        query,
        value=value,
        query_pos=query_pos,
        reference_points=reference[:, :, None].expand(-1, -1, 3, -1),
        spatial_shapes=torch.tensor(SIZES[sizes]),
        level_start_index=None,
    )


def mmcv_twin(ours):
    theirs = Mmcvs(
        embed_dims=16, num_heads=4, num_levels=3, num_points=2, dropout=0.0, batch_first=True
    ).double()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs


@pytest.mark.parametrize('sizes', SIZES)
def test_values_and_gradients_are_mmcvs(sizes):
    ours, inputs = make(sizes)
    theirs = mmcv_twin(ours)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    out, expected = run(ours, sizes, *inputs), run_mmcv(theirs, sizes, *inputs)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn(out.shape, dtype=out.dtype)
    leaves = [*inputs, *ours.parameters()]
    gradients = torch.autograd.grad(out, leaves, weight)
    expected = torch.autograd.grad(expected, [*inputs, *theirs.parameters()], weight)
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-10, atol=1e-10)
        assert gradient.abs().max() > 0
    with torch.no_grad():
        assert torch.equal(run(ours, sizes, *inputs), out)


@pytest.mark.parametrize('sizes', SIZES)
def test_gradcheck(sizes):
    ours, inputs = make(sizes)
    assert gradcheck(lambda *args: run(ours, sizes, *args), inputs, fast_mode=True)
