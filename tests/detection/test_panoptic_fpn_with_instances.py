"""The panoptic map is the stock one; the instances are returned as well."""

import copy

import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.models.detectors import PanopticFPN
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules

from sapa_mm.detection import PanopticFPNWithInstances

from ..support.configs import load

NAME = 'panoptic-fpn_r18-small_sapa-d_1xb8-300_scenes-160x160'


def build(cfg, **changes):
    torch.manual_seed(0)
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(changes)
    return MODELS.build(cfg.model).eval()


def predict(model, samples=2):
    metas = dict(img_shape=(64, 96), ori_shape=(61, 90), scale_factor=(96 / 90, 64 / 61))
    metas['batch_input_shape'] = metas['pad_shape'] = (64, 96)
    images = torch.randn(samples, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.predict(images, [DetDataSample(metainfo=metas) for _ in range(samples)])


@pytest.fixture
def cfg():
    register_all_modules(init_default_scope=True)
    return load(NAME)


@pytest.mark.parametrize('threshold', [0.0, 0.15, 0.16, 2.0])
def test_panoptic_map_is_that_of_the_stock_class(cfg, threshold):
    """An untrained model's scores are around 1/7."""
    own = build(
        cfg,
        **{'model.test_cfg.rcnn.score_thr': 0.05, 'model.test_cfg.panoptic.score_thr': threshold},
    )
    stock = build(
        cfg, **{'model.type': 'PanopticFPN', 'model.test_cfg.rcnn.score_thr': max(threshold, 0.05)}
    )
    assert type(own) is PanopticFPNWithInstances
    assert type(stock) is PanopticFPN
    stock.load_state_dict(own.state_dict())
    found = 0
    for sample, expected in zip(predict(own), predict(stock), strict=True):
        assert torch.equal(sample.pred_panoptic_seg.sem_seg, expected.pred_panoptic_seg.sem_seg)
        assert sample.pred_panoptic_seg.sem_seg.shape == (1, 61, 90)
        instances = sample.pred_instances
        assert instances.masks.shape[1:] == (61, 90)
        assert len(instances.bboxes) == len(instances.masks) == len(instances.labels) > 0
        found += (sample.pred_panoptic_seg.sem_seg >= 1000).sum()
    assert (found > 0) == (threshold < 1)


def test_no_instance_at_all(cfg):
    own = build(cfg, **{'model.test_cfg.rcnn.score_thr': 2.0})
    for sample in predict(own):
        assert len(sample.pred_instances.bboxes) == 0
        assert (sample.pred_panoptic_seg.sem_seg < 1000).all()
