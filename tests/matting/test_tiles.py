"""Tiles of large photographs."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip('mmcv')

from sapa_mm.matting.tiles import OVERLAP, predict_in_tiles, tile_size, tile_starts

SIDES = st.integers(1, 400).map(lambda blocks: 16 * blocks)


@example(height=OVERLAP, width=8000, max_pixels=2_000_000)
@example(height=200_000, width=16, max_pixels=2_000_000)
@given(height=SIDES, width=SIDES, max_pixels=st.integers((2 * OVERLAP) ** 2, 4_000_000))
def test_tiles_are_small_enough_and_overlap(height, width, max_pixels):
    tile = tile_size((height, width), max_pixels)
    assert tile[0] * tile[1] <= max_pixels
    for side, length in zip((height, width), tile, strict=True):
        starts = tile_starts(side, length)
        assert length % 16 == 0
        assert all(start % 16 == 0 for start in starts)
        assert starts[0] == 0
        assert starts[-1] + length == side
        assert all(0 < second - first <= length - OVERLAP for first, second in pairwise(starts))


@pytest.mark.parametrize(
    ('size', 'max_pixels', 'dtype'),
    [
        ((624, 1200), 600 * 600, torch.float64),
        ((16, 130_000), 2_000_000, torch.float16),  # which ends at 65504
        ((624, 1200), 600 * 600, torch.bfloat16),
    ],
)
def test_what_is_predicted_in_each_pixel_is_blended(size, max_pixels, dtype):
    inputs = torch.rand(2, 3, *size).to(dtype)
    needed = torch.ones(2, 1, *size, dtype=torch.bool)
    out = predict_in_tiles(lambda x: x[:, 1:2], inputs, needed, max_pixels)
    expected = inputs[:, 1:2].to(out.dtype)
    torch.testing.assert_close(out, expected, rtol=10 * torch.finfo(out.dtype).eps, atol=0)


def test_what_sees_less_than_the_overlap_is_as_in_the_whole_image():
    """But near the borders of tiles, where the share is small."""
    inputs = torch.rand(1, 1, 800, 1200, dtype=torch.float64)

    def blur(x):
        return F.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False)

    needed = torch.ones(inputs.shape, dtype=torch.bool)
    out = predict_in_tiles(blur, inputs, needed, 600 * 600)
    assert (out - blur(inputs)).abs().max() < 2 / OVERLAP


def test_tiles_without_a_needed_pixel_are_left_out():
    calls = []

    def predict(x):
        calls.append(x)
        return x

    inputs, needed = torch.ones(1, 1, 1600, 1600), torch.zeros(1, 1, 1600, 1600, dtype=torch.bool)
    needed[..., 10, 1500] = True
    out = predict_in_tiles(predict, inputs, needed, 600 * 600)
    assert len(calls) == 1
    assert out[..., 10, 1500] == 1
    assert out[..., 1500, 10] == 0
