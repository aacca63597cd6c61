"""Data sets, losses and metrics that leave out different labels."""

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config

from sapa_mm.datasets.checks.ignored_labels import find_ignored_problems, ignored_labels
from sapa_mm.engine.config import in_scope, read_config

from ...support.configs import CONFIGS, SEGFORMER

DATASETS = [f'{split}_dataloader.dataset' for split in ('train', 'val')]
LOSS = 'model.decode_head.ignore_index'
METRICS = ['val_evaluator.0.ignore_index', 'val_evaluator.1.ignore_index']
PADDING = 'model.data_preprocessor.seg_pad_val'
#: 254 is left out everywhere.
EVERYWHERE = dict.fromkeys((LOSS, PADDING, *METRICS), 254)
EVERYWHERE |= {f'{name}.ignore_index': 254 for name in DATASETS}
EVERYWHERE |= {f'{name}.reduce_zero_label': False for name in DATASETS}


def problems(changes, splits=('train', 'val')):
    cfg = read_config(str(CONFIGS / SEGFORMER.format('sapa-d')), changes)
    with in_scope(cfg):
        return [(line.kind, line.text) for line in find_ignored_problems(cfg, splits)]


def without(*keys):
    return {key: value for key, value in EVERYWHERE.items() if key not in keys}


@pytest.mark.parametrize('changes', [{}, EVERYWHERE, without(*METRICS[1:]) | {METRICS[1]: 254}])
def test_one_label_everywhere(changes):
    assert problems(changes) == []


def test_a_metric_without_it():
    ((kind, text),) = problems(without(METRICS[1]))
    assert kind == 'error'
    assert text.startswith(
        'val_evaluator.1.ignore_index is 255, val_dataloader.dataset.ignore_index is 254: '
    )
    # The data set need not say it.
    ((kind, text),) = problems(without(METRICS[1], 'val_dataloader.dataset.ignore_index'))
    assert (kind, text[:66]) == ('error', f'{METRICS[1]} is 255, {METRICS[0]} is 254: '[:66])


def test_a_loss_without_it():
    (kind, text), *others = problems(without(LOSS))
    assert kind == 'error'
    assert text.startswith(f'{LOSS} is 255, train_dataloader.dataset.ignore_index is 254: ')
    assert [kind for kind, _ in others] == ['note', 'note']
    # Training and validation may have label maps of two sources.
    other_maps = without(LOSS, PADDING, 'train_dataloader.dataset.ignore_index')
    ((kind, text),) = problems(other_maps)
    assert (kind, text[:52]) == ('note', f'{METRICS[0]} is 254, {LOSS} is'[:52])


def test_a_class_that_some_leave_out():
    """Class 0 by the loss and one of two metrics."""
    zeros = {f'{name}.reduce_zero_label': False for name in DATASETS}
    lines = problems({**zeros, LOSS: 0, METRICS[0]: 0})
    assert {kind for kind, _ in lines} == {'note'}
    texts = [text for _, text in lines]
    assert any(f'{METRICS[1]} is 255, ' in text for text in texts)
    assert any(PADDING in text and f'{LOSS} is 0' in text for text in texts)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'train_dataloader.dataset.reduce_zero_label': True}, 'reduce_zero_label makes 0 255'),
        (
            {
                'train_dataloader.dataset.type': 'ADE20KDataset',
                'train_dataloader.dataset.metainfo': {'classes': ('wall', 'sky')},
            },
            'metainfo.classes makes the classes that it leaves out 255',
        ),
    ],
)
def test_what_mmseg_itself_writes(changes, reason):
    ((kind, text),) = problems({**EVERYWHERE, **changes})
    assert (kind, text) == ('error', f'{LOSS} is 254, but train_dataloader.dataset.{reason}')


def test_who_reads_labels():
    evaluator = [{'type': 'IoUMetric', 'format_only': True, 'output_dir': 'out'}]
    evaluator.append({'type': 'mmseg.IoUMetric', 'ignore_index': 7})
    cfg = {'model': {'decode_head': {'num_classes': 2}}, 'test_evaluator': evaluator}
    assert ignored_labels(Config(cfg), 'test') == {'test_evaluator.1.ignore_index': 7}
    assert ignored_labels(Config(cfg), 'train') == {'model.decode_head.ignore_index': 255}
    assert ignored_labels(Config({**cfg, 'model': {'neck': {}}}), 'test') == {}
    dice = [{'type': 'DiceLoss', 'ignore_index': None}]  # as in mmseg's configs of SAN
    cfg['model']['decode_head']['loss_decode'] = dice
    assert ignored_labels(Config(cfg), 'train') == {'model.decode_head.ignore_index': 255}
