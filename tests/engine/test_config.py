"""Reading a config changes nothing in the process."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from sapa_mm.engine.config import (
    describe_failure,
    in_scope,
    read_config,
    without_initialisation,
)
from sapa_mm.upsamplers import build_upsampler

MODEL = dict(
    type='Model',
    pretrained='torchvision://resnet50',
    backbone=dict(type='ResNet', init_cfg=dict(type='Pretrained', checkpoint='https://a/b.pth')),
    heads=[dict(type='Head', init_cfg=[dict(type='Normal')], channels=3)],
)


@pytest.fixture
def path(tmp_path):
    text = f"default_scope = 'mmseg'\nmodel = {MODEL}\nlr = [1, 2]\n"
    (tmp_path / 'config.py').write_text(text)
    return str(tmp_path / 'config.py')


def scopes():
    """The default scopes by name; mmengine copies the objects."""
    return {name: scope.scope_name for name, scope in DefaultScope._instance_dict.items()}


def test_reading_changes_nothing(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    environ, before = dict(os.environ), scopes()
    cfg = read_config(path, {'model.backbone.depth': 18, 'lr': 3})
    assert cfg.model.backbone.depth == 18
    assert cfg.lr == 3
    assert 'launcher' not in cfg
    assert 'work_dir' not in cfg
    assert dict(os.environ) == environ
    assert scopes() == before
    assert [file.name for file in Path().iterdir()] == ['config.py']


def test_what_cannot_be_read(path, tmp_path):
    with pytest.raises(FileNotFoundError, match='^config: .*gone.py is not a file'):
        read_config(str(tmp_path / 'gone.py'))
    with pytest.raises(ValueError, match=r'^`cfg_options` do not fit .*config.py: '):
        read_config(path, {'lr.5': 1})


def test_the_scope_is_put_back(path):
    cfg = read_config(path)
    before = DefaultScope.get_current_instance()
    with in_scope(cfg):
        assert DefaultScope.get_current_instance().scope_name == 'mmseg'
    after = DefaultScope.get_current_instance()
    assert getattr(after, 'scope_name', None) == getattr(before, 'scope_name', None)


def test_a_model_without_initialisation(path):
    cfg = read_config(path)
    model = without_initialisation(cfg.model)
    assert model.pretrained is model.backbone.init_cfg is model.heads[0].init_cfg is None
    assert model.heads[0].channels == 3
    assert cfg.model.to_dict() == MODEL


def test_where_to_look_when_a_model_cannot_be_built():
    cfg = Config({'model': {'neck': {'type': 'UpsampleFPN', 'upsample_cfg': {'type': 'sapa_d'}}}})
    with pytest.raises(ValueError, match='groups=3') as of_an_upsampler:
        build_upsampler({'type': 'sapa_d', 'groups': 3}, 32)
    line = describe_failure(of_an_upsampler.value, cfg)
    assert line.endswith('groups=3 must divide the 32 channels of x (model.neck.upsample_cfg)')
    with pytest.raises(TypeError, match='int') as of_another:
        int([])
    assert f'({__file__}, line ' in describe_failure(of_another.value, cfg)


@pytest.mark.parametrize('scope', ['', 'default_scope = None\n'])
def test_without_a_scope_it_is_that_of_the_model(tmp_path, scope):
    pytest.importorskip('mmseg')
    path = tmp_path / 'config.py'
    model = 'from mmseg.models import EncoderDecoder\n\nmodel = dict(type=EncoderDecoder)\n'
    path.write_text(model + scope)
    assert read_config(str(path)).default_scope == 'mmseg'
    own = 'from mmengine.model import BaseModel\n\nmodel = dict(type=BaseModel)\n'
    path.write_text(own + scope)
    assert read_config(str(path)).default_scope == 'mmengine'
    path.write_text(f"model = dict(type='mmdet.FasterRCNN')\n{scope}")
    assert read_config(str(path)).default_scope == 'mmdet'
    path.write_text(f"model = dict(type='FasterRCNN')\n{scope}")
    assert read_config(str(path)).get('default_scope') is None
