"""Figures, compared with what the models compute."""

import numpy as np
import pytest

pytest.importorskip('mmseg')

import torch
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from mmengine.dataset import Compose, pseudo_collate
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.structures import SegDataSample

from sapa_mm.engine.config import in_scope
from sapa_mm.engine.images import image_pipeline
from sapa_mm.visualization.canvas import to_cell, zoom
from sapa_mm.visualization.figures import draw
from sapa_mm.visualization.input_image import open_image
from sapa_mm.visualization.kernels import compute_kernels
from sapa_mm.visualization.label_maps import boundary_near_centre
from sapa_mm.visualization.models import load_models, read_configs
from sapa_mm.visualization.tasks import task_of

from ..support.configs import SEGFORMER, UPERNET, model_files


@pytest.fixture
def models_of(tmp_path, options):
    """The first scene, and models of random weights."""

    def load(*upsamplers, config=SEGFORMER):
        files = [
            model_files(tmp_path, config, upsampler, seed)
            for seed, upsampler in enumerate(upsamplers)
        ]
        return open_image(read_configs(files, options)[0], sample=0), load_models(files, options)

    return load


@pytest.fixture
def runs_of(models_of):
    """The first scene, and models run on it."""

    def run(*upsamplers, config=SEGFORMER):
        image, models = models_of(*upsamplers, config=config)
        return image, [model.run(image) for model in models]

    return run


def images_of(figure):
    return {
        axis.get_title(): np.asarray(axis.images[0].get_array())
        for axis in figure.axes
        if axis.images
    }


def test_a_run_is_the_models_prediction(runs_of):
    image, (run,) = runs_of('sapa-b')
    assert run.name == 'SAPA-B'
    assert run.regions.shape == (70, 90)
    # Resized to multiples of 32.
    assert run.prediction.img_shape == (96, 96)
    assert run.extent == (70, 90)
    assert [call.name[-1] for call in run.calls] == list('012345')
    assert image.truth.gt_sem_seg.data.shape == (1, 70, 90)


def test_labels_are_mmsegs(models_of):
    """mmseg resizes the logits of all classes to the image's size, which takes gigabytes."""
    image, (model,) = models_of('sapa-b')
    run = model.run(image)
    with in_scope(model.trained.cfg):
        sample = Compose(image_pipeline(model.trained.cfg))(dict(img_path=image.path))
    expected = model.trained.model.test_step(pseudo_collate([sample]))[0]
    assert expected.seg_logits.shape == (70, 90)
    assert run.prediction.seg_logits.shape == (96, 96)
    assert run.prediction.ori_shape == (70, 90)
    assert run.prediction.pred_sem_seg.data.equal(expected.pred_sem_seg.data)


def test_features(runs_of):
    image, runs = runs_of('sapa-d')
    call = runs[0].calls[2]
    images = [
        [np.asarray(axis.images[0].get_array()) for axis in row if axis.images]
        for row in np.array(draw('features', image, runs).axes[:30]).reshape(6, 5)
    ]
    assert np.array_equal(images[0][0], image.pixels)
    for drawn, feature in zip(images[2], (call.x, call.guide, call.output), strict=False):
        assert np.array_equal(drawn, Visualizer.draw_featmap(feature[0]))
    points = compute_kernels(call.upsampler, call.x, call.guide).effective_points()
    assert np.allclose(images[2][3], points)
    assert 1 <= points.min() < points.max() <= 4


def test_features_of_single_channels(runs_of):
    image, runs = runs_of('bilinear')
    figure = draw('features', image, runs, channels=[0, 3])
    call, row = runs[0].calls[0], figure.axes[:7]
    assert [axis.get_title() for axis in row[1:3]] == ['x, channel 0', 'x, channel 3']
    expected = Visualizer.draw_featmap(call.output[0, 3:4])
    assert np.array_equal(np.asarray(row[6].images[0].get_array()), expected)
    with pytest.raises(ValueError, match=r'^channels must be in 0\.\.63, got 64'):
        draw('features', image, runs, channels=[0, 64])


@pytest.mark.parametrize('kind', ['sapa-b', 'a2u'])
def test_kernel(runs_of, kind):
    image, runs = runs_of(kind)
    call = runs[0].calls[4]
    images = draw('kernel', image, runs, position=(33, 77), upsampler=4).axes
    row, column = to_cell((33, 77), call.output.shape[2:], (70, 90))
    kernel = compute_kernels(call.upsampler, call.x, call.guide).at(row, column)
    side = call.upsampler.kernel_size
    heat_map = images[2]
    assert np.allclose(heat_map.images[0].get_array(), kernel.weights.reshape(side, side))
    assert [text.get_text() for text in heat_map.texts] == [f'{w:.3f}' for w in kernel.weights]
    taps = [np.asarray(axis.images[0].get_array()) for axis in images if axis.images][3:]
    weights = compute_kernels(call.upsampler, call.x, call.guide).weights[0].numpy()
    maps = [tap for tap in taps if tap.shape == weights.shape[1:]]
    assert len(maps) == side**2
    assert np.allclose(maps, weights)


def test_only_what_is_shown_is_drawn():
    """The borders of all classes in a large photograph took gigabytes."""
    labels = np.arange(300 * 400).reshape(300, 400)
    axis = Figure().subplots()
    zoom(axis, np.zeros((300, 400, 3), np.uint8), labels, (3, 398), 8)
    (image,) = axis.images
    assert image.get_array().shape[:2] == (14, 12)
    assert image.get_extent() == [387.5, 399.5, 13.5, -0.5]
    assert len(axis.collections) == 14 * 12
    assert axis.get_xlim() == (390, 406)


def test_large_maps_are_thinned_out():
    sample = SegDataSample()
    sample.pred_sem_seg = PixelData(data=torch.arange(5000)[None, :, None].expand(1, 5000, 7) % 3)
    meta = dict(classes=list('abc'), palette=[(0, 0, 0), (90, 90, 90), (200, 200, 200)])
    _, (drawn,) = task_of(sample).draw(np.zeros((5000, 7, 3), np.uint8), None, {'a': sample}, meta)
    assert drawn.shape == (1667, 3, 3)
    assert not drawn.any()  # every third pixel is of class a


def test_kernel_of_the_last_upsampler_at_a_boundary(runs_of):
    image, runs = runs_of('sapa-b')
    figure = draw('kernel', image, runs)
    position = boundary_near_centre(runs[0].regions)
    assert 'decode_head.upsamplers.5, position' in figure.get_suptitle()
    assert figure.get_suptitle().endswith(f'pixel {position}')


def test_index_map(runs_of):
    image, runs = runs_of('index-net')
    call = runs[0].calls[-1]
    drawn = images_of(draw('kernel', image, runs))['index map']
    with torch.no_grad():
        expected = call.upsampler.index_map(call.guide, call.output.shape[2:])[0, 0]
    assert np.allclose(drawn, expected)


@pytest.mark.parametrize('kind', ['sapa-d', 'dysample'])
def test_points(runs_of, kind):
    image, runs = runs_of(kind)
    call = runs[0].calls[-1]
    figure = draw('points', image, runs, position=(33, 77))
    groups = call.upsampler.groups
    assert f' {groups} group{"" if groups == 1 else "s"} of ' in figure.get_suptitle()
    row, column = to_cell((33, 77), call.output.shape[2:], (70, 90))
    rows, columns = ([side // 2 * 2, side // 2 * 2 + 1] for side in (row, column))
    panels = figure.axes[1:5]
    titles = [f'child ({r}, {c})' for r in rows for c in columns]
    assert [axis.get_title() for axis in panels] == titles
    for panel, (r, c) in zip(panels, [(r, c) for r in rows for c in columns], strict=True):
        kernel = compute_kernels(call.upsampler, call.x, call.guide).at(r, c)
        # One for each group; the borders of classes are another type of collection.
        drawn = [one for one in panel.collections if isinstance(one, PathCollection)]
        assert len(drawn) == call.upsampler.groups
        points = np.concatenate([s.get_offsets() for s in drawn])
        weights = np.concatenate([s.get_array() for s in drawn])
        scale = np.array([90, 70]) / call.x.shape[:1:-1]
        expected = (kernel.points + 0.5) * scale - 0.5
        order, wanted = np.lexsort(points.T), np.lexsort(expected.T)
        assert np.allclose(points[order], expected[wanted], atol=1e-3)
        assert np.allclose(weights[order] / len(drawn), kernel.weights[wanted], atol=1e-5)


@pytest.mark.parametrize(
    ('figure', 'kind', 'message'),
    [
        (
            'kernel',
            'sapa-d',
            'is a SapaD, which has no kernel over a window; .*A2U, Carafe, ',
        ),
        ('kernel', 'bilinear', 'is a Bilinear, which has no kernel'),
        (
            'points',
            'carafe',
            'is a Carafe, which selects no points; .*: DySample, SapaD',
        ),
    ],
)
def test_figures_that_an_upsampler_does_not_allow(runs_of, figure, kind, message):
    image, runs = runs_of(kind)
    with pytest.raises(ValueError, match=message):
        draw(figure, image, runs)


def test_upsamplers_out_of_range(runs_of):
    image, runs = runs_of('sapa-d')
    with pytest.raises(ValueError, match=r'^upsampler must be in 0\.\.5: SAPA-D calls 6'):
        draw('points', image, runs, upsampler=6)


def test_upsamplers_side_by_side(runs_of):
    image, runs = runs_of('bilinear', 'sapa-b')
    figure = draw('upsamplers', image, runs)
    rows = np.array(figure.axes).reshape(2, 6)
    titles = [[axis.get_title() for axis in row if axis.get_title()] for row in rows]
    assert titles[0] == ['image', 'input 1, 3 x 3', 'output 1, 24 x 24', 'prediction']
    assert titles[1] == [
        'ground truth', 'input 1, 3 x 3', 'output 1, 6 x 6', 'output 2, 12 x 12',
        'output 3, 24 x 24', 'prediction',
    ]  # fmt: skip
    drawn = rows[1, 3].images[0].get_array()
    assert np.array_equal(drawn, Visualizer.draw_featmap(runs[1].calls[1].output[0]))


def test_a_pyramids_inputs_are_drawn(runs_of):
    image, runs = runs_of('sapa-d', config=UPERNET)
    titles = [axis.get_title() for axis in draw('upsamplers', image, runs).axes]
    assert [title.partition(',')[0] for title in titles] == [
        'image', 'input 1', 'output 1', 'input 2', 'output 2', 'input 3', 'output 3', 'prediction',
    ]  # fmt: skip


def test_predictions(runs_of):
    image, runs = runs_of('bilinear', 'sapa-b')
    images = images_of(draw('predictions', image, runs))
    assert list(images) == ['image', 'ground truth', 'Bilinear', 'SAPA-B', 'where they differ']
    truth = image.truth.gt_sem_seg.data[0].numpy()
    one, other = (run.regions == truth for run in runs)
    marked = images['where they differ']
    # Light where both are right, grey where none is, black without a label, coloured otherwise.
    coloured = marked.max(2) > marked.min(2)
    assert np.array_equal(coloured, (one != other) & (truth != 255))
    # Each class in its colour, over the image.
    palette = np.array(runs[0].meta['palette'])
    expected = 0.3 * image.pixels + 0.7 * palette[runs[1].regions]
    assert np.abs(images['SAPA-B'] - expected).max() <= 2


def test_checkpoints_of_one_config_are_told_apart(runs_of):
    _, runs = runs_of('sapa-b', 'sapa-b')
    names = [run.name for run in runs]
    stem = 'segformer_mit-tiny_sapa-b_1xb8-300_scenes-128x128'
    assert names == [f'SAPA-B, {stem}, model 1', f'SAPA-B, {stem}, model 2']
