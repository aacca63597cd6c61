"""The errors of mattes against their definitions written out, and on mattes made by hand."""

import math

import numpy as np
import pytest

pytest.importorskip('cv2')

from sapa_mm.evaluation.matting_errors import ERRORS, PROTOCOLS, matting_errors

from ..support.pairs import parametrize_pairs
from .slow_matting import slow_errors

SIZES = ((9, 13), (12, 7), (1, 6), (5, 1), (1, 1), (3, 20))


def random_case(seed, size, smooth):
    """A prediction, the truth of 8 bits and a trimap with another number for unknown, too."""
    rng = np.random.default_rng(seed)
    truth = rng.random(size)
    if smooth:
        # Long slopes, so that components are large.
        y, x = np.mgrid[: size[0], : size[1]]
        truth = 0.5 + 0.7 * np.sin(y / 3 + rng.uniform(0, 6)) * np.cos(x / 4 + rng.uniform(0, 6))
    truth = np.rint(255 * truth.clip(0, 1)).astype(np.float32) / 255
    prediction = (truth + rng.normal(0, 0.1, size)).clip(0, 1).astype(np.float32)
    trimap = rng.choice(np.array([0, 128, 128, 102, 255], np.uint8), size)
    trimap.flat[0] = 128
    return prediction, truth, trimap


@parametrize_pairs(size=SIZES, smooth=[False, True], protocol=PROTOCOLS, seed=range(3))
def test_against_the_slow_implementation(size, smooth, protocol, seed):
    case = random_case(seed, size, smooth)
    expected = slow_errors(*case, protocol)
    assert matting_errors(*case, protocol) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize('smooth', [False, True])
def test_8_bits_are_exact(smooth):
    """All that is compared with a threshold is what it is in fractions."""
    for seed in range(8):
        _, truth, trimap = random_case(seed, (8, 9), smooth)
        prediction = np.roll(truth, 1, seed % 2)
        expected = slow_errors(prediction, truth, trimap)
        found = matting_errors(prediction, truth, trimap)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


def on_8_bits(rows):
    return np.array(rows, np.float32) / 255


UNKNOWN = np.full((1, 5), 128, np.uint8)


def test_sad_and_mse_by_hand():
    truth, prediction = on_8_bits([[0, 0, 0, 0, 0]]), on_8_bits([[0, 51, 102, 255, 255]])
    trimap = np.array([[128, 1, 254, 128, 0]], np.uint8)
    found = matting_errors(prediction, truth, trimap)
    assert found['SAD'] == pytest.approx((0.2 + 0.4 + 1) / 1000)
    assert found['MSE'] == pytest.approx((0.04 + 0.16 + 1) / 4)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_staircase_at_the_thresholds(protocol):
    """51, 102 and 153 of 255 reach 0.2, 0.4 and 0.6; only distances from 0.15 on count."""
    truth = on_8_bits([[255, 153, 152, 102, 51, 0]])
    prediction = on_8_bits([[255, 255, 153, 103, 90, 0]])
    trimap = np.full(truth.shape, 128)
    found = matting_errors(prediction, truth, trimap, protocol)['Conn']
    # l is 1, 0.6, 0.5, 0.4, 0.2 and 0; all true distances are below 0.15.
    assert found == pytest.approx((255 / 255 - 0.6 + 90 / 255 - 0.2) / 1000)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_two_components(protocol):
    """The smaller one counts as not connected at all: its l is 0."""
    truth = on_8_bits([[255, 255, 0, 255, 0]])
    prediction = on_8_bits([[255, 255, 0, 51, 0]])
    found = matting_errors(prediction, truth, UNKNOWN, protocol)['Conn']
    assert found == pytest.approx((1 - 0.2) / 1000)


def test_components_of_equal_size():
    """The first column by column, as in MATLAB, or row by row, as in Python."""
    truth = on_8_bits([[0, 0, 0, 255], [0, 0, 0, 0], [255, 0, 0, 0]])
    prediction = truth * 200 / 255
    trimap = np.zeros(truth.shape, np.uint8)
    trimap[0, 3], trimap[2, 0] = 128, 255
    # The unknown pixel is connected not at all (l = 0, d = 200/255 and 1) or up to l = 0.7.
    by_columns, by_rows = (matting_errors(prediction, truth, trimap, p)['Conn'] for p in PROTOCOLS)
    assert 1000 * by_columns == pytest.approx(55 / 255)
    assert 1000 * by_rows == pytest.approx(0.3)


def test_ring():
    """What is inside a ring is not connected with it; a diagonal does not connect either."""
    y, x = np.mgrid[-8:9, -8:9]
    distance = np.hypot(y, x)
    truth = ((distance > 5) & (distance < 7) | (distance < 3)).astype(np.float32)
    prediction = np.where(distance < 3, 0.4, truth).astype(np.float32)
    trimap = np.full(truth.shape, 128, np.uint8)
    found = matting_errors(prediction, truth, trimap)
    assert found['Conn'] == pytest.approx(0.6 * (distance < 3).sum() / 1000)
    assert found == pytest.approx(slow_errors(prediction, truth, trimap), rel=1e-9)


def test_thresholds_that_nothing_reaches():
    """They leave l at 1, not at the threshold before."""
    truth, prediction = on_8_bits([[100, 100, 100, 100, 0]]), on_8_bits([[100, 100, 100, 60, 0]])
    # The fourth pixel falls out at 0.3: l is 0.2, d 100/255 - 0.2. The first three never do.
    found = matting_errors(prediction, truth, UNKNOWN)['Conn']
    assert found == pytest.approx((100 / 255 - 0.2) / 1000)


def test_the_slope_of_an_edge():
    """A step of 1 has, at its middle, the filter's sum over one side."""
    truth = np.zeros((11, 40), np.float32)
    prediction = truth.copy()
    prediction[:, 20:] = 1
    trimap = np.zeros(truth.shape, np.uint8)
    trimap[5, 20] = 128
    trimap[:, 21:] = 255
    trimap[:5, 20] = trimap[6:, 20] = 255
    x = np.arange(-4, 5)
    gauss = np.exp(-(x**2) / 3.92)
    side = (x * gauss)[4:].sum() * gauss.sum() / np.sqrt(np.sum(np.outer(gauss, x * gauss) ** 2))
    assert matting_errors(prediction, truth, trimap)['Grad'] == pytest.approx(side**2 / 1000)


def test_the_derivatives_of_scipy():
    """Those of the published harness; its ``Grad`` is about 1.036 times the other."""
    ndimage = pytest.importorskip('scipy.ndimage')
    rng = np.random.default_rng(0)
    truth, prediction = ndimage.gaussian_filter(rng.random((2, 60, 80)), (0, 2, 2))
    truth, prediction = ((a - a.min()) / np.ptp(a) for a in (truth, prediction))
    trimap = np.where(rng.random(truth.shape) < 0.5, 128, 129)
    magnitudes = [
        np.hypot(*(ndimage.gaussian_filter(alpha, 1.4, order=order) for order in ([1, 0], [0, 1])))
        for alpha in (truth, prediction)
    ]
    expected = np.sum((magnitudes[0] - magnitudes[1]) ** 2) / 10
    found = matting_errors(prediction, truth, trimap, 'a2u')['Grad']
    assert found == pytest.approx(expected, rel=1e-9)
    assert found / matting_errors(prediction, truth, trimap)['Grad'] == pytest.approx(1.036, 0.02)


def test_rounding():
    """A quarter of an 8-bit step away is no error for MATLAB, and is one for A2U's trainer."""
    truth = on_8_bits([[255, 150, 80, 30, 0]])
    prediction = truth - np.array([[0, 1, -1, 1, 0]], np.float32) / 1020
    assert matting_errors(prediction, truth, UNKNOWN) == dict.fromkeys(ERRORS, 0)
    found = matting_errors(prediction, truth, UNKNOWN, 'a2u')
    assert found['SAD'] == pytest.approx(3 / 1020 / 1000)
    assert found['Grad'] > 0


def test_what_the_trimap_knows_is_put_in():
    prediction, truth, trimap = random_case(0, (12, 14), True)
    put_in = np.where(trimap == 255, 1, np.where(trimap == 0, 0, prediction)).astype(np.float32)
    for protocol in PROTOCOLS:
        found = matting_errors(prediction, truth, trimap, protocol)
        assert found == matting_errors(put_in, truth, trimap, protocol)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_nothing_unknown(protocol):
    prediction, truth, _ = random_case(0, (6, 5), False)
    known = np.full((6, 5), 255, np.uint8)
    assert matting_errors(prediction, truth, known, protocol) == dict.fromkeys(ERRORS, 0)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_flat_mattes(protocol):
    flat = np.full((1, 5), 0.5, np.float32)
    assert matting_errors(flat, flat, UNKNOWN, protocol) == dict.fromkeys(ERRORS, 0)


@pytest.mark.parametrize(
    ('prediction', 'truth', 'message'),
    [
        (np.zeros((5, 1)), np.zeros((1, 5)), r'alpha is \(5, 1\), the true one \(1, 5\), .*1, 5\)'),
        (np.full((1, 5), 1.5), np.zeros((1, 5)), r'predicted alpha .* \[0, 1\], got 1.5 to 1.5'),
        (np.full((1, 5), math.nan), np.zeros((1, 5)), 'predicted alpha is NaN or infinite; has '),
        (np.zeros((1, 5)), np.full((1, 5), 255), r'true alpha .* \[0, 1\], got 255 to 255'),
        (np.full((1, 5), -1), np.zeros((1, 5)), r'predicted alpha .* \[0, 1\], got -1 to -1'),
    ],
)
def test_bad_input(prediction, truth, message):
    with pytest.raises(ValueError, match=message):
        matting_errors(prediction, truth, UNKNOWN)
