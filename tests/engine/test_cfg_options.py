"""Values and keys of --cfg-options."""

import argparse
import copy

import pytest
from mmengine.config import Config, DictAction

from sapa_mm.engine.arguments import add_cfg_options
from sapa_mm.engine.cfg_options import apply_options, parse_value

CONFIG = {
    'data_root': '/data',
    'model': {
        'type': 'Model',
        'backbone': {'type': 'MixVisionTransformer', 'init_cfg': None},
        'decode_head': {'num_classes': 3, 'upsample_cfg': {'type': 'sapa_b'}},
    },
    'train_dataloader': {'dataset': {'data_root': '/data', 'pipeline': [{'type': 'A'}, {}]}},
    'train_cfg': {'max_iters': 4},
    'default_hooks': {'checkpoint': {'interval': 1}},
    'test_evaluator': {'type': 'DumpResults', 'collect_device': 'cpu'},
}


@pytest.mark.parametrize(
    'text',
    [
        *('1', '-1.5', '1e-3', 'nan', 'True', 'false', 'None', 'none', '0x10', 'a/b.c', 'a=b'),
        *('[a,b]', '[a, b]', '1,2', '(1,2)', '( 1 , 2 )', '[]', '()', '(1,)', '1,', '[1,,2]'),
        *('[(1, 2), [a,b], c]', '[1,[2,[3]]]', '"[a, b]"', "'[1,2]'", '"3"', "'a'", "'None'"),
    ],
)  # fmt: skip
def test_values_that_mmengine_reads(text):
    assert repr(parse_value(text)) == repr(DictAction._parse_iterable(text))


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('/data/my data set', '/data/my data set'),
        ("joe's data (1, 2)", "joe's data (1, 2)"),
        ('(old) data', '(old) data'),
        ('{a}_{b}, c.png', '{a}_{b}, c.png'),
        ('a b,c d', ['a b', 'c d']),
        ('[a b, c]', ['a b', 'c']),
        ('"a, b"', 'a, b'),
        ("['a, b', c]", ['a, b', 'c']),
        ('[a],[b]', [['a'], ['b']]),
        ("{'a': 1, 'b': [2]}", {'a': 1, 'b': [2]}),
        ("dict(type='SGD', lr=0.1)", {'type': 'SGD', 'lr': 0.1}),
        ("[{'a': 'b, c', 'd': 1}, dict(e=')')]", [{'a': 'b, c', 'd': 1}, {'e': ')'}]),
    ],
)
def test_values_that_mmengine_spoils(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a=[1,2', ": a: brackets do not match in '[1,2'"),
        ("a='b, c", ': a: quotes do not match'),
        ('a', " takes key=value pairs, got 'a'"),
        ('a=', " takes key=value pairs, got 'a='"),
        ('=1', " takes key=value pairs, got '=1'"),
    ],
)
def test_options_that_cannot_be_read(text, message, capsys):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser, '')
    with pytest.raises(SystemExit, match='2'):
        parser.parse_args(['--cfg-options', text])
    assert f'error: --cfg-options{message}' in capsys.readouterr().err


def test_options_of_several_flags():
    parser = argparse.ArgumentParser()
    add_cfg_options(parser, '')
    first, second = ['--cfg-options', 'a=1', 'b=x y'], ['--cfg-options', 'a=a=b']
    assert parser.parse_args([*first, *second]).cfg_options == {'a': 'a=b', 'b': 'x y'}
    assert parser.parse_args([]).cfg_options is None


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('trian_cfg.max_iters', 'there is no trian_cfg; did you mean train_cfg?'),
        ('max_iters', 'there is no max_iters; did you mean train_cfg.max_iters?'),
        ('xyz', 'there is no xyz'),
        (
            'train_cfg.max_iters.x',
            'train_cfg.max_iters.x: train_cfg.max_iters is 4, not a dict or a ',
        ),
        ('model.backbone.init_cfg.type', 'init_cfg is None, not a dict or a list'),
        (
            'train_dataloader.dataset.pipeline.2.type',
            'train_dataloader.dataset.pipeline is a list, 2 is not one of 0 to 1',
        ),
        ('train_dataloader.dataset.pipeline.-1', 'pipeline is a list, -1 is not one of 0 to 1'),
        ('train_cfg..max_iters', "'train_cfg..max_iters' is no dotted key"),
        ('custom_imports.imports', 'custom_imports come too late'),
    ],
)
def test_keys_that_do_not_fit(key, message):
    with pytest.raises(ValueError, match=message):
        apply_options(Config(copy.deepcopy(CONFIG)), {key: 1})


@pytest.mark.parametrize('value', [2.5, [1, 2], None, {'b': 2}])
def test_items_of_a_list(value):
    cfg = Config({'model': {'mean': [0.0, {'a': 1}]}})
    apply_options(cfg, {'model.mean.1': value})
    assert cfg.model.mean == [0.0, {'a': 1, 'b': 2} if isinstance(value, dict) else value]


def test_a_dict_in_place_of_a_list():
    """mmengine takes its keys for indices."""
    cfg = Config({'model': {}, 'val_evaluator': [{'a': 1}]})
    apply_options(cfg, {'val_evaluator': {'type': 'IoUMetric'}})
    assert cfg.val_evaluator == {'type': 'IoUMetric'}


@pytest.mark.parametrize('key', ['train_dataloader.dataset.data_root', 'work_dir', 'load_from'])
def test_lists_of_paths(key):
    with pytest.raises(ValueError, match=f'^{key} is one path, got .*quote'):
        apply_options(Config(copy.deepcopy(CONFIG)), {key: ['a', 'b']})


@pytest.mark.parametrize(
    ('key', 'warning'),
    [
        (
            'train_cfg.max_itres',
            'train_cfg has no max_itres, which is added; did you mean max',
        ),
        (
            'model.decode_haed.channels',
            'model has no decode_haed, which is added; did you',
        ),
        ('default_hooks.chekpoint.x', 'default_hooks has no chekpoint'),
        (
            'data_root',
            'data_root may have no effect: it is a variable of the file, which has used it '
            'already; set train_dataloader.dataset.data_root',
        ),
        *(
            (key, None)
            for key in (
                'model.decode_head.upsample_cfg.kernel_size',
                'model.decode_head.num_classes',
                'model.backbone.with_cp',
                'load_from',
                'resume',
                'randomness.seed',
                'val_evaluator.1.ignore_index',
                'default_hooks.checkpoint.save_best',
                'train_dataloader.dataset.pipeline.1.type',
                'train_dataloader.batch_size',
                'auto_scale_lr.base_batch_size',
                'tta_model.type',
                'test_evaluator.collect_dir',
            )
        ),
    ],
)
def test_keys_that_are_new(key, warning, monkeypatch):
    warnings = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: warnings.append(text))
    apply_options(Config(copy.deepcopy(CONFIG)), {key: 1})
    assert bool(warnings) == bool(warning)
    assert not warning or warnings[0].startswith(f'cfg_options: {warning}')
