"""Metrics that steer a run: more or less is better, and whether they exist."""

import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from sapa_mm.engine.config import ConfigError
from sapa_mm.engine.monitored_metrics import (
    MonitoredMetricsHook,
    infer_rule,
    metric_names,
    set_rules,
)

IOU = {'type': 'IoUMetric'}
BIOU = {'type': 'mmseg.BoundaryIoUMetric'}
PANOPTIC = {'type': 'PanopticMetric', 'ann_file': 'a.json'}
BOXES = {'type': 'CocoMetric', 'metric': ['bbox', 'segm']}
EVALUATORS = [IOU, BIOU, PANOPTIC, BOXES, {'type': 'DumpDetResults'}]


def checkpoints(**settings):
    return {'default_hooks': {'checkpoint': {'type': 'CheckpointHook', **settings}}}


def test_names_and_rules_of_known_metrics():
    names, is_all = metric_names(
        [
            {'type': 'IoUMetric', 'iou_metrics': ['mIoU', 'mDice', 'mFscore'], 'prefix': 'my'},
            *EVALUATORS[1:],
        ]
    )
    assert is_all
    assert names == [
        'my/aAcc', 'my/mIoU', 'my/mAcc', 'my/mDice', 'my/mFscore', 'my/mPrecision', 'my/mRecall',
        'bIoU',
        *(f'coco_panoptic/{kind}Q{part}' for part in ('', '_th', '_st') for kind in 'PSR'),
        *(
            f'coco/{kind}_mAP{part}'
            for kind in ('bbox', 'segm') for part in ('', '_50', '_75', '_s', '_m', '_l')
        ),
    ]  # fmt: skip
    assert {infer_rule(name) for name in names} == {'greater'}


@pytest.mark.parametrize(
    'name',
    ['loss', 'val_loss', 'abs_rel', 'depth/sq_rel', 'rmse_log', 'SAD', 'MSE', 'Grad', 'Conn'],
)
def test_less_of_an_error_is_better(name):
    assert infer_rule(name) == 'less'


@pytest.mark.parametrize(
    'evaluator', [None, {'type': 'Mine'}, [IOU, {'type': 'Mine'}], {**BIOU, 'classwise': True}]
)
def test_metrics_that_are_not_all_known(evaluator):
    assert not metric_names(evaluator)[1]


@pytest.mark.parametrize(
    ('metric', 'names'),
    [
        ({'metric': 'proposal_fast', 'proposal_nums': (10,)}, ['coco/AR@10']),
        ({'metric_items': ['mAP', 'AR@100']}, ['coco/bbox_mAP', 'coco/bbox_AR@100']),
        ({'format_only': True}, []),
    ],
)
def test_names_of_coco_metrics(metric, names):
    assert metric_names({'type': 'CocoMetric', **metric}) == (names, True)


@pytest.mark.parametrize('names', ['bIoU', ['mIoU', 'coco_panoptic/PQ'], 'auto', 'val_loss'])
def test_the_best_checkpoint_needs_no_rule(names):
    cfg = Config({'val_evaluator': EVALUATORS, **checkpoints(save_best=names)})
    set_rules(cfg)
    hook = dict(cfg.default_hooks.checkpoint)
    hook.pop('type')
    expected = {'auto': [None], 'val_loss': ['less']}.get(str(names), ['greater'] * 3)
    own = CheckpointHook(**hook)
    assert own.rules == expected[: len(own.rules)]
    if isinstance(names, str):  # a copy of the config in a work directory may go without it
        CheckpointHook(**{**hook, 'save_best': None})


@pytest.mark.parametrize('kind', ['DepthMetric', 'mmseg.MonocularDepthMetric'])
def test_metrics_of_depth(kind):
    names, is_all = metric_names({'type': kind})
    assert is_all
    assert [name for name in names if infer_rule(name) == 'greater'] == ['d1', 'd2', 'd3']
    errors = ['abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog']
    assert [name for name in names if infer_rule(name) == 'less'] == errors
    few = {'type': kind, 'depth_metrics': ['rmse', 'd1'], 'prefix': 'my'}
    assert metric_names(few) == (['my/rmse', 'my/d1'], True)
    cfg = Config({'val_evaluator': few, **checkpoints(save_best='my/abs_rel')})
    with pytest.raises(ValueError, match='save_best: the validation has no metric my/abs_rel; it '):
        set_rules(cfg)


@pytest.mark.parametrize('own', [{'rule': 'less'}, {'greater_keys': ['bIoU']}])
def test_a_rule_of_the_config_stays(own):
    cfg = Config({'val_evaluator': BIOU, **checkpoints(save_best='bIoU', **own)})
    set_rules(cfg)
    assert cfg.default_hooks.checkpoint == {'type': 'CheckpointHook', 'save_best': 'bIoU', **own}


@pytest.mark.parametrize('key', ['custom_hooks', 'param_scheduler'])
def test_stopping_and_schedules_need_no_rule(key):
    kind = 'EarlyStoppingHook' if key == 'custom_hooks' else 'ReduceOnPlateauLR'
    part = {'type': kind, 'monitor': 'bIoU'}
    cfg = Config({'val_evaluator': [IOU, BIOU], key: [{'type': 'LinearLR'}, part]})
    set_rules(cfg)
    assert cfg[key][1].rule == 'greater'
    cfg[key][1].monitor = 'biou'
    with pytest.raises(ValueError, match=f'^{key}.1.monitor: the validation has no metric biou'):
        set_rules(cfg)


@pytest.mark.parametrize('names', ['bIou', ['mIoU', 'bIou']])
@pytest.mark.parametrize('rule', [{}, {'rule': 'greater'}])
def test_a_misspelt_name(names, rule):
    cfg = Config({'val_evaluator': [IOU, BIOU], **checkpoints(save_best=names, **rule)})
    message = '^default_hooks.checkpoint.save_best: the validation has no metric bIou; it has aAcc'
    with pytest.raises(ValueError, match=message):
        set_rules(cfg)


def test_a_name_without_a_known_rule():
    cfg = Config({'val_evaluator': {'type': 'Mine'}, **checkpoints(save_best='quality')})
    with pytest.raises(ValueError, match="^default_hooks.checkpoint.rule must be 'greater'"):
        set_rules(cfg)


class Runner:
    def __init__(self, *hooks):
        self.hooks = hooks


def test_names_that_only_the_first_validation_tells():
    cfg = Config({'val_evaluator': {'type': 'Mine'}, **checkpoints(save_best='score', rule='less')})
    hook = MonitoredMetricsHook(cfg)
    message = 'default_hooks.checkpoint.save_best: the validation has no metric score; it has Score'
    with pytest.raises(ConfigError, match=message):
        hook.after_val_epoch(Runner(), {'Score': 1.0})
    hook.after_val_epoch(Runner(), {'score': 1.0})
    metrics = {'Score': 1.0}
    hook.after_val_epoch(Runner(), metrics)
    assert metrics == {'Score': 1.0, 'score': None}  # only missing now


def test_a_metric_that_is_only_missing_at_first():
    """mmdet gives no AP where nothing is detected."""
    evaluators = [BOXES, PANOPTIC]
    cfg = Config({'val_evaluator': evaluators, **checkpoints(save_best='coco/bbox_mAP')})
    metrics = {'coco_panoptic/PQ': 0.0}
    MonitoredMetricsHook(cfg).after_val_epoch(Runner(), metrics)
    assert metrics['coco/bbox_mAP'] is None
    MonitoredMetricsHook(cfg).after_val_epoch(Runner(), {})


def test_the_first_metric_is_found_by_itself():
    cfg = Config({'val_evaluator': BIOU, **checkpoints(save_best='auto')})
    best = CheckpointHook(save_best='auto')
    MonitoredMetricsHook(cfg).after_val_epoch(Runner(best), {'bIoU': 1.0})
    assert best.rules == ['greater']


def test_names_without_a_validation(monkeypatch):
    warnings = []
    place = 'sapa_mm.engine.monitored_metrics.log_warning'
    monkeypatch.setattr(place, lambda text, **_: warnings.append(text))
    set_rules(Config(checkpoints(save_best='bIoU')))
    assert warnings == [
        'default_hooks.checkpoint.save_best: bIoU has no effect without a validation'
    ]
