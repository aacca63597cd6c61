"""Metrics that ask for what there is not are named before the run, not after all its images."""

import pytest
from mmengine.registry import DefaultScope

from sapa_mm.datasets.checks.metrics import find_metric_setting_problems

from ...support.configs import load

BOXES = 'faster-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160'
MASKS = 'mask-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160'
PIXELS = 'segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128'
ITEMS = 'mAP, mAP_50, mAP_75, mAP_s, mAP_m, mAP_l, AR@100, AR@300, AR@1000, AR_s@1000, AR_m@1000, '


def problems(name, **settings):
    pytest.importorskip('mmseg' if name == PIXELS else 'mmdet')
    cfg = load(name)
    metric = cfg.val_evaluator[0] if name == PIXELS else cfg.val_evaluator
    metric.update(settings)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return [line.text for line in find_metric_setting_problems(cfg, 'val')]


@pytest.mark.parametrize(
    ('name', 'settings', 'message'),
    [
        (PIXELS, {'iou_metrics': ['mIoU', 'IoU']}, "mIoU, mDice, mFscore, got ['IoU']"),
        (BOXES, {'metric': ['mAP']}, "bbox, segm, proposal, proposal_fast, got ['mAP']"),
        (MASKS, {'metric_items': ['mAP', 'AR']}, f"{ITEMS}AR_l@1000, got ['AR']"),
        (BOXES, {'metric': ['bbox', 'segm']}, 'segm needs masks, FasterRCNN gives boxes alone'),
    ],
)
def test_what_there_is_not(name, settings, message):
    (text,) = problems(name, **settings)
    assert text.startswith(f'val_evaluator{".0" * (name == PIXELS)}.{next(iter(settings))}: ')
    assert text.endswith(message)


@pytest.mark.parametrize(
    ('name', 'settings'),
    [
        (PIXELS, {'iou_metrics': 'mIoU'}),
        (BOXES, {'metric': 'proposal_fast', 'metric_items': None}),
        (MASKS, {'metric': ['bbox', 'segm', 'proposal']}),
        (BOXES, {'metric': 'segm', 'format_only': True}),
    ],
)
def test_what_there_is(name, settings):
    assert problems(name, **settings) == []
