"""torch.compile and torch.export see one graph."""

import pytest
import torch

from .cases import make_inputs, make_upsampler

CASES = [
    ('sapa_i', dict(kernel_size=3)),
    ('sapa_b', dict(kernel_size=3, embed_dims=4)),
    ('sapa_d', dict(num_points=2, groups=2, embed_dims=4)),
    ('carafe', dict(up_kernel=3)),
]


@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_compile(kind, options):
    torch._dynamo.reset()
    upsampler = make_upsampler(kind, **options)
    x, guide = make_inputs(upsampler, (3, 4), (5, 8))
    compiled = torch.compile(upsampler, fullgraph=True, backend='aot_eager')
    outs, grads = [], []
    for run in (upsampler, compiled):
        upsampler.zero_grad()
        own = x.clone().requires_grad_()
        outs.append(run(own, guide))
        outs[-1].square().sum().backward()
        grads.append([own.grad, *(p.grad.clone() for p in upsampler.parameters())])
    torch.testing.assert_close(outs[1], outs[0])
    torch.testing.assert_close(grads[1], grads[0])


@pytest.mark.parametrize(('kind', 'options'), CASES)
def test_export(kind, options):
    upsampler = make_upsampler(kind, **options)
    inputs = make_inputs(upsampler, (3, 4), (5, 8))
    exported = torch.export.export(upsampler, inputs).module()
    others = make_inputs(upsampler, (3, 4), (5, 8), seed=1)
    torch.testing.assert_close(exported(*others), upsampler(*others))
