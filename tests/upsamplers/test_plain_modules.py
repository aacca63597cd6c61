"""The upsamplers as any other torch module: on the meta device, and in memory layouts."""

import sapa_ops
import torch

from sapa_mm.upsamplers import build_upsampler

from ..support.foreign_upsamplers import A2UUp, drawn_anew
from ..support.operators import FORMS, skip_where_not_built
from ..support.pairs import parametrize_each
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CASES = [*ALL_TYPES.items(), *PEER_VARIANTS, ('sapa_d', dict(num_points=4, guided=False))]
SIZES = [(6, 8), (5, 7), (7, 5)]


@parametrize_each(kind__options=CASES, size=SIZES)
def test_on_the_meta_device(kind, options, size):
    """Where a module is built before its weights are there, and shapes are found out."""
    with torch.device('meta'):
        upsampler = build_upsampler(dict(type=kind, **options), 4)
        x, guide = torch.empty(2, 4, 3, 4, requires_grad=True), torch.empty(2, 4, *size)
        out = upsampler(x, guide)
    assert (out.device.type, out.shape, out.dtype) == ('meta', (2, 4, *size), torch.float32)
    out.sum().backward()
    assert x.grad.shape == x.shape

    source = make_upsampler(kind, **options)
    upsampler.double().load_state_dict(source.state_dict(), assign=True)
    inputs = make_inputs(source, (3, 4), size)
    assert torch.equal(upsampler.eval()(*inputs), source.eval()(*inputs))


def test_weights_of_others_are_assigned_to_the_meta_device():
    source = drawn_anew(A2UUp(32))
    with torch.device('meta'):
        upsampler = build_upsampler(dict(type='a2u'), 32)
    upsampler.load_state_dict(source.state_dict(), assign=True)
    x, guide = make_inputs(upsampler, (3, 4), (6, 8))
    torch.testing.assert_close(upsampler(x, guide), source(guide, x), rtol=1e-12, atol=1e-12)


@parametrize_each(kind__options=CASES, size=SIZES, form=FORMS)
def test_channels_last_stays(kind, options, size, form):
    """And contiguous stays contiguous, whatever the layout of the guide is."""
    skip_where_not_built(form)
    upsampler = make_upsampler(kind, **options).eval()
    x, guide = make_inputs(upsampler, (3, 4), size)
    last = torch.channels_last
    with sapa_ops.use_backend(form):
        expected = upsampler(x, guide)
        for other in (guide, guide.contiguous(memory_format=last)):
            out = upsampler(x.contiguous(memory_format=last), other)
            # Cropped maps have gaps.
            assert out.stride()[1] == 1
            assert out.stride()[3] >= 4
            torch.testing.assert_close(out, expected)
            assert upsampler(x, other).stride()[3] == 1
