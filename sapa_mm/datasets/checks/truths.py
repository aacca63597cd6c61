"""What models learn from, and metrics compare with: label maps, depth maps or alpha mattes."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import METRICS, MODELS

from ...utils.configs import nested_configs
from ...utils.tasks import model_task
from .dataset_config import find_class
from .report import ReportLine


class Truth(NamedTuple):
    """What the models of a task learn from.

    Attributes:
        key (str): Its key in the data samples.
        maps (str): What it is called.
        step (str): The step that loads it.
        metrics (tuple[str, ...]): The classes of the metrics that compare with it.
    """

    key: str
    maps: str
    step: str
    metrics: tuple[str, ...]


DEPTH = Truth('gt_depth_map', 'depth maps', 'LoadDepthAnnotation', ('DepthMetric',))
#: By task.
TRUTHS = {
    'depth': DEPTH,
    'segmentation': Truth(
        'gt_sem_seg',
        'label maps',
        'LoadAnnotations',
        ('IoUMetric', 'BoundaryIoUMetric', 'CityscapesMetric'),
    ),
    'matting': Truth('gt_alpha', 'alpha mattes', 'LoadFgAndBg', ('MattingMetric',)),
}


def truth_of(model: Any) -> Truth | None:
    """Tell what a model learns from.

    Args:
        model (dict, optional): Its config. Its default scope must be the current one.

    Returns:
        Truth or None: That; None for models of other tasks, and of somebody else.
    """
    model = (model or {}).get('module', model)  # of a wrapper for test time augmentation
    kind = find_class(MODELS, (model or {}).get('type'))
    return TRUTHS.get(model_task(kind) or '') if is_known(kind) else None


def is_known(kind: Any) -> bool:
    """Tell whether a class is of mmseg, or ours."""
    return inspect.isclass(kind) and kind.__module__.startswith(('mmseg.', 'sapa_mm.'))


def metrics_of(cfg: Config, split: str) -> Iterator[tuple[str, dict, Truth]]:
    """Find the metrics of a split that compare with a truth.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        split (str): 'val' or 'test'.

    Yields:
        tuple[str, dict, Truth]: The key and the config of each, and what it compares with.
    """
    name = f'{split}_evaluator'
    for key, metric in nested_configs(cfg.get(name), name):
        kind = find_class(METRICS, metric.get('type'))
        if not is_known(kind) or metric.get('format_only'):
            continue
        bases = {base.__name__ for base in inspect.getmro(kind)}
        for truth in TRUTHS.values():
            if not bases.isdisjoint(truth.metrics):
                yield key, metric, truth


def find_metric_problems(cfg: Config, split: str) -> Iterator[ReportLine]:
    """Find metrics that fail on what the model gives.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        split (str): 'val' or 'test'.

    Yields:
        ReportLine: The errors.
    """
    given = truth_of(cfg.get('model'))
    for key, metric, truth in metrics_of(cfg, split):
        if given not in (None, truth):
            kind = find_class(METRICS, metric['type']).__name__
            text = f'{kind} evaluates {truth.maps}, the model gives {given.maps}'
            yield ReportLine('error', f'{key}: {text}')
