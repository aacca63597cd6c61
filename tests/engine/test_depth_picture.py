import matplotlib
import numpy as np
import pytest

from sapa_mm.engine.depth_picture import draw_depth

GREY, WHITE = [128] * 3, [255] * 3


def _colour(name, value):
    return list(matplotlib.colormaps[name](value, bytes=True)[:3])


def _panels(picture, size, rows):
    """The panels in their rows, without titles and bars."""
    height, width = size
    return [
        [
            picture[32 * row + height * row + 24 :, 8 + (width + 8) * column :][:height, :width]
            for column in range(2)
        ]
        for row in range(rows)
    ]


def _ramp():
    """Truth of 1 to 5 m with a hole, and a prediction that is 1 m too far on the right."""
    truth = np.repeat(np.linspace(1, 5, 400, dtype=np.float32)[None], 320, 0)
    depth = truth.copy()
    depth[:, 200:] += 1
    truth[:100, :100] = 0
    return truth, depth


def test_truth_and_prediction_share_a_scale_and_the_error_has_its_own():
    truth, depth = _ramp()
    image = np.full((320, 400, 3), 77, np.uint8)

    picture = draw_depth(image, depth, truth)

    (true, predicted), (shown, error) = _panels(picture, (320, 400), 2)
    assert (shown == 77).all()
    assert true[50, 50].tolist() == error[50, 50].tolist() == GREY
    assert (true[200, :200] == predicted[200, :200]).all()
    assert (true[200, 250:] != predicted[200, 250:]).any(1).all()
    assert error[200, 100].tolist() == _colour('magma', 0.0)
    assert error[200, 300].tolist() == _colour('magma', 1.0)
    assert predicted[200, 399].tolist() == _colour('viridis', 1.0)
    bars = picture[[24, 24 + 319, 376, 376 + 319], 8 + 2 * 408 + 5].tolist()
    assert bars == [_colour(name, end) for name in ('viridis', 'magma') for end in (1.0, 0.0)]


def test_without_truth_there_is_no_error():
    _, depth = _ramp()

    picture = draw_depth(np.zeros((320, 400, 3), np.uint8), depth)

    assert len(picture) == 24 + 320 + 8
    ((shown, predicted),) = _panels(picture, (320, 400), 1)
    assert (shown == 0).all()
    assert predicted[200, 0].tolist() == _colour('viridis', 0.0)


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (40, 1300), (1500, 1100)])
def test_images_of_any_size_give_panels_of_some_size(size):
    depth = np.full(size, 3.0, np.float32)

    picture = draw_depth(np.zeros((*size, 3), np.uint8), depth, np.zeros(size, np.float32))

    height, width = (side / 2 - 40 for side in picture.shape[:2])
    assert 250 < max(height, width) < 1000
    assert min(height, width) / max(height, width) == pytest.approx(min(size) / max(size), abs=0.1)


def test_a_truth_of_another_size_and_predictions_that_are_no_numbers_are_drawn():
    truth, depth = _ramp()
    depth[:] = np.nan

    picture = draw_depth(np.zeros((320, 400, 3), np.uint8), depth, truth[::2, ::2])

    (true, predicted), (_, error) = _panels(picture, (320, 400), 2)
    assert (predicted == 128).all()
    assert (error == 128).all()
    assert true[200, 399].tolist() == _colour('viridis', 1.0)
