"""What the estimation of foregrounds refuses; tests of tools/test.py see what it gives."""

import numpy as np
import pytest

pytest.importorskip('mmcv')

from sapa_mm.matting.foreground import estimate_foreground

IMAGE = np.zeros((6, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ('image', 'alpha', 'message'),
    [
        (IMAGE, np.full((6, 8), 255, np.uint8), 'up to 255; divide a matte of 8 bits by 255'),
        (IMAGE, np.zeros((6, 8, 3)), r'alpha must be \(H, W\) in \[0, 1\], got \(6, 8, 3\)'),
        (IMAGE, np.zeros((8, 6)), r'of the size of alpha, got uint8 \(6, 8, 3\) and \(8, 6\)'),
        (IMAGE / 255, np.zeros((6, 8)), 'image must be uint8 .* got float64'),
        (IMAGE[..., 0], np.zeros((6, 8)), r'got uint8 \(6, 8\) and'),
    ],
)
def test_bad_input(image, alpha, message):
    with pytest.raises(ValueError, match=message):
        estimate_foreground(image, alpha)
