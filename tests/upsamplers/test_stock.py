"""The upsamplers that are not SAPA, and the size of the output without a guide."""

import pytest
import torch
import torch.nn.functional as F

from sapa_mm.upsamplers import UPSAMPLERS, build_upsampler

from ..support.upsamplers import ALL_TYPES, make_inputs, make_upsampler

UNGUIDED = {kind: options for kind, options in ALL_TYPES.items() if not UPSAMPLERS[kind].guided}
UNGUIDED['sapa_d'] = dict(ALL_TYPES['sapa_d'], guided=False)
EXACT, CROPPED, UNEVEN = ((6, 2), (12, 4)), ((6, 3), (11, 5)), ((5, 4), (7, 13))
SAME, SMALLER = ((3, 3), (3, 3)), ((6, 3), (5, 4))


@pytest.mark.parametrize('scale_factor', [1, 2, 3])
@pytest.mark.parametrize('kind', UNGUIDED)
def test_without_a_guide_scales_by_the_factor(kind, scale_factor):
    upsampler = make_upsampler(kind, scale_factor=scale_factor, **UNGUIDED[kind])
    size = (2 * scale_factor, 3 * scale_factor)
    x, guide = make_inputs(upsampler, (2, 3), size)
    out = upsampler(x)
    assert out.shape == (2, 4, *size)
    assert torch.equal(out, upsampler(x, guide))


@pytest.mark.parametrize('kind', UNGUIDED)
def test_takes_only_the_size_from_a_guide(kind):
    upsampler = make_upsampler(kind, **UNGUIDED[kind])
    x, guide = make_inputs(upsampler, (2, 3), (3, 7))
    out = upsampler(x, guide)
    assert out.shape == (2, 4, 3, 7)
    other = torch.empty(1, 9, 3, 7, dtype=torch.int8, device='meta')
    assert torch.equal(out, upsampler(x, other))


@pytest.mark.parametrize(('low', 'high'), [EXACT, CROPPED, UNEVEN, SAME, SMALLER])
@pytest.mark.parametrize(
    ('cfg', 'interpolation'),
    [
        (dict(type='nearest'), dict(mode='nearest')),
        (dict(type='bilinear'), dict(mode='bilinear', align_corners=False)),
        (dict(type='bilinear', align_corners=True), dict(mode='bilinear', align_corners=True)),
    ],
)
def test_interpolation(cfg, interpolation, low, high):
    upsampler = build_upsampler(cfg, 4)
    x, guide = make_inputs(upsampler, low, high)
    assert torch.equal(upsampler(x, guide), F.interpolate(x, high, **interpolation))
