"""Alpha mattes: reading, drawing and comparing them, in cases made by hand."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from mmengine.structures import PixelData
from PIL import Image

from sapa_mm.engine.depth_colors import color_error, depth_limits
from sapa_mm.matting import MattingSample
from sapa_mm.visualization.tasks import task_of

PIXELS = np.zeros((2, 3, 3), np.uint8)
TRIMAP = [[0, 128, 128], [255, 128, 128]]
TRUTH = [[0, 0.2, 0.5], [1, 0.8, 1]]


def sample_of(alpha, prefix='pred', trimap=TRIMAP):
    sample = MattingSample()
    data = torch.as_tensor(alpha, dtype=torch.float32)[None]
    sample.set_field(PixelData(data=data), f'{prefix}_alpha', PixelData)
    trimap = torch.as_tensor(trimap, dtype=torch.uint8)[None]
    sample.trimap = PixelData(data=trimap)
    return sample


ONE = sample_of([[0, 0.3, 0.505], [1, 0.8, 0.1]])
OTHER = sample_of([[0, 0.2, 0.5], [1, 0.2, 0.9]])
TASK = task_of(ONE)


def test_mattes_are_grey():
    truth, (one, other) = TASK.draw(
        PIXELS, sample_of(TRUTH, 'gt'), {'one': ONE, 'other': OTHER}, {}
    )
    # 0.5 is 127.5.
    assert truth.tolist() == [[[v] * 3 for v in row] for row in [[0, 51, 128], [255, 204, 255]]]
    assert one[0, 1].tolist() == [77] * 3
    assert other.dtype == np.uint8
    ((title, picture),) = TASK.inputs(PIXELS, ONE)
    assert title == 'trimap'
    assert np.array_equal(picture, np.array(TRIMAP)[..., None].repeat(3, 2))


def test_large_mattes_are_thinned_out():
    alpha = np.linspace(0, 1, 5000)[:, None].repeat(7, 1)
    pixels = np.zeros((5000, 7, 3), np.uint8)
    sample = sample_of(alpha, trimap=np.full((5000, 7), 128))
    truth, (drawn,) = TASK.draw(pixels, None, {'one': sample}, {})
    assert truth is None
    expected = np.rint(alpha.astype(np.float32)[::3, ::3] * 255)
    assert np.array_equal(drawn, expected[..., None].repeat(3, 2))
    assert TASK.inputs(pixels, sample)[0][1].shape == drawn.shape


def test_who_is_nearest_to_the_truth():
    difference = TASK.compare(sample_of(TRUTH, 'gt'), {'A': ONE, 'B': OTHER}, {})
    # 0.505 and 0.5 differ by less than a hundredth.
    assert [[difference.names[case] for case in row] for row in difference.cases] == [
        ['known', 'B is nearest', 'about equal'],
        ['known', 'A is nearest', 'B is nearest'],
    ]


def test_the_error_of_one_model():
    difference = TASK.compare(sample_of(TRUTH, 'gt'), {'A': ONE}, {})
    expected = np.array([[np.nan, 0.1, 0.005], [np.nan, 0, 0.9]])
    assert np.allclose(difference.values, expected, equal_nan=True)
    assert np.array_equal(
        difference.picture, color_error(difference.values, depth_limits(difference.values)[1])
    )
    assert difference.unit == 'alpha'


def test_without_a_truth():
    assert TASK.compare(None, {'A': ONE}, {}) is None
    difference = TASK.compare(None, {'A': ONE, 'B': OTHER}, {})
    assert np.allclose(difference.values, [[0, 0.1, 0.005], [0, 0.6, 0.8]])


def test_regions_are_divided_at_a_half():
    assert TASK.regions(ONE, {}).tolist() == [[0, 0, 1], [1, 1, 0]]


def test_the_position_is_the_largest_step_of_the_unknown():
    alpha, trimap = np.zeros((12, 16)), np.full((12, 16), 128)
    alpha[:, 9:] = 0.2
    alpha[5, 9:] = 0.4
    alpha[0, :2] = 1  # outside of the middle
    alpha[7, 6], trimap[7, 6] = 1, 255  # known
    sample = sample_of(alpha, trimap=trimap)
    assert TASK.position(sample, TASK.regions(sample, {})) == (5, 8)
    trimap[:, 4:] = 0  # nothing is unknown in the middle
    sample = sample_of(alpha, trimap=trimap)
    assert TASK.position(sample, TASK.regions(sample, {})) == (0, 0)


@pytest.fixture
def files(tmp_path):
    """An image and its alpha."""
    alpha = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (20, 1))
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(tmp_path / 'image.png')
    Image.fromarray(alpha).save(tmp_path / 'alpha.png')
    return tmp_path, alpha


def read(path, size=(20, 24)):
    return TASK.read_truth(dict(alpha_path=str(path)), size, 0, lambda: {}).gt_alpha.data


def test_the_truth(files):
    folder, alpha = files
    assert read(folder / 'alpha.png').equal(torch.from_numpy(alpha)[None] / 255)
    Image.fromarray(alpha).convert('RGB').save(folder / 'alpha.png')
    assert read(folder / 'alpha.png').equal(torch.from_numpy(alpha)[None] / 255)


def test_files_that_are_no_truth(files):
    folder, alpha = files
    with pytest.raises(ValueError, match='has 20 x 24 pixels, its image has 24 x 20'):
        read(folder / 'alpha.png', (24, 20))
    Image.fromarray(np.stack([alpha, alpha, 255 - alpha], 2)).save(folder / 'colours.png')
    with pytest.raises(ValueError, match='must be grey, got colours'):
        read(folder / 'colours.png')
    with pytest.raises(FileNotFoundError, match='annotation: .*none.png is not a file'):
        read(folder / 'none.png')
