import numpy as np
import pytest

from sapa_mm.datasets import generate_matte, generate_scene
from sapa_mm.datasets.scenes.matte import erode
from sapa_mm.datasets.scenes.matte_layout import FOREGROUNDS, Part, join_parts

SIZES = [(160, 160), (121, 93), (32, 32), (33, 200)]


@pytest.fixture(scope='module')
def mattes():
    return [generate_matte(index, seed=1, size=(96, 128)) for index in range(24)]


def test_a_matte_depends_on_its_own_index_and_seed_only():
    def arrays(index, seed):
        matte = generate_matte(index, seed, (64, 64))
        return matte.foreground, matte.alpha, matte.background, matte.trimap

    first = arrays(5, 3)
    arrays(6, 3)
    for one, again in zip(first, arrays(5, 3), strict=True):
        np.testing.assert_array_equal(one, again)
    for other in (arrays(9, 3), arrays(5, 4)):
        assert all((one != its).mean() > 0.05 for one, its in zip(first, other, strict=True))


@pytest.mark.parametrize('size', SIZES)
def test_arrays(size):
    for index in range(8):
        matte = generate_matte(index, seed=1, size=size)
        for picture in (matte.foreground, matte.background, matte.image):
            assert picture.shape == (*size, 3)
        assert matte.alpha.shape == matte.trimap.shape == size
        # Some of it is told, and some is not.
        assert set(np.unique(matte.trimap)) >= {0, 128}
        for array in (
            matte.foreground,
            matte.background,
            matte.image,
            matte.alpha,
            matte.trimap,
        ):
            assert array.dtype == np.uint8
            with pytest.raises(ValueError, match='read-only'):
                array[0, 0] = 0


def test_the_image_is_the_foreground_before_the_background(mattes):
    """To the bit, by the matting equation of each value, rounded down."""
    for matte in mattes[:4]:
        for row, column in np.argwhere(matte.alpha > 0)[::7]:
            alpha = float(matte.alpha[row, column]) / 255
            for channel in range(3):
                front = float(matte.foreground[row, column, channel])
                back = float(matte.background[row, column, channel])
                value = int(alpha * front + (1 - alpha) * back)
                assert matte.image[row, column, channel] == value
        nothing = matte.alpha == 0
        np.testing.assert_array_equal(matte.image[nothing], matte.background[nothing])


def test_the_background_is_a_scene_in_little_light(mattes):
    for index, matte in enumerate(mattes):
        scene = generate_scene(index, seed=1, size=(96, 128)).image.astype(float)
        lit = scene > 0
        light = (matte.background[lit] / scene[lit]).max()
        assert 0.1 < light < 0.35
        assert light < ((matte.background[lit] + 1) / scene[lit]).min()


def test_the_trimap_tells_no_lie(mattes):
    for matte in mattes:
        assert (matte.alpha[matte.trimap == 255] == 255).all()
        assert (matte.alpha[matte.trimap == 0] == 0).all()
        assert (matte.trimap[(matte.alpha > 0) & (matte.alpha < 255)] == 128).all()


def test_alpha_is_hard_to_guess(mattes):
    """Much of it is partly opaque; the trimap, with a half where it is unknown, is far off."""
    partly = [((matte.alpha > 0) & (matte.alpha < 255)).mean() for matte in mattes]
    assert 0.1 < np.mean(partly) < 0.4
    unknown = [matte.alpha[matte.trimap == 128] / 255 for matte in mattes]
    assert np.mean([np.abs(alpha - 0.5).mean() for alpha in unknown]) > 0.25
    # Neither more nor less is in front on average.
    assert 0.2 < np.mean([alpha.mean() for alpha in unknown]) < 0.6


def test_kinds_of_foregrounds_come_in_turns(monkeypatch):
    drawn = []

    def record(kind):
        def draw(rng, size):
            drawn.append(kind.__name__)
            return kind(rng, size)

        return draw

    kinds = [record(kind) for kind in FOREGROUNDS]
    monkeypatch.setattr('sapa_mm.datasets.scenes.matte.FOREGROUNDS', kinds)
    for index in range(8):
        generate_matte(index, size=(32, 32))
    assert drawn == ['hair', 'net', 'veil', 'soft'] * 2


def test_joined_parts_look_the_same_before_any_background():
    rng = np.random.default_rng(0)
    parts = [
        Part(
            rng.random((9, 7, 3), dtype=np.float32),
            # Nothing, everything and anything.
            np.clip(rng.uniform(-2, 1.5, (9, 7)), 0, 1).astype(np.float32),
        )
        for _ in range(3)
    ]
    whole = join_parts(parts)
    assert whole.colour.dtype == whole.coverage.dtype == np.float32
    assert (whole.coverage == 0).any()
    assert (whole.coverage == 1).any()
    for background in (0.0, 0.3, 1.0):
        expected = np.full((9, 7, 3), background)
        for part in parts:
            expected += (part.colour - expected) * part.coverage[..., None]
        got = background + (whole.colour - background) * whole.coverage[..., None]
        np.testing.assert_allclose(got, expected, atol=1e-6)
    nothing = whole.coverage == 0
    np.testing.assert_array_equal(whole.colour[nothing], parts[-1].colour[nothing])


def test_erosion_is_that_of_opencv():
    cv2 = pytest.importorskip('cv2')
    rng = np.random.default_rng(0)
    for size in range(1, 30):
        mask = rng.random((60, 50)) > 0.02
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        expected = cv2.erode(mask.astype(np.uint8), ellipse)
        np.testing.assert_array_equal(erode(mask, size), expected.astype(bool))
