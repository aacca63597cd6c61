"""Every config: self-contained, and it trains and validates."""

import copy
from pathlib import Path

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from mmengine.config import Config

from sapa_mm.datasets import write_scenes
from sapa_mm.engine.run import build_runner
from sapa_mm.engine.training import prepare_training
from sapa_mm.upsamplers import UPSAMPLERS, Upsampler

from ..support.shrunken import last_metrics, shrunken

ROOT = Path(__file__).parents[2] / 'configs'
CONFIGS = sorted(path for path in ROOT.glob('*/*.py') if path.parent.name != '_base_')
KEYS = {'mmseg': ['mIoU', 'bIoU'], 'panoptic': ['coco_panoptic/PQ', 'coco_panoptic/SQ_th']}


@pytest.mark.parametrize('path', sorted(ROOT.rglob('*.py')), ids=lambda path: path.stem)
def test_self_contained(path):
    text = path.read_text()
    assert 'mmseg::' not in text
    assert 'mmdet::' not in text


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=2, num_val=2, size=(70, 57))
    return root


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_one_step_of_training_and_a_validation(path, scenes, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = Config.fromfile(path)
    wanted = find_upsample_cfg(cfg)
    options = shrunken(cfg, scenes)
    cfg = prepare_training(str(path), work_dir=str(tmp_path), cfg_options=copy.deepcopy(options))
    runner = build_runner(cfg)
    model = runner.train()

    upsamplers = [module for module in model.modules() if isinstance(module, Upsampler)]
    assert {type(upsampler) for upsampler in upsamplers} == {UPSAMPLERS[wanted['type']]}
    assert len(upsamplers) in (3, 4, 6)
    # The file's name says which.
    assert wanted['type'].replace('_', '-') in path.stem
    # The optimizer keeps nothing of a parameter that no gradient reached.
    state = runner.optim_wrapper.optimizer.state
    for upsampler in upsamplers:
        for name, parameter in upsampler.named_parameters():
            (moment,) = {'momentum_buffer', 'exp_avg'} & state[parameter].keys()
            assert state[parameter][moment].isfinite().all(), name

    metrics = last_metrics(tmp_path)
    for key in KEYS.get('panoptic' if 'panoptic' in path.stem else cfg.default_scope, []):
        assert 0 <= metrics[key] <= 100


def find_upsample_cfg(cfg):
    part = cfg.model.decode_head if cfg.default_scope == 'mmseg' else cfg.model.neck
    return part.upsample_cfg
