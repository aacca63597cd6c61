"""NYU's fixed crop and the augmentation of colours, alone and in the training pipeline."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from mmcv.transforms import Compose
from mmengine.registry import init_default_scope
from mmseg.registry import TRANSFORMS

from sapa_mm.depth import ColorAug, FixedCrop

from ..support.configs import load


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def make_results(height=480, width=640):
    """An image and maps whose values tell the row and the column."""
    rows, columns = np.mgrid[:height, :width]
    return dict(
        img=np.stack([rows // 2, columns // 3, rows * 0], -1).astype(np.uint8),
        gt_depth_map=(rows + columns / 1000).astype(np.float32),
        seg_fields=['gt_depth_map'],
        img_path='a.jpg',
        img_shape=(height, width),
        ori_shape=(height, width),
    )


def seed():
    np.random.seed(0)  # noqa: NPY002 - what the transforms draw from


class TestFixedCrop:
    def test_is_the_cut_of_nyu(self):
        results = FixedCrop()(make_results())
        assert results['img'].shape == (427, 565, 3)
        assert results['img_shape'] == (427, 565)
        depth = results['gt_depth_map']
        assert depth.shape == (427, 565)
        assert (depth[0, 0], depth[-1, -1]) == pytest.approx((45.043, 471.607))
        assert results['img'][0, 0].tolist() == [45 // 2, 43 // 3, 0]

    def test_without_maps(self):
        results = make_results()
        del results['seg_fields']
        assert FixedCrop()(results)['img'].shape == (427, 565, 3)

    def test_another_size_is_refused(self):
        with pytest.raises(ValueError, match=r'img must be \(480, 640\) .* got \(481, 640\) in a'):
            FixedCrop()(make_results(481))
        results = make_results()
        results['gt_depth_map'] = results['gt_depth_map'][::2]
        with pytest.raises(ValueError, match=r'gt_depth_map must be \(480, 640\) .*\(240, 640\)'):
            FixedCrop()(results)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(rows=(45, 481)), r'rows .* 0 <= first < end <= 480, got \(45, 481\)'),
            (dict(columns=(9, 9)), r'columns .* 0 <= first < end <= 640, got \(9, 9\)'),
            (dict(rows=(-1, 9)), 'rows'),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            FixedCrop(**options)


class TestColorAug:
    def test_against_the_formula(self):
        """Power, brightness and colour on 0 to 255, then clipped."""
        results, transform = make_results(), ColorAug(1.0, brightness_range=(0.75, 1.25))
        image = results['img'].astype(np.float64)
        seed()
        out = transform(results)['img']
        draw = np.random.RandomState(0).uniform  # the same numbers
        draw()
        gamma, brightness, colors = draw(0.9, 1.1), draw(0.75, 1.25), draw(0.9, 1.1, 3)
        expected = np.clip(image**gamma * brightness * colors, 0, 255)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, expected, rtol=1e-5)
        assert results['gt_depth_map'][0, 1] == np.float32(0.001)

    def test_ranges_and_probability(self):
        transform = ColorAug(0.5, (1, 1), (0.8, 1.2), (1, 1))
        seed()
        factors = []
        for _ in range(400):
            out = transform(dict(img=np.full((1, 1, 3), 100, np.uint8)))['img']
            factors.append(float(out[0, 0, 0]) / 100)
        changed = [factor for factor in factors if factor != 1]
        assert 160 < len(changed) < 240
        assert 0.8 <= min(changed) < 0.83
        assert 1.17 < max(changed) <= 1.2

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(prob=1.5), 'prob must be in 0..1, got 1.5'),
            (dict(gamma_range=(1.1, 0.9)), r'gamma_range must have .* got \(1.1, 0.9\)'),
            (dict(color_range=(0, 1)), 'color_range must have 0 < low <= high'),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            ColorAug(**options)


def test_registered():
    for name in ('FixedCrop', 'ColorAug'):
        assert name in repr(TRANSFORMS.build(dict(type=name)))


def test_pipeline_of_nyu(tmp_path):
    """Image and depth stay together through cut, rotation, flip and crop; what is added is 0."""
    shape = (480, 640)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    depth = (1000 + 8 * rows + columns).astype(np.uint16)
    # The first channel has the depth, coarsely.
    image = np.stack([depth // 40, depth * 0, depth * 0], -1).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / 'a_1.png')
    Image.fromarray(depth).save(tmp_path / 'depth.png')
    cfg = load('depthformer_swin-t_bilinear_2xb8-38k_nyu')
    steps = [dict(step) for step in cfg.train_dataloader.dataset.pipeline]
    for step in steps:
        if step['type'] == 'ColorAug':
            step['prob'] = 0.0
    pipeline = Compose([TRANSFORMS.build(step) for step in steps])
    seed()
    directions, rotated = set(), 0
    for _ in range(12):
        paths = dict(img_path=str(tmp_path / 'a_1.png'), depth_map_path=str(tmp_path / 'depth.png'))
        packed = pipeline({**paths, 'seg_fields': []})
        image = packed['inputs'].float()
        sample = packed['data_samples']
        target = sample.gt_depth_map.data
        assert image.shape == (3, 416, 544)
        assert target.shape == (1, 416, 544)
        measured = target > 0
        error = image[2:] * 40 / 1000 - target  # BGR
        assert error[measured].abs().median() < 0.03
        assert error[measured].abs().quantile(0.99) < 0.06
        assert not target[~measured].any()
        rotated += bool((~measured).any())
        directions.add(sample.metainfo['flip'])
        assert target[measured].min() > 1.3
        assert target.max() < 6
    assert directions == {True, False}
    assert rotated
