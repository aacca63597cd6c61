"""What stands in a checkpoint beside its weights is data, whoever wrote it."""

import contextlib
import sys

import pytest

pytest.importorskip('mmseg')

import torch
from mmseg.datasets import ADE20KDataset

from sapa_mm.engine import CheckpointError
from sapa_mm.engine.published import read_published
from sapa_mm.engine.trained_model import _dataset_meta, load_trained, publish

from ..support.configs import SEGFORMER, load, model_files


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return model_files(tmp_path_factory.mktemp('model'), SEGFORMER, 'sapa-b')


@pytest.fixture
def with_meta(files, tmp_path):
    """Write the checkpoint with other metadata."""

    def write(meta):
        path = str(tmp_path / 'changed.pth')
        torch.save({**torch.load(files[1]), 'meta': meta}, path)
        return files[0], path

    return write


@pytest.mark.parametrize(
    'text',
    [
        'import os\nos.mkdir({!r})',
        "model = dict(type=__import__('os').mkdir({!r}))",
        "model = dict(type='EncoderDecoder', **__import__('os').mkdir({!r}))",
        'model = dict(type=f\'{{__import__("os").mkdir({!r})}}\')',
        'model = [__import__("os").mkdir({!r}) for _ in "a"]',
        'custom_imports = dict(imports=["hostile_module"])  # {!r}',
        'model = dict(' * 10**5,
        'model = dict(a=' * 95 + '1' + ')' * 95,
        'model = 9**9**9',
        'model = "\ud800"\x00',
        5,
        None,
    ],
)
def test_a_hostile_config(with_meta, tmp_path, monkeypatch, text):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'hostile_module.py').write_text('')
    marker = tmp_path / 'marker'
    meta = {'cfg': text.format(str(marker)) if isinstance(text, str) else text}
    assert load_trained(*with_meta(meta)).model is not None
    assert not marker.exists()
    assert 'hostile_module' not in sys.modules


@pytest.mark.parametrize('key', ['cfg', 'model'])
def test_no_module_is_imported_by_a_type(with_meta, tmp_path, monkeypatch, key):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'hostile_module.py').write_text('')
    for kind in ('hostile_module.Model', 'hostile_module'):
        model = {'type': 'EncoderDecoder', 'backbone': {'type': kind}}
        meta = {'cfg': f'model = {model}'} if key == 'cfg' else {'model': model}
        with contextlib.suppress(CheckpointError):
            load_trained(*with_meta(meta))
        assert 'hostile_module' not in sys.modules


def test_a_dataset_given_by_its_class(with_meta):
    options = {'test_dataloader.dataset.type': ADE20KDataset}
    assert load_trained(*with_meta({}), options).dataset_meta['palette']


@pytest.mark.parametrize('meta', [5, [1], {'dataset_meta': [1]}, {'dataset_meta': {'classes': 5}}])
def test_metadata_that_is_none(with_meta, meta):
    assert len(load_trained(*with_meta(meta)).dataset_meta['classes']) == 11


@pytest.mark.parametrize('palette', ['random', 5, [[1, 2]], [[1, 2, 'x']], [[1, 2, 10**9]] * 11])
def test_colours_that_are_none(with_meta, tmp_path, palette):
    classes = load_trained(*with_meta({})).dataset_meta['classes']
    meta = {'dataset_meta': {'classes': classes, 'palette': palette}}
    path = publish(*with_meta(meta), str(tmp_path / 'out'))
    assert read_published(path).dataset_meta == {'classes': list(classes), 'palette': None}


@pytest.mark.parametrize(
    ('name', 'number', 'third'),
    [
        ('segformer_mit-b1_sapa-d_8xb2-80k_ade20k-512x512', 150, ('sky', [6, 230, 230])),
        ('mask-rcnn_r50_fpn-sapa-d_1x_coco', 80, ('car', (0, 0, 142))),
        ('panoptic-fpn_r50_sapa-d_1x_coco', 133, ('car', (0, 0, 142))),
    ],
)
def test_names_and_colours_of_the_hosts_data_sets(name, number, third):
    pytest.importorskip('mmdet')
    meta = _dataset_meta(load(name))
    assert len(meta['classes']) == len(meta['palette']) == number
    assert (meta['classes'][2], meta['palette'][2]) == third


def test_colours_of_some_classes():
    """As the data set has them: those of its own classes."""
    cfg = load('segformer_mit-b1_sapa-d_8xb2-80k_ade20k-512x512')
    cfg.test_dataloader.dataset.metainfo = {'classes': ('sky', 'wall')}
    meta = _dataset_meta(cfg)
    assert meta['classes'] == ('sky', 'wall')
    assert meta['palette'] == [[6, 230, 230], [120, 120, 120]]
    # One that cannot be built has the names of its config, or is passed over.
    cfg.test_dataloader.dataset = {'type': 'NeverHeardOf', 'metainfo': {'classes': ['a']}}
    assert _dataset_meta(cfg) == {'classes': ['a']}
    cfg.test_dataloader.dataset = {'type': 'NeverHeardOf'}
    assert len(_dataset_meta(cfg)['classes']) == 150
