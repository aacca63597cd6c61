"""The metrics that a run is steered by: the best checkpoint, stopping early, learning rates."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook

from ..datasets.checks.metrics import (
    COCO_ITEMS,
    DEPTH_METRICS,
    IOU_METRICS,
    MATTING_METRICS,
    PROPOSAL_ITEMS,
)
from ..utils.configs import nested_configs, type_name
from ..utils.log import log_warning
from .config import ConfigError

# What mmengine's own lists lack, as parts of names in lower case.
_LESS = [
    'abs_rel',
    'sq_rel',
    'rmse',
    'log10',
    'silog',
    'mse',
    'mae',
    'sad',
    'grad',
    'conn',
    'error',
]
_GREATER = ['iou', 'dice', 'fscore', 'recall', '_ap', '/ap', 'pq', 'sq', 'rq', 'd1', 'd2', 'd3']

_PANOPTIC = [f'{kind}{part}' for part in ('', '_th', '_st') for kind in ('PQ', 'SQ', 'RQ')]


def set_rules(cfg: Config) -> None:
    """Set whether more or less of each monitored metric is better, where the config does not say.

    mmengine knows that of few names, and takes less for better in the schedules.

    Args:
        cfg (Config): The config of a training.

    Raises:
        ValueError: If that is unknown, or no metric of the validation has the name.
    """
    names, is_all = metric_names(cfg.get('val_evaluator'))
    for key, user, wanted in _users(cfg):
        if cfg.get('val_evaluator') is None:
            log_warning(f'{key}: {", ".join(wanted)} has no effect without a validation')
        for name in wanted:
            if is_all and name not in ('auto', *names) and 'loss' not in name:
                raise ValueError(_no_such_metric(key, name, names))
        rules = [None if name == 'auto' else infer_rule(name) for name in wanted]
        if not {'rule', 'greater_keys', 'less_keys'}.isdisjoint(user):
            continue
        for name, rule in zip(wanted, rules, strict=True):
            if rule is None and name != 'auto':
                place = key.rpartition('.')[0]
                raise ValueError(
                    f"{place}.rule must be 'greater' or 'less', whichever is better for {name}"
                )
        if rules != [None]:
            user['rule'] = rules[0] if len(rules) == 1 else rules


def infer_rule(name: str) -> str | None:
    """Infer whether more or less of a metric is better.

    Args:
        name (str): Its name.

    Returns:
        str or None: 'greater' or 'less'; None if it is unknown.
    """
    for rule, parts in (
        ('greater', CheckpointHook._default_greater_keys),
        ('less', CheckpointHook._default_less_keys),
        ('less', _LESS),
        ('greater', _GREATER),
    ):
        if any(part.lower() in name.lower() for part in parts):
            return rule
    return None


def metric_names(evaluator: Any) -> tuple[list[str], bool]:
    """Name the metrics that an evaluator gives.

    Args:
        evaluator (Any): Its config.

    Returns:
        tuple[list[str], bool]: The names, and whether these are all. Those of each class, and of
        metrics other than the hosts' and ours, are not known.
    """
    names: list[str] = []
    is_all = evaluator is not None
    for _, metric in nested_configs(evaluator, 'evaluator'):
        kind = type_name(metric.get('type'))
        if 'type' not in metric or kind == 'Evaluator':
            continue
        prefix: str | None = None
        own: list[str] = []
        match kind:
            case 'DumpResults' | 'DumpDetResults' | 'DumpProposals':
                continue
            case 'IoUMetric':
                kinds = metric.get('iou_metrics', ['mIoU'])
                own = ['aAcc', *(name for one in kinds for name in IOU_METRICS.get(one, ()))]
            case 'BoundaryIoUMetric':
                own = ['bIoU']
            case 'DepthMetric' | 'MonocularDepthMetric':
                own = list(metric.get('depth_metrics') or DEPTH_METRICS)
            case 'MattingMetric':
                own = list(MATTING_METRICS)
            case 'PanopticMetric' | 'CocoPanopticMetric':
                prefix, own = 'coco_panoptic', _PANOPTIC
            case 'CocoMetric':
                prefix, own = 'coco', _coco_names(metric)
            case _:
                is_all = False
        if metric.get('format_only'):
            own = []
        is_all = is_all and not metric.get('classwise')
        prefix = metric.get('prefix') or prefix
        names += [f'{prefix}/{name}' if prefix else name for name in own]
    return list(dict.fromkeys(names)), is_all


def _coco_names(metric: Mapping) -> list[str]:
    kinds = metric.get('metric', 'bbox')
    items = metric.get('metric_items')
    names = []
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == 'proposal_fast':
            names += [f'AR@{number}' for number in metric.get('proposal_nums', (100, 300, 1000))]
        elif kind == 'proposal':
            names += items or PROPOSAL_ITEMS
        else:
            names += [f'{kind}_{item}' for item in items or COCO_ITEMS]
    return names


class MonitoredMetricsHook(Hook):
    """Refuse names of metrics that the validation does not have, when it first ends.

    A metric that is only missing now, such as mmdet's AP of no detections, is passed over.

    Args:
        cfg (Config): The config of the run.
    """

    # After metrics are logged, before the hooks that look at them.
    priority = 'LOW'

    def __init__(self, cfg: Config) -> None:
        self._users = [(key, name) for key, _, names in _users(cfg) for name in names]
        self._others = {name for key, name in self._users if key.endswith('monitor')}
        self._known = set(metric_names(cfg.get('val_evaluator'))[0])

    def after_val_epoch(self, runner, metrics: dict[str, Any]) -> None:
        """Check the names, and infer the rule of ``save_best='auto'``.

        Args:
            runner (Runner): The runner.
            metrics (dict): Metrics by name.

        Raises:
            ConfigError: If there is no metric of a name, or no rule for the first one.
        """
        self._known |= metrics.keys()
        there = list(metrics)
        for key, name in self._users:
            if name not in ('auto', *there) and there:
                if name not in self._known:
                    raise ConfigError(_no_such_metric(key, name, there))
                if key.endswith('save_best') and name not in self._others:
                    metrics[name] = None  # which CheckpointHook skips
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.save_best == ['auto'] and there:
                hook.rules = [hook.rules[0] or infer_rule(there[0])]


def _users(cfg: Config) -> Iterator[tuple[str, dict, list[str]]]:
    """The key, the config and the names of metrics of whatever looks at metrics."""
    hooks = cfg.get('default_hooks') or {}
    parts = [(f'default_hooks.{key}', hook) for key, hook in hooks.items()]
    for key in ('custom_hooks', 'param_scheduler'):
        value = cfg.get(key) or []
        many = isinstance(value, (list, tuple))
        parts += [(f'{key}.{i}', one) for i, one in enumerate(value)] if many else [(key, value)]
    for key, part in parts:
        if not isinstance(part, dict):
            continue
        kind = type_name(part.get('type'))
        if kind == 'CheckpointHook' or key == 'default_hooks.checkpoint':
            name = 'save_best'
        elif kind == 'EarlyStoppingHook' or kind.startswith('ReduceOnPlateau'):
            name = 'monitor'
        else:
            continue
        wanted = part.get(name)
        if isinstance(wanted, (str, list, tuple)):
            yield f'{key}.{name}', part, [wanted] if isinstance(wanted, str) else list(wanted)


def _no_such_metric(key: str, name: str, there: list[str]) -> str:
    return f'{key}: the validation has no metric {name}; it has {", ".join(there)}'
