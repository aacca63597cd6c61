"""Where the kernels of a demo are drawn."""

import numpy as np
import pytest

pytest.importorskip('mmengine')

from sapa_mm.reproduction.demo_pictures import find_boundary
from sapa_mm.visualization.label_maps import UNLABELLED


def test_find_boundary():
    truth = np.zeros((16, 16), int)
    truth[:, 8:] = 3
    (row, column), other = find_boundary(truth, (4, 4))
    assert (column, other) == (1, (row, 2))
    truth[:] = 1
    assert find_boundary(truth, (4, 4)) is None
    truth[:, 8:] = UNLABELLED
    assert find_boundary(truth, (4, 4)) is None
