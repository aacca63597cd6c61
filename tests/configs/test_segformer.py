"""The SegFormer configs: what they say, and that each one trains and tests."""

import copy
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

import mmseg
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from sapa_mm import upsamplers
from sapa_mm.datasets import CLASSES, PALETTE, write_scenes
from sapa_mm.engine import read_checkpoint
from sapa_mm.engine.prepare_testing import prepare_testing
from sapa_mm.engine.prepare_training import prepare_training
from sapa_mm.engine.run import run_testing, run_training
from sapa_mm.segmentation import UpsampleSegformerHead

ROOT = Path(__file__).parents[2] / 'configs'
CONFIGS = sorted(path.stem for path in (ROOT / 'segformer').glob('*.py'))
PAPER = [name for name in CONFIGS if 'ade20k' in name]
SCENES = [name for name in CONFIGS if 'scenes' in name]
UPSAMPLERS = {
    'bilinear': upsamplers.Bilinear,
    'sapa-i': upsamplers.SapaI,
    'sapa-b': upsamplers.SapaB,
    'sapa-d': upsamplers.SapaD,
}
NORMS = 6 * 2 * 2 * 256


def path_of(name):
    return str(ROOT / 'segformer' / f'{name}.py')


def load(name):
    return Config.fromfile(path_of(name))


def find(names, method):
    """The one config of an upsampler."""
    (name,) = (name for name in names if f'_{method}_' in name)
    return name


def build_model(cfg):
    register_all_modules(init_default_scope=True)
    model_cfg = copy.deepcopy(cfg.model)
    model_cfg.backbone.init_cfg = None
    return MODELS.build(model_cfg)


def trainable(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_every_upsampler_has_both_configs():
    assert sorted(PAPER + SCENES) == CONFIGS
    for names in (PAPER, SCENES):
        assert sorted(name.split('_')[2] for name in names) == sorted(UPSAMPLERS)


@pytest.mark.parametrize('path', sorted(ROOT.rglob('*.py')), ids=lambda path: path.stem)
def test_self_contained(path):
    text = path.read_text()
    assert 'mmseg::' not in text
    assert 'mmdet::' not in text


@pytest.mark.parametrize('name', CONFIGS)
def test_builds(name):
    cfg = load(name)
    model = build_model(cfg)
    kind = UPSAMPLERS[name.split('_')[2]]
    head = model.decode_head
    assert isinstance(head, UpsampleSegformerHead)
    assert {type(upsampler) for upsampler in head.upsamplers} == {kind}
    assert len(head.upsamplers) == (3 if kind is upsamplers.Bilinear else 6)
    crop = cfg.crop_size
    assert tuple(cfg.model.data_preprocessor.size) == tuple(crop)
    assert f'-{crop[0]}x{crop[1]}' in name
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters


@pytest.mark.parametrize('name', CONFIGS)
def test_name_tells_the_schedule(name):
    """..._{gpus}xb{batch}-{iterations}_{dataset}-..."""
    cfg = load(name)
    gpus_and_batch, iterations = name.split('_')[-2].split('-')
    iterations = int(iterations.replace('k', '000'))
    assert iterations == cfg.train_cfg.max_iters
    gpus, batch = map(int, gpus_and_batch.split('xb'))
    assert cfg.train_dataloader.batch_size == batch
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.base_batch_size == gpus * batch


@pytest.mark.parametrize('name', PAPER)
def test_paper_configs_keep_the_recipe(name):
    cfg = load(name)
    init_cfg = cfg.model.backbone.init_cfg
    assert init_cfg.type == 'Pretrained'
    assert init_cfg.checkpoint.startswith(('https://', 'http://'))
    assert cfg.train_cfg.max_iters == 80000
    for dataloader in (cfg.val_dataloader, cfg.test_dataloader):
        aligned = dict(type='ResizeToMultiple', size_divisor=32)
        assert aligned in dataloader.dataset.pipeline
    if cfg.model.decode_head.upsample_cfg.type != 'bilinear':
        assert cfg.model.decode_head.upsample_cfg.pre_norm is True


def test_paper_configs_differ_in_the_upsampler_only():
    base, *others = (load(find(PAPER, method)).to_dict() for method in UPSAMPLERS)
    for cfg in (base, *others):
        del cfg['model']['decode_head']['upsample_cfg']
    assert all(cfg == base for cfg in others)


@pytest.mark.parametrize('name', SCENES)
def test_scenes_configs_know_the_classes(name):
    cfg = load(name)
    assert cfg.model.decode_head.num_classes == len(CLASSES)
    assert cfg.model.backbone.init_cfg is None
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        metainfo = loader.dataset.metainfo
        assert tuple(metainfo.classes) == tuple(CLASSES)
        assert [tuple(color) for color in metainfo.palette] == [tuple(color) for color in PALETTE]
        assert loader.dataset.reduce_zero_label is True


class TestParameters:
    """Trainable parameters of SegFormer-B1 with each upsampler (REFERENCE.md, Table 3)."""

    @pytest.fixture(scope='class')
    def bilinear(self):
        return trainable(build_model(load(find(PAPER, 'bilinear'))))

    def test_bilinear(self, bilinear):
        assert round(bilinear / 1e6, 2) == 13.72

    @pytest.mark.parametrize(
        ('method', 'options', 'increment'),
        [
            ('sapa-i', {}, 0),
            ('sapa-b', {}, 0.099),
            ('sapa-d', {}, 0.506),
            ('sapa-d', dict(shared_offset=False), 0.839),
        ],
    )
    def test_increments(self, bilinear, method, options, increment):
        cfg = load(find(PAPER, method))
        cfg.model.decode_head.upsample_cfg.update(options)
        added = trainable(build_model(cfg)) - bilinear
        assert round((added - NORMS) / 1e6, 3) == increment
        cfg.model.decode_head.upsample_cfg.pre_norm = False
        assert trainable(build_model(cfg)) - bilinear == added - NORMS


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=4, num_val=2, size=(80, 72))
    return root


def shrunken(cfg, scenes, crop=64):
    """Settings for one step on a few scenes, with crops and images of some 64 pixels."""
    options = {
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 1,
        'model.data_preprocessor.size': (crop, crop),
        'model.backbone.init_cfg': None,
        'train_dataloader.batch_size': 2,
        'visualizer.name': str(uuid.uuid4()),
    }
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        options[f'{loader}.dataset.data_root'] = str(scenes)
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
        for step, transform in enumerate(cfg[loader].dataset.pipeline):
            key = f'{loader}.dataset.pipeline.{step}'
            if 'scale' in transform:
                options[f'{key}.scale'] = (4 * crop, crop)
            if 'crop_size' in transform:
                options[f'{key}.crop_size'] = (crop, crop)
    return options


@pytest.mark.parametrize('name', CONFIGS)
def test_one_step_of_training_and_testing(name, scenes, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    run = dict(cfg_options=shrunken(load(name), scenes), work_dir=str(tmp_path))
    model = run_training(prepare_training(path_of(name), **run))
    validated = last_metrics(tmp_path)

    checkpoint = str(tmp_path / 'iter_1.pth')
    # The optimizer keeps nothing of a parameter that no gradient reached.
    state = read_checkpoint(checkpoint)['optimizer']['state']
    assert len(state) == sum(1 for p in model.parameters() if p.requires_grad)
    assert all(entry['exp_avg'].isfinite().all() for entry in state.values())

    metrics = run_testing(prepare_testing(path_of(name), checkpoint, **run))
    assert metrics['mIoU'] == pytest.approx(validated['mIoU'], abs=1e-2)


def last_metrics(work_dir):
    lines = [
        json.loads(line)
        for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return [line for line in lines if 'mIoU' in line][-1]


def test_runs_with_mmsegs_own_tools(scenes, tmp_path):
    """Unchanged but for what any user sets on the command line."""
    tools = Path(mmseg.__file__).parent / '.mim' / 'tools'
    if not (tools / 'train.py').exists():
        pytest.skip('this mmseg is installed without its tools')
    config = path_of(find(SCENES, 'sapa-d'))
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path), 'OMP_NUM_THREADS': '1'}

    def run(tool, *args):
        options = [
            f'{loader}.dataset.data_root={scenes}'
            for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader')
        ]
        options += ['train_cfg.max_iters=2', 'train_cfg.val_interval=2']
        options += ['default_hooks.checkpoint.interval=2', 'train_dataloader.batch_size=2']
        options += ['train_dataloader.dataset.pipeline.2.crop_size=(64,64)']
        options += ['model.data_preprocessor.size=(64,64)']
        command = [sys.executable, str(tools / tool), config, *args, '--work-dir', str(tmp_path)]
        result = subprocess.run(
            [*command, '--cfg-options', *options], capture_output=True, text=True, env=env
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    run('train.py')
    trained = last_metrics(tmp_path)
    run('test.py', str(tmp_path / 'iter_2.pth'))
    (tested,) = (json.loads(path.read_text()) for path in tmp_path.glob('*/*.json'))
    assert tested['mIoU'] == pytest.approx(trained['mIoU'], abs=1e-2)
