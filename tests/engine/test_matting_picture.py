import matplotlib
import numpy as np
import pytest

from sapa_mm.engine import matting_picture
from sapa_mm.engine.matting_picture import PLAIN, draw_matting

GREY = [128] * 3
SIZE = 320, 400


@pytest.fixture(autouse=True)
def colours_of_the_image(monkeypatch):
    """Estimating the foreground takes long the first time, and is tested with cut-outs."""
    monkeypatch.setattr(matting_picture.importlib.util, 'find_spec', lambda name: None)


def _panel(picture, row, column):
    top, left = (SIZE[0] + 32) * row + 24, 8 + (SIZE[1] + 8) * column
    return picture[top:, left:][: SIZE[0], : SIZE[1]]


def _layers():
    """A trimap, unknown in the middle, a truth, and a prediction with an error on the right."""
    trimap = np.full(SIZE, 128, np.uint8)
    trimap[:, :100], trimap[:, 300:] = 255, 0
    truth = (trimap / 255).astype(np.float32)
    alpha = truth.copy()
    alpha[:, 200:] += 0.25
    return np.full((*SIZE, 3), 77, np.uint8), trimap, alpha, truth


def test_panels_show_what_their_titles_say():
    image, trimap, alpha, truth = _layers()

    picture = draw_matting(image, trimap, alpha, truth)

    panels = [[_panel(picture, row, column)[200] for column in range(3)] for row in range(2)]
    assert (panels[0][0] == 77).all()
    assert panels[0][1][[50, 150, 250]].tolist() == [[255] * 3, GREY, GREY]
    assert panels[0][2][[50, 150, 350]].tolist() == [[255] * 3, GREY, [0] * 3]
    assert panels[1][1][[50, 150, 250]].tolist() == [[255] * 3, GREY, [192] * 3]
    # The foreground is the image, the background the plain colour, and between is a mixture.
    green = panels[1][0]
    assert green[[50, 350]].tolist() == [[77] * 3, np.rint([19, 152, 67]).tolist()]
    np.testing.assert_allclose(green[150], (128 * 77 + 127 * np.array(PLAIN)) / 255, atol=0.6)


def test_errors_count_where_the_trimap_is_unknown():
    picture = draw_matting(*_layers())

    error = _panel(picture, 1, 2)[200]
    first, last = (list(matplotlib.colormaps['magma'](v, bytes=True)[:3]) for v in (0.0, 1.0))
    assert error[[50, 150, 250, 350]].tolist() == [GREY, first, last, GREY]


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (40, 1300), (1500, 1100)])
@pytest.mark.parametrize('has_truth', [True, False])
def test_images_of_any_size_without_unknown_pixels_or_numbers(size, has_truth):
    trimap = np.zeros(size, np.uint8)
    alpha = np.full(size, np.nan, np.float32)

    picture = draw_matting(
        np.zeros((*size, 3), np.uint8), trimap, alpha, np.zeros(size) if has_truth else None
    )

    height = picture.shape[0] / 2 - 32
    width = (picture.shape[1] - 8 - 80 * has_truth) / (3 if has_truth else 2) - 8
    assert 300 < max(height, width) < 1000
    assert min(height, width) / max(height, width) == pytest.approx(min(size) / max(size), abs=0.01)


def test_fine_hair_is_averaged_not_skipped():
    """In a picture that is smaller than the image."""
    alpha = np.zeros((1920, 1920), np.float32)
    alpha[:, ::2] = 1

    picture = draw_matting(
        np.zeros((1920, 1920, 3), np.uint8), np.full((1920, 1920), 128, np.uint8), alpha
    )

    panel = picture[24 + 960 + 32 :, 8 + 968 :][:960, :960]
    assert (abs(panel.astype(int) - 128) <= 1).all()
