"""The kernel of one position, held against what the upsampler makes of it."""

import pytest
import torch

from sapa_mm.analysis.kernels import kernel_at, record_inputs
from sapa_mm.upsamplers import Carafe, build_upsampler

CHANNELS = 8


def inputs(size=(9, 8)):
    torch.manual_seed(0)
    return torch.randn(1, CHANNELS, 5, 4), torch.randn(1, CHANNELS, *size)


def upsampler_of(kind, **options):
    upsampler = build_upsampler(dict(type=kind, **options), CHANNELS)
    if kind == 'sapa_d':
        torch.nn.init.normal_(upsampler.offset.weight, std=1.0)
    return upsampler


def bilinear(feature, x, y):
    """Sample of (C, h, w) at a point in low-res pixels, zero outside."""
    h, w = feature.shape[1:]
    total = torch.zeros(feature.shape[0])
    for row in range(h):
        for column in range(w):
            weight = max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
            total += weight * feature[:, row, column]
    return total


@pytest.mark.parametrize('kind', ['sapa_i', 'sapa_b', 'sapa_d'])
@pytest.mark.parametrize('position', [(0, 0), (4, 3), (8, 7)])
@torch.no_grad()
def test_points_and_weights_make_the_output(kind, position):
    options = dict(groups=1) if kind == 'sapa_d' else {}
    upsampler, (x, guide) = upsampler_of(kind, **options), inputs()
    kernel = kernel_at(upsampler, x, guide, *position)
    assert kernel.weights.sum() == pytest.approx(1, abs=1e-5)
    sampled = sum(
        float(weight) * bilinear(x[0], *map(float, point))
        for point, weight in zip(kernel.points, kernel.weights, strict=True)
    )
    expected = upsampler(x, guide)[0, :, position[0], position[1]]
    torch.testing.assert_close(sampled, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ('kind', 'options'),
    [('sapa_d', dict(num_points=3)), ('sapa_b', dict(kernel_size=3))],
)
def test_groups_are_listed_together(kind, options):
    upsampler, (x, guide) = upsampler_of(kind, groups=4, **options), inputs()
    kernel = kernel_at(upsampler, x, guide, 2, 2)
    points = 4 * (3 if kind == 'sapa_d' else 9)
    assert kernel.points.shape == (points, 2)
    assert kernel.weights.shape == (points,)
    assert kernel.weights.sum() == pytest.approx(1, abs=1e-5)


def test_other_upsamplers_are_refused():
    with pytest.raises(TypeError, match='one of SAPA, got Carafe'):
        kernel_at(Carafe(CHANNELS), *inputs(), 0, 0)


def test_recording_leaves_the_upsampler_as_it_was():
    upsampler, (x, guide) = upsampler_of('sapa_b'), inputs()
    before = upsampler(x, guide)
    with record_inputs(upsampler) as calls:
        during = upsampler(x, guide)
    after = upsampler(x, guide)
    assert len(calls) == 1
    assert torch.equal(calls[0][0], x)
    assert torch.equal(calls[0][1], guide)
    assert torch.equal(before, during)
    assert torch.equal(before, after)
    assert not upsampler._forward_pre_hooks
