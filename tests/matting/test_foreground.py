"""What the estimation of foregrounds refuses; tests of tools/test.py see what it gives."""

import sys

import numpy as np
import pytest

pytest.importorskip('mmcv')

from sapa_mm.matting.foreground import estimate_foreground

from ..support.run_tool import finish

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


def test_torch_keeps_its_number_of_threads():
    """Which pymatting changes when it is first imported; more than are free stall each other."""
    pytest.importorskip('pymatting')
    script = (
        'import numpy as np, torch\n'
        'from sapa_mm.matting.foreground import estimate_foreground\n'
        'estimate_foreground(np.zeros((6, 8, 3), np.uint8), np.ones((6, 8)))\n'
        'print(torch.get_num_threads())'
    )
    assert finish([sys.executable, '-c', script]).strip().endswith('1')
