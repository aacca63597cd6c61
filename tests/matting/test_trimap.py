"""Trimaps of masks and of alpha."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from sapa_mm.matting import make_trimap


@pytest.mark.parametrize('value', [True, 1, 255, -1])
@pytest.mark.parametrize('width', [1, 4])
def test_unknown_is_what_is_near_the_other_side(value, width):
    shape = np.random.default_rng(0).random((20, 25)) > 0.5
    shape = np.kron(shape[::5, ::5], np.ones((5, 5), bool))
    shape[3, 3] ^= True
    mask = shape if value is True else np.where(shape, value, 0)
    trimap = make_trimap(mask, width)
    assert trimap.dtype == np.uint8
    for place in np.ndindex(shape.shape):
        others = np.argwhere(shape != shape[place])
        distance = np.linalg.norm(others - place, axis=1).min()
        known = 255 if shape[place] else 0
        assert trimap[place] == (128 if distance <= width + 1e-6 else known)


@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8, torch.int64])
def test_masks_of_torch(dtype):
    mask = torch.zeros(20, 25, dtype=dtype)
    mask[5:15, 8:20] = 1
    assert (make_trimap(mask, 3) == make_trimap(mask.numpy(), 3)).all()
    with pytest.raises(ValueError, match=r'mask must be \(H, W\), .* got \w+ \(1, 20, 25\)'):
        make_trimap(mask[None], 3)


def test_masks_of_one_side_have_nothing_unknown():
    assert (make_trimap(np.ones((4, 5), bool), 3) == 255).all()
    assert (make_trimap(np.zeros((4, 5), bool), 3) == 0).all()


@pytest.mark.parametrize(
    ('mask', 'width', 'message'),
    [
        (np.zeros((4, 4)), 1, r'mask must be \(H, W\), of bool or integers, got float64 \(4, 4\)'),
        (np.zeros((1, 4, 4), bool), 1, r'mask must be \(H, W\), .* got bool \(1, 4, 4\)'),
        (np.arange(16).reshape(4, 4), 1, 'mask must have one value beside 0, got 15'),
        (np.zeros((4, 4), bool), 0, 'width must be a positive integer, got 0'),
        (np.zeros((4, 4), bool), 2.5, 'width must be a positive integer, got 2.5'),
    ],
)
def test_bad_input(mask, width, message):
    with pytest.raises(ValueError, match=f'make_trimap: {message}'):
        make_trimap(mask, width)
