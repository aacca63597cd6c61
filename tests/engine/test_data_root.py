"""One folder moves the data of a config, or the config is refused by name."""

import pytest
from mmengine.config import Config

from sapa_mm.engine.config import read_config
from sapa_mm.engine.data_root import move_data

from ..support.configs import PATHS

SPLITS = ('train', 'val', 'test')


def a_config(*roots, wrap=lambda dataset: dataset, evaluator=None, **settings):
    """A config with the datasets of its splits in these folders."""
    cfg = {}
    for split, root in zip(SPLITS, roots, strict=False):
        dataset = {'type': 'CocoDataset', 'ann_file': f'{split}.json', **settings}
        if root is not None:
            dataset['data_root'] = root
        cfg[f'{split}_dataloader'] = {'dataset': wrap(dataset)}
        cfg[f'{split}_evaluator'] = evaluator or {}
    return Config(cfg)


def test_the_configs_of_the_paper(tmp_path):
    for name, evaluator in (
        ('segformer_mit-b1_sapa-d_8xb2-80k_ade20k-512x512', {}),
        ('faster-rcnn_r50_fpn-sapa-d_1x_coco', {'ann_file': 'annotations/instances_val2017.json'}),
        (
            'panoptic-fpn_r50_sapa-d_1x_coco',
            {
                'ann_file': 'annotations/panoptic_val2017.json',
                'seg_prefix': 'annotations/panoptic_val2017',
            },
        ),
    ):
        cfg, stock = (read_config(str(PATHS[name]), None, root) for root in (str(tmp_path), None))
        for split in SPLITS:
            dataset = cfg[f'{split}_dataloader'].dataset
            assert dataset.pop('data_root') == str(tmp_path)
            own = stock[f'{split}_dataloader'].dataset
            own.pop('data_root')
            assert dataset == own
        for split in SPLITS[1:]:
            metric = cfg[f'{split}_evaluator']
            moved = {key: str(tmp_path / path) for key, path in evaluator.items()}
            assert {key: metric[key] for key in evaluator} == moved


@pytest.mark.parametrize('inside', ['a.json', 'annotations/a.json', './annotations/../a.json'])
@pytest.mark.parametrize('new', ['/other', '/other/', 'here/there', '../other/.'])
@pytest.mark.parametrize('old', ['data/coco', 'data/coco/', './data//coco', '/data/coco', '', None])
def test_files_of_evaluators_follow(old, new, inside):
    path = f'{old.rstrip("/")}/{inside}' if old else inside
    settings = move_data(a_config(old, old, evaluator=[{}, {'ann_file': path}]), new)
    expected = 'annotations/a.json' if inside == 'annotations/a.json' else 'a.json'
    assert settings.pop('val_evaluator.1.ann_file') == f'{new.rstrip("/")}/{expected}'
    assert settings.pop('train_evaluator.1.ann_file')
    assert settings == {f'{split}_dataloader.dataset.data_root': new for split in SPLITS[:2]}


@pytest.mark.parametrize('path', ['/elsewhere/a.json', 'data/coco2/a.json', '../a.json', None, 5])
def test_other_files_of_evaluators_stay(path):
    settings = move_data(a_config('data/coco', evaluator={'ann_file': path}), '/new')
    assert settings == {'train_dataloader.dataset.data_root': '/new'}


def test_wrappers():
    def wrap(dataset):
        dataset = {'type': 'ClassBalancedDataset', 'dataset': dataset}
        return {'type': 'MultiImageMixDataset', 'dataset': dataset, 'pipeline': []}

    settings = move_data(a_config('data', wrap=wrap), '/new')
    assert settings == {'train_dataloader.dataset.dataset.dataset.data_root': '/new'}


def test_absolute_paths_of_a_dataset():
    """They do not follow its ``data_root``."""
    paths = dict(ann_file='/data/coco/a.json', data_prefix=dict(img='/data/coco/img/', seg=None))
    settings = move_data(a_config('/data/coco/', **paths), '/new')
    assert settings == {
        'train_dataloader.dataset.data_root': '/new',
        'train_dataloader.dataset.ann_file': '/new/a.json',
        'train_dataloader.dataset.data_prefix.img': '/new/img',
    }
    with pytest.raises(
        ValueError, match=r'^`data_root` has no effect on .*\.dataset\.data_prefix\.i'
    ):
        move_data(a_config(None, **paths), '/new')


def test_what_is_refused():
    def concatenate(dataset):
        parts = {'type': 'ConcatDataset', 'datasets': [dataset, dataset]}
        return {'type': 'RepeatDataset', 'dataset': parts}

    key = 'val_dataloader.dataset.dataset'
    cfg = a_config('data', 'data', wrap=concatenate)
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match=f'^`data_root` moves single datasets, {key} is a ConcatD'):
        move_data(cfg, '/new')
    kept = [f'{key}.datasets.{index}.data_root' for index in range(2)]
    with pytest.raises(ValueError, match='^data_root: the config has no dataset to move'):
        move_data(cfg, '/new', kept)
    with pytest.raises(ValueError, match=r': train_dataloader.dataset.data_root=a, val_.*=b, '):
        move_data(a_config('a', 'b', 'a/'), '/new')


def test_other_options_win(tmp_path):
    evaluator = {'ann_file': 'a/x.json'}
    key = 'val_dataloader.dataset.data_root'
    kept = move_data(a_config('a', 'b', 'a', evaluator=evaluator), '/new', [key])
    assert kept.keys() == {
        f'{split}_{rest}'
        for split in ('train', 'test')
        for rest in ('dataloader.dataset.data_root', 'evaluator.ann_file')
    }
    path = str(PATHS['faster-rcnn_r50_fpn-sapa-d_1x_coco'])
    cfg = read_config(path, {key: 'b', 'test_evaluator.ann_file': 'c'}, str(tmp_path))
    roots = [cfg[f'{split}_dataloader'].dataset.data_root for split in SPLITS]
    assert roots == [str(tmp_path), 'b', str(tmp_path)]
    assert cfg.test_evaluator.ann_file == 'c'
    assert cfg.val_evaluator.ann_file == 'data/coco/annotations/instances_val2017.json'


def test_a_folder_that_is_not_there(tmp_path):
    path = str(PATHS['faster-rcnn_r50_fpn-sapa-d_1x_coco'])
    for folder in (str(tmp_path / 'gone'), ''):
        with pytest.raises(FileNotFoundError, match=f"^data_root: '{folder}' is not a folder"):
            read_config(path, None, folder)
    assert read_config(path, None, 's3://coco').train_dataloader.dataset.data_root == 's3://coco'
