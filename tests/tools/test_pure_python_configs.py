"""Configs whose types are classes and that have no default scope run through the tools."""

import re

import mmengine.registry
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry

from sapa_mm.engine.config import build_model, read_config
from sapa_mm.utils.configs import nested_configs

from ..support.run_tool import call_run, call_tool
from ..support.tool_configs import MMDET, MMSEG, write_ade, write_coco, write_config

REGISTRIES = [value for value in vars(mmengine.registry).values() if isinstance(value, Registry)]


def write_pure_python(config, scope):
    """Rewrite a config with classes in place of the names that the registries know."""
    cfg = Config.fromfile(config)
    known = {}
    with DefaultScope.overwrite_default_scope(cfg.pop('default_scope')):
        for _, nested in nested_configs(dict(cfg), 'cfg'):
            for registry in REGISTRIES:
                with registry.switch_scope_and_registry(None) as own:
                    cls = isinstance(nested.get('type'), str) and own.get(nested['type'])
                if cls and cls.__name__ == nested['type']:
                    known[cls.__name__] = f'from {cls.__module__} import {cls.__name__}\n'
    text = re.sub(
        r"type='(\w+)'", lambda m: f'type={m[1]}' if m[1] in known else m[0], cfg.pretty_text
    )
    config.write_text(f'{"".join(known.values())}{text}\n{scope}')


@pytest.fixture(params=['mmseg', 'mmdet'])
def files(request, tmp_path):
    pytest.importorskip(request.param)
    is_seg = request.param == 'mmseg'
    (write_ade if is_seg else write_coco)(tmp_path / 'data', count=2)
    text = MMSEG if is_seg else MMDET
    config = write_config(tmp_path / 'config.py', text, tmp_path / 'data')
    write_pure_python(config, 'default_scope = None\n' if is_seg else '')
    checkpoint = tmp_path / 'weights.pth'
    model = build_model(read_config(str(config)))
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    return config, checkpoint


def test_the_tools_take_classes(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, checkpoint = files
    assert 'EncoderDecoder' in config.read_text() or 'type=RetinaNet' in config.read_text()
    assert not call_tool('check_data', config)
    call_run('train', config, '--work-dir', tmp_path / 'run')
    out = tmp_path / ('found' if 'mmseg' in config.read_text() else 'found.pkl')
    call_run('test', config, checkpoint, '--out', out, '--show-dir', tmp_path / 'drawn', '--tta')
    assert out.exists()
    assert list((tmp_path / 'drawn').rglob('*.*'))
    figure = ('--sample', 0, '--out', tmp_path / 'picture.png')
    assert not call_tool('visualize', 'predictions', '--model', config, checkpoint, *figure)
    assert not call_tool('publish', config, checkpoint, '--out', tmp_path / 'weights')
    assert not call_tool('complexity', config, '--shape', 64, 64)
