"""The kernel of one position, compared with the output of the upsampler."""

import pytest
import torch

pytest.importorskip('mmcv')

from sapa_mm.upsamplers import UPSAMPLERS, PointUpsampler, WindowUpsampler, build_upsampler
from sapa_mm.visualization.kernels import Kernels, compute_kernels, has_kernels

CHANNELS = 8


def inputs(size=(9, 8)):
    torch.manual_seed(0)
    return torch.randn(1, CHANNELS, 5, 4), torch.randn(1, CHANNELS, *size)


def upsampler_of(kind, **options):
    upsampler = build_upsampler(dict(type=kind, **options), CHANNELS)
    if kind in ('sapa_d', 'dysample'):
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


KERNEL_BASED = [
    name for name, kind in UPSAMPLERS.items() if issubclass(kind, (WindowUpsampler, PointUpsampler))
]


@pytest.mark.parametrize('kind', KERNEL_BASED)
@pytest.mark.parametrize('position', [(0, 0), (4, 3), (8, 7)])
@torch.no_grad()
def test_points_and_weights_make_the_output(kind, position):
    options = dict(groups=1) if kind in ('sapa_d', 'dysample') else {}
    upsampler, (x, guide) = upsampler_of(kind, **options), inputs()
    kernel = compute_kernels(upsampler, x, guide).at(*position)
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
    kernel = compute_kernels(upsampler, x, guide).at(2, 2)
    points = 4 * (3 if kind == 'sapa_d' else 9)
    assert kernel.points.shape == (points, 2)
    assert kernel.weights.shape == (points,)
    assert kernel.weights.sum() == pytest.approx(1, abs=1e-5)


def test_without_a_guide_the_scale_factor_gives_the_size():
    upsampler, (x, _) = upsampler_of('carafe'), inputs()
    assert compute_kernels(upsampler, x).weights.shape == (1, 25, 10, 8)


@pytest.mark.parametrize('size', [(15, 16), (14, 13)])
def test_dysample_resized(size):
    upsampler, (x, guide) = upsampler_of('dysample'), inputs(size)
    kernels = compute_kernels(upsampler, x, guide)
    assert kernels.weights.shape == (4, 1, *size)
    # DySample has 10 x 8 kernels, of which each position has the nearest.
    assert kernels.rows.tolist() == [row // 3 for row in range(size[0])]
    assert kernels.columns.tolist() == [column // 4 for column in range(size[1])]


@pytest.mark.parametrize('kind', sorted(UPSAMPLERS.keys() - set(KERNEL_BASED)))
def test_upsamplers_without_kernels_are_refused(kind):
    upsampler = upsampler_of(kind)
    message = f'{type(upsampler).__name__} has no kernels; those that have: A2U, Carafe, '
    with pytest.raises(TypeError, match=message):
        compute_kernels(upsampler, *inputs())
    assert not has_kernels(type(upsampler))


def test_effective_points_and_mean_distance():
    weights = torch.tensor([[0.25, 1.0], [0.25, 0.0], [0.25, 0.0], [0.25, 0.0]]).view(1, 4, 1, 2)
    offsets = torch.tensor([[3.0, 4.0], [0, 0], [0, 1], [1, 0]]).view(1, 4, 2, 1, 1)
    kernels = Kernels(weights, offsets, torch.zeros(1), torch.zeros(2))
    assert kernels.effective_points().tolist() == [[pytest.approx(4), pytest.approx(1)]]
    assert kernels.mean_distance().tolist() == [[pytest.approx(7 / 4)] * 2]
