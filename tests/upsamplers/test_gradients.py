"""Gradients in float64 against finite differences."""

import pytest
import torch
from torch.func import functional_call

from sapa_mm.upsamplers import UPSAMPLERS

from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CASES = [
    *ALL_TYPES.items(),
    *PEER_VARIANTS,
    ('bilinear', dict(align_corners=True)),
    ('sapa_b', dict(embed_dims=2, kernel_size=3, similarity_norm='softplus')),
    ('sapa_d', dict(embed_dims=2, num_points=2, groups=2, shared_offset=True)),
    ('sapa_d', dict(num_points=1, groups=1, guided=False)),
]


def test_every_type_is_covered():
    assert set(UPSAMPLERS) <= set(ALL_TYPES)


@pytest.mark.parametrize('high', [(2, 4), (3, 3)])
@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_gradcheck(kind, options, high):
    channels = 4 if options.get('style') == 'pl' else 2
    upsampler = make_upsampler(kind, channels, **options)
    x, guide = make_inputs(upsampler, (1, 2), high, batch=1)
    if not upsampler.guided:
        # No gradient reaches it.
        inputs = [x.requires_grad_()]
        tail = [guide]
    else:
        inputs, tail = [x.requires_grad_(), guide.requires_grad_()], []
    names = [name for name, _ in upsampler.named_parameters()]
    parameters = [p.detach().requires_grad_() for p in upsampler.parameters()]

    def run(*tensors):
        features = tensors[: len(inputs)]
        values = dict(zip(names, tensors[len(inputs) :], strict=True))
        return functional_call(upsampler, values, (*features, *tail))

    # All tensors at once along random directions: seconds instead of minutes.
    assert torch.autograd.gradcheck(run, (*inputs, *parameters), fast_mode=True)
    assert torch.autograd.gradcheck(lambda *t: run(*t, *parameters), inputs)


@pytest.mark.parametrize('kind', ALL_TYPES)
def test_gradients_reach_everything_from_the_first_step(kind):
    """With the initial weights."""
    torch.manual_seed(0)
    upsampler = UPSAMPLERS[kind](4, **ALL_TYPES[kind])
    x, guide = make_inputs(upsampler, (3, 4), (5, 8), dtype=torch.float32)
    out = upsampler(x.requires_grad_(), guide.requires_grad_())
    (out * torch.randn_like(out)).sum().backward()
    tensors = {'x': x, **dict(upsampler.named_parameters())}
    if upsampler.guided:
        tensors['guide'] = guide
    assert [name for name, t in tensors.items() if t.grad.abs().max() == 0] == []
