"""The matting configs: what they say, learning rates, and a run that is killed and resumed."""

import signal
import sys

import pytest
import torch
from torch import nn

pytest.importorskip('mmcv')

from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from sapa_mm.analysis.complexity import count_parameters
from sapa_mm.engine import read_checkpoint
from sapa_mm.engine.config import in_scope
from sapa_mm.upsamplers import Upsampler

from ..support.configs import PATHS, build_on_meta, load, names_in
from ..support.run_tool import TOOLS, call_run, finish

NAMES = names_in('a2u_matting')
PAPER = [name for name in NAMES if name.endswith('_comp1k')]
SCENES = [name for name in NAMES if 'scenes' in name]
# Parameters that each adds, with biases and norms, for Σ C = 512 and Σ C² = 90,112.
METHODS = {
    'bilinear': 0,
    'deconv': 9 * 90_112 + 512,
    'pixel-shuffle': 36 * 90_112 + 2048,
    'carafe': 263_824,
    'index-net': 136 * 90_112 + 16 * 512,
    'a2u': 21_656,
    'fade': 123_492,
    'dysample': 32 * 512 + 4 * 32,
    'sapa-i': 4 * 512,
    'sapa-b': 64 * 512 + 4 * 64 + 4 * 512,
    'sapa-d': 44_360,
}


def method_of(name):
    return name.split('_')[2]


def find(names, method):
    (name,) = (name for name in names if method_of(name) == method)
    return name


@pytest.mark.parametrize('names', [PAPER, SCENES], ids=['paper', 'scenes'])
def test_every_row_is_there(names):
    assert sorted(map(method_of, names)) == sorted(METHODS)
    assert sorted(PAPER + SCENES) == sorted(NAMES)


@pytest.mark.parametrize('names', [PAPER, SCENES], ids=['paper', 'scenes'])
def test_rows_differ_in_the_upsampler_only(names):
    base, *others = (load(find(names, method)).to_dict() for method in METHODS)
    for cfg in (base, *others):
        del cfg['model']['upsample_cfg']
        cfg['optim_wrapper'].get('paramwise_cfg', {'custom_keys': {}})['custom_keys'].pop(
            '.up.', None
        )
    assert all(cfg == base for cfg in others)


class TestPaper:
    @pytest.mark.parametrize('name', PAPER)
    def test_parameters(self, name):
        model = build_on_meta(name)
        assert count_parameters(model) == 8_049_003 + METHODS[method_of(name)]
        upsamplers = [module for module in model.modules() if isinstance(module, Upsampler)]
        channels = [(u.in_channels, u.guide_channels) for u in upsamplers]
        assert channels == [(256, 256), (128, 128), (64, 64), (64, 64)]

    def test_sapa(self):
        """With group normalisation; SAPA-D has one group of 9 points, and offsets of DOF 1."""
        for method in ('sapa-i', 'sapa-b', 'sapa-d'):
            upsampler = build_on_meta(find(PAPER, method)).decoder_layer4.up
            assert isinstance(upsampler.norm_x, nn.GroupNorm)
        assert (upsampler.num_points, upsampler.groups) == (9, 1)
        assert upsampler.query.out_channels == 32
        assert upsampler.offset.out_channels == 9 * 2

    def test_recipe(self):
        cfg = load(find(PAPER, 'bilinear'))
        assert cfg.train_dataloader.batch_size * 2 == cfg.auto_scale_lr.base_batch_size == 16
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 30 * 6000
        assert cfg.train_cfg.val_interval == 6000
        assert cfg.sync_bn == 'torch'
        hook = cfg.default_hooks.checkpoint
        assert (hook.save_best, hook.rule) == ('SAD', 'less')

    @pytest.mark.parametrize('name', PAPER)
    def test_learning_rates_by_group(self, name):
        cfg, model = load(name), build_on_meta(name)
        with in_scope(cfg):
            optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
        assert isinstance(optimizer, torch.optim.Adam)
        rates = {group['params'][0]: group['lr'] for group in optimizer.param_groups}
        assert len(rates) == len(list(model.parameters()))
        assert all(group['weight_decay'] == 0 for group in optimizer.param_groups)
        of_upsampler = 1e-2 if method_of(name) == 'a2u' else 1e-4
        for parameter_name, parameter in model.named_parameters():
            part, *rest = parameter_name.split('.')
            is_encoder = part.startswith('layer')
            rate = of_upsampler if 'up' in rest else 1e-4 if is_encoder else 1e-2
            assert rates[parameter] == pytest.approx(rate), parameter_name

    def test_learning_rate_over_time(self):
        cfg = load(find(PAPER, 'bilinear'))
        optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(()))], lr=1e-2)
        (schedule,) = cfg.param_scheduler
        scheduler = PARAM_SCHEDULERS.build({**schedule, 'optimizer': optimizer})
        rates = []
        for _ in range(cfg.train_cfg.max_iters):
            rates.append(optimizer.param_groups[0]['lr'])
            scheduler.step()
        iterations = (0, 119_999, 120_000, 155_999, 156_000, 179_999)
        expected = [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4]
        assert [rates[i] for i in iterations] == pytest.approx(expected)


@pytest.mark.parametrize('name', SCENES)
def test_small_models(name):
    cfg = load(name)
    iterations = int(name.split('_')[3].split('-')[1])
    assert iterations == cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 8
    assert cfg.model.init_cfg is None
    (crop,) = (
        step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'CropAroundUnknown'
    )
    assert crop.crop_size == (128, 128)
    model = build_on_meta(name)
    upsamplers = [module for module in model.modules() if isinstance(module, Upsampler)]
    assert [upsampler.in_channels for upsampler in upsamplers] == [128, 64, 32, 32]


@pytest.mark.extended
def test_a_killed_run_ends_as_an_uninterrupted_one(mattes, tmp_path):
    """With foregrounds and backgrounds that the dataset draws."""
    config = str(PATHS[find(SCENES, 'sapa-d')])
    killing = tmp_path / 'killing.py'
    hook = dict(type='tests.support.tiny_run.Kill', at=3)
    killing.write_text(f"""
_base_ = {config!r}
custom_hooks = [dict(type='RandomStateHook'), {hook}]
""")
    options = [
        *(f'{split}_dataloader.dataset.data_root={mattes}' for split in ('train', 'val', 'test')),
        *('train_cfg.max_iters=5', 'train_dataloader.batch_size=2'),
        *('default_hooks.checkpoint.interval=2', 'default_hooks.logger.interval=1'),
        'train_dataloader.dataset.pipeline.4.crop_size=(64,64)',
    ]
    folder = tmp_path / 'killed'
    command = [sys.executable, TOOLS / 'train.py', killing, '--work-dir', folder]
    finish([*command, '--cfg-options', *options], code=-signal.SIGKILL)
    assert (folder / 'last_checkpoint').read_text().endswith('iter_2.pth')
    call_run('train', config, '--work-dir', folder, '--resume', options=options)
    call_run('train', config, '--work-dir', tmp_path / 'whole', options=options)

    resumed, whole = (
        read_checkpoint(str(run / 'iter_5.pth'))['state_dict']
        for run in (folder, tmp_path / 'whole')
    )
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
