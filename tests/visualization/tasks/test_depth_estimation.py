"""Depth maps: reading, drawing and comparing them, in cases made by hand."""

import numpy as np
import pytest

pytest.importorskip('mmseg')

import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from sapa_mm.engine.config import in_scope
from sapa_mm.engine.depth_colors import color_depth, color_error, depth_limits
from sapa_mm.visualization.input_image import dataset_image, open_image
from sapa_mm.visualization.tasks import task_of

from ...support.tool_configs import DEPTH, SIZE, write_config, write_nyu

PIXELS = np.zeros((2, 3, 3), np.uint8)


def sample_of(depth, prefix='pred'):
    sample = SegDataSample()
    data = torch.as_tensor(depth, dtype=torch.float32)[None]
    sample.set_field(PixelData(data=data), f'{prefix}_depth_map', PixelData)
    return sample


TRUTH = [[1, 2, 4], [0, 2, 4]]
ONE = sample_of([[1.5, 2, 4], [3, 2.5, 5]])
OTHER = sample_of([[1.25, 2.01, 2], [9, 3.5, 4]])
TASK = task_of(ONE)


def names_of(difference):
    return [[difference.names[case] for case in row] for row in difference.cases]


def test_all_maps_have_one_scale():
    truth, (one, other) = TASK.draw(
        PIXELS, sample_of(TRUTH, 'gt'), {'one': ONE, 'other': OTHER}, {}
    )
    depths = [np.array(TRUTH, float), *(s.pred_depth_map.data[0].numpy() for s in (ONE, OTHER))]
    limits = depth_limits(*depths)
    assert limits[1] > 5  # of the other's 9 metres
    for drawn, depth in zip((truth, one, other), depths, strict=True):
        assert np.array_equal(drawn, color_depth(depth, *limits))
    figure = Figure()
    axis = figure.subplots()
    TASK.add_color_bar(figure, axis, sample_of(TRUTH, 'gt'), {'one': ONE, 'other': OTHER})
    (bar,) = (one for one in figure.axes if one is not axis)
    assert bar.get_ylabel() == 'metres'
    assert bar.get_ylim() == pytest.approx(limits)


def test_large_maps_are_thinned_out():
    depth = np.linspace(1, 9, 5000)[:, None].repeat(7, 1)
    truth, (drawn,) = TASK.draw(
        np.zeros((5000, 7, 3), np.uint8), None, {'one': sample_of(depth)}, {}
    )
    assert truth is None
    limits = depth_limits(depth.astype(np.float32))
    assert np.array_equal(drawn, color_depth(depth[::3, ::3].astype(np.float32), *limits))


def test_who_is_nearest_to_the_truth():
    difference = TASK.compare(sample_of(TRUTH, 'gt'), {'A': ONE, 'B': OTHER}, {})
    # 2 and 2.01 m differ by less than a hundredth of the true 2 m.
    assert names_of(difference) == [
        ['B is nearest', 'about equal', 'A is nearest'],
        ['no measurement', 'A is nearest', 'B is nearest'],
    ]
    assert [handle.get_label() for handle in difference.handles()] == [
        'no measurement: 16.7%', 'about equal: 16.7%', 'A is nearest: 33.3%', 'B is nearest: 33.3%',
    ]  # fmt: skip
    third = sample_of([[1, 2, 4], [1, 2, 4]])
    difference = TASK.compare(sample_of(TRUTH, 'gt'), {'A': ONE, 'B': OTHER, 'C': third}, {})
    assert names_of(difference) == [
        ['C is nearest', 'about equal', 'about equal'],
        ['no measurement', 'C is nearest', 'about equal'],
    ]


def test_the_error_of_one_model():
    difference = TASK.compare(sample_of(TRUTH, 'gt'), {'A': ONE}, {})
    expected = np.array([[0.5, 0, 0], [np.nan, 0.5, 1]])
    assert np.array_equal(difference.values, expected, equal_nan=True)
    assert np.array_equal(difference.picture, color_error(expected, depth_limits(expected)[1]))


def test_without_a_truth():
    assert TASK.compare(None, {'A': ONE}, {}) is None
    difference = TASK.compare(None, {'A': ONE, 'B': OTHER}, {})
    assert np.allclose(difference.values, [[0.25, 0.01, 2], [6, 1, 1]])


def test_regions_are_whole_metres():
    sample = sample_of([[0.5, 1, 1.99], [7.2, 0, float('nan')]])
    assert TASK.regions(sample, {}).tolist() == [[0, 1, 1], [7, -1, -1]]


def test_the_position_is_the_largest_step_in_the_middle():
    depth = np.full((12, 16), 2.0)
    depth[:, 9:] = 3  # a step of a half
    depth[5, 9:] = 4
    depth[0, 0] = 80  # near the frame
    depth[6, 5] = 0  # nothing
    sample = sample_of(depth)
    assert TASK.position(sample, TASK.regions(sample, {})) == (5, 8)
    assert TASK.position(sample_of([[2.0]]), np.zeros((1, 1))) == (0, 0)


def test_other_predictions_are_refused():
    sample = SegDataSample()
    sample.pred_edge_map = PixelData(data=torch.zeros(1, 2, 2))
    with pytest.raises(
        ValueError, match='depth maps, alpha mattes can be drawn; the model predicts'
    ):
        task_of(sample)


@pytest.fixture
def cfg(tmp_path):
    write_nyu(tmp_path / 'data')
    return Config.fromfile(write_config(tmp_path / 'config.py', DEPTH, tmp_path / 'data'))


def test_the_truth_is_in_metres(cfg, tmp_path):
    """Of a sample, of a dataset with its whole pipeline, of wrappers, of files that are given."""
    image, depth = (
        str(tmp_path / 'data' / kind / 'test' / f'2.{suffix}')
        for kind, suffix in (('images', 'jpg'), ('annotations', 'png'))
    )
    with in_scope(cfg):
        whole = dataset_image(DATASETS.build(cfg.val_dataloader.dataset), 2)
    images = [open_image(cfg, sample=2), open_image(cfg, image, depth), whole]
    both = dict(type='ConcatDataset', datasets=[cfg.val_dataloader.dataset] * 2)
    cfg.val_dataloader.dataset = dict(type='RepeatDataset', times=1, dataset=both)
    images.append(open_image(cfg, sample=6))
    for opened in images:
        assert opened.path == image
        truth = opened.truth.gt_depth_map.data
        assert truth.shape == (1, SIZE, SIZE)
        expected = np.asarray(Image.open(depth)) / 1e3
        assert np.allclose(truth[0], expected)
        assert {0, 2, 4} == set(expected.ravel())


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (np.ones((SIZE, 32), np.uint16), 'has 64 x 32 pixels, its image has 64 x 64'),
        (np.ones((SIZE, SIZE, 3), np.uint8), 'is no depth map: it has 3 channels'),
        (b'text', 'cannot be read as a depth map: '),
        (None, 'annotation: .*/2.png is not a file'),
    ],
)
def test_files_that_are_no_depth_map(cfg, tmp_path, content, message):
    path = tmp_path / 'data/annotations/test/2.png'
    path.unlink()
    if isinstance(content, np.ndarray):
        Image.fromarray(content).save(path)
    elif content:
        path.write_bytes(content)
    cfg.val_dataloader.dataset.pipeline = [dict(type='LoadDepthAnnotation')]
    with in_scope(cfg), pytest.raises((ValueError, FileNotFoundError), match=message):
        dataset_image(DATASETS.build(cfg.val_dataloader.dataset), 2)


def test_a_pipeline_that_does_not_say_what_values_mean(cfg):
    cfg.val_dataloader.dataset.pipeline = []
    with pytest.raises(ValueError, match='no LoadDepthAnnotation, whose depth_rescale_factor'):
        open_image(cfg, sample=0)
