import matplotlib
import numpy as np

from sapa_mm.engine.depth_colors import color_depth, color_error, depth_limits


def _colour(name, value):
    return list(matplotlib.colormaps[name](value, bytes=True)[:3])


def test_depth_is_coloured_between_two_limits_and_grey_without_a_measurement():
    depth = np.array([[1, 5, 3, 0.5, 9], [0, -1, np.nan, np.inf, 2]], np.float32)

    picture = color_depth(depth, 1, 5)

    assert picture.shape == (2, 5, 3)
    assert picture.dtype == np.uint8
    near, far = _colour('viridis', 0.0), _colour('viridis', 1.0)
    assert picture[0].tolist() == [near, far, _colour('viridis', 0.5), near, far]
    assert picture[1].tolist() == [[128] * 3] * 4 + [_colour('viridis', 0.25)]


def test_an_error_of_zero_is_an_error_and_nan_is_no_truth():
    picture = color_error(np.array([[0, 2, np.nan]]), 2)

    assert picture.tolist() == [[_colour('magma', 0.0), _colour('magma', 1.0), [128] * 3]]


def test_limits_are_shared_and_leave_out_what_has_no_depth_and_the_outermost_pixels():
    truth, prediction = np.full((100, 100), 2.0), np.full((100, 100), 4.0)
    truth[0, 0], truth[0, 1], prediction[0, 0] = 0, np.nan, 80

    assert depth_limits(truth, prediction) == (2, 4)
    assert depth_limits(np.zeros((2, 2))) == (0, 1)
    assert color_depth(np.full((2, 2), 3.0), 3, 3).shape == (2, 2, 3)
