"""What is wrong with the settings of metrics, which look at most of them after all images."""

import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS

from ...utils.configs import datasets_of, nested_configs, type_name
from .dataset_config import find_class
from .report import ReportLine

#: What IoUMetric gives for each of its ``iou_metrics``.
IOU_METRICS = {
    'mIoU': ('mIoU', 'mAcc'),
    'mDice': ('mDice', 'mAcc'),
    'mFscore': ('mFscore', 'mPrecision', 'mRecall'),
}
#: What DepthMetric and MonocularDepthMetric give.
DEPTH_METRICS = (
    'd1', 'd2', 'd3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog'
)  # fmt: skip
#: What MattingMetric gives.
MATTING_METRICS = ('SAD', 'MSE', 'Grad', 'Conn')
#: The ``metric_items`` of CocoMetric, for boxes and masks and for proposals.
COCO_ITEMS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
PROPOSAL_ITEMS = ('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')
#: Names that settings of the hosts' metrics take.
_NAMES = {
    'IoUMetric': {'iou_metrics': tuple(IOU_METRICS)},
    'CocoMetric': {
        'metric': ('bbox', 'segm', 'proposal', 'proposal_fast'),
        'metric_items': COCO_ITEMS + PROPOSAL_ITEMS,
    },
}
#: What metrics of mmdet read from the data samples if they have no annotation file.
_UNPACKED = {
    'CocoMetric': 'instances',
    'CocoPanopticMetric': 'segments_info',
    'LVISMetric': 'instances',
}


def find_metric_setting_problems(cfg: Config, split: str) -> Iterator[ReportLine]:
    """Find metrics that ask for what there is not.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        split (str): 'val' or 'test'.

    Yields:
        ReportLine: The errors.
    """
    evaluator = f'{split}_evaluator'
    for key, metric in nested_configs(cfg.get(evaluator), evaluator):
        kind = type_name(metric.get('type'))
        for setting, allowed in _NAMES.get(kind, {}).items():
            given = metric.get(setting) or ()
            names = [given] if isinstance(given, str) else given
            if wrong := [name for name in names if name not in allowed]:
                text = f'allowed are {", ".join(allowed)}, got {wrong}'
                yield ReportLine('error', f'{key}.{setting}: {text}')
        wants_masks = 'segm' in (metric.get('metric') or ()) and not metric.get('format_only')
        if kind == 'CocoMetric' and wants_masks and _gives_boxes_alone(cfg.get('model')):
            text = f'segm needs masks, {type_name(cfg.model["type"])} gives boxes alone'
            yield ReportLine('error', f'{key}.metric: {text}')
        yield from _find_unpacked(cfg, split, key, metric)


def _gives_boxes_alone(model: Any) -> bool:
    """Whether a model is a detector of mmdet, or ours, without a head for masks."""
    parts = list(nested_configs(model, 'model'))
    if not parts or not ('roi_head' in model or 'bbox_head' in model):
        return False
    kinds = [find_class(MODELS, part.get('type')) for _, part in parts if 'type' in part]
    names = [kind.__name__ for kind in kinds if inspect.isclass(kind)]
    has_masks = any('Mask' in name or 'Ins' in name for name in names)
    heads = [key for _, part in parts for key, value in part.items() if value]
    is_known = kinds[0] is not None and kinds[0].__module__.startswith(('mmdet.', 'sapa_mm.'))
    return is_known and not has_masks and not any('mask' in head for head in heads)


def _find_unpacked(cfg: Config, split: str, place: str, metric: dict) -> Iterator[ReportLine]:
    """Find datasets that do not pass on the truth to a metric of mmdet that has no file of it."""
    key = _UNPACKED.get(kind := type_name(metric.get('type')))
    if key is None or metric.get('ann_file') or metric.get('format_only'):
        return
    for name, dataset in datasets_of(cfg, split):
        steps = [step for _, step in nested_configs(dataset.get('pipeline'), '')]
        packs = [step for step in steps if type_name(step.get('type')) == 'PackDetInputs']
        if packs and not any(key in step.get('meta_keys', ()) for step in packs):
            text = f'{kind} needs ann_file, or {key!r} among the meta_keys of PackDetInputs'
            yield ReportLine('error', f'{place}: {text} in {name}.pipeline')
