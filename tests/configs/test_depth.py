"""The depth configs: what they say, the schedule, and a run that is killed and resumed."""

import signal
import sys

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')

from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from sapa_mm.analysis.complexity import count_parameters
from sapa_mm.engine import read_checkpoint
from sapa_mm.engine.config import in_scope
from sapa_mm.upsamplers import Upsampler

from ..support.configs import PATHS, build_on_meta, load, names_in
from ..support.run_tool import TOOLS, call_run, finish

NAMES = names_in('depthformer')
PAPER = [name for name in NAMES if name.endswith('_nyu')]
SCENES = [name for name in NAMES if 'scenes' in name]
# What each adds to the parameters, in millions, by the formulas of the upsamplers for
# Σ C = 1440, Σ C' = 736, Σ C² = 783,360 and Σ C'² = 197,632.
METHODS = {
    'bilinear': 0.0,
    'deconv': 9 * 0.783360,
    'pixel-shuffle': 36 * 0.783360,
    'carafe': 64 * 0.001440 + 0.230400,
    'index-net': 32 * 0.197632 + 8 * 0.000736,
    'a2u': 38 * 0.000736,
    'fade': 64 * (0.001440 + 0.000736) + 0.057600,
    'dysample': 32 * 0.001440,
    'sapa-b': 32 * 0.002176 + 2 * 0.002176,
    'sapa-d': 128 * 0.002176 + 288 * 0.001440 + 2 * 0.002176,
}


def method_of(name):
    return name.split('_')[2]


def find(names, method):
    (name,) = (name for name in names if method_of(name) == method)
    return name


BILINEAR = find(PAPER, 'bilinear')


@pytest.mark.parametrize('names', [PAPER, SCENES], ids=['paper', 'scenes'])
def test_every_row_is_there(names):
    assert sorted(map(method_of, names)) == sorted(METHODS)
    assert sorted(PAPER + SCENES) == sorted(NAMES)


@pytest.mark.parametrize('names', [PAPER, SCENES], ids=['paper', 'scenes'])
def test_rows_differ_in_the_upsampler_only(names):
    base, *others = (load(find(names, method)).to_dict() for method in METHODS)
    for cfg in (base, *others):
        del cfg['model']['decode_head']['upsample_cfg']
    assert all(cfg == base for cfg in others)


class TestPaper:
    def test_total(self):
        assert count_parameters(build_on_meta(BILINEAR)) == 47_612_029

    @pytest.mark.parametrize('name', PAPER)
    def test_upsamplers(self, name):
        head = build_on_meta(name, 'model.decode_head')
        channels = [(u.in_channels, u.guide_channels) for u in head.upsamplers]
        assert channels == [(768, 384), (384, 192), (192, 96), (96, 64)]
        bilinear = build_on_meta(BILINEAR, 'model.decode_head')
        increment = count_parameters(head) - count_parameters(bilinear)
        # Biases and batch normalisation are not in the formulas.
        assert increment / 1e6 == pytest.approx(METHODS[method_of(name)], abs=7e-3)

    def test_sapa_has_group_normalisation(self):
        """As the paper has it, against vanishing gradients."""
        for method in ('sapa-b', 'sapa-d'):
            upsampler = build_on_meta(find(PAPER, method), 'model.decode_head').upsamplers[0]
            assert isinstance(upsampler.norm_x, nn.GroupNorm)
        assert (upsampler.num_points, upsampler.groups) == (9, 4)
        assert upsampler.query.out_channels == 4 * 32
        assert upsampler.offset.out_channels == 4 * 9 * 2 * 4  # DOF s²

    def test_recipe(self):
        cfg = load(BILINEAR)
        assert cfg.train_dataloader.batch_size * 2 == cfg.auto_scale_lr.base_batch_size == 16
        assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 38_400
        assert cfg.model.test_cfg.mode == 'whole_flip'
        # 255 would be a depth of 255 m.
        assert cfg.model.data_preprocessor.seg_pad_val == 0
        (rotate,) = (
            step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomRotate'
        )
        assert rotate.seg_pad_val == 0
        head = build_on_meta(BILINEAR, 'model.decode_head')
        assert (head.scale_up, head.loss_decode.iteration) == (False, None)

    def test_learning_rate(self):
        """As in the log of the Toolbox: a cosine times a warm-up, from the first iteration."""
        cfg = load(BILINEAR)
        parameter = nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.AdamW([parameter], lr=cfg.optim_wrapper.optimizer.lr)
        schedulers = [
            PARAM_SCHEDULERS.build({**schedule, 'optimizer': optimizer})
            for schedule in cfg.param_scheduler
        ]
        rates = []
        for _ in range(cfg.train_cfg.max_iters):
            rates.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
        iterations = (0, 1000, 10_000, 12_800, 30_000, 38_399)
        expected = [6.000e-8, 4.735e-6, 3.947e-5, 4.500e-5, 6.810e-6, 7.0e-13]
        assert [rates[i] for i in iterations] == pytest.approx(expected, rel=1e-3)

    def test_what_does_not_decay(self):
        """Layer and group normalisation and positions; batch normalisation does, as any weight."""
        cfg = load(find(PAPER, 'sapa-d'))
        model = build_on_meta(find(PAPER, 'sapa-d'))
        with in_scope(cfg):
            wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        assert wrapper.clip_grad_kwargs == dict(max_norm=35, norm_type=2)
        names = {parameter: name for name, parameter in model.named_parameters()}
        decay = {names[g['params'][0]]: g['weight_decay'] for g in wrapper.optimizer.param_groups}
        assert {g['lr'] for g in wrapper.optimizer.param_groups} == {6e-5}
        assert decay.keys() == set(names.values())
        kinds = dict(model.named_modules())
        for name, value in decay.items():
            owner, _, last = name.rpartition('.')
            normalises = isinstance(kinds[owner], (nn.LayerNorm, nn.GroupNorm))
            without = normalises or last == 'relative_position_bias_table'
            assert value == (0.0 if without else 0.01), name
        batch_norms = [n for n in decay if isinstance(kinds[n.rpartition('.')[0]], nn.BatchNorm2d)]
        assert len(batch_norms) > 20


@pytest.mark.parametrize('name', SCENES)
def test_small_models(name):
    cfg = load(name)
    iterations = int(name.split('_')[3].split('-')[1])
    assert iterations == cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 8
    assert cfg.model.backbone.init_cfg is None
    assert cfg.model.decode_head.scale_up  # no ReLU that may die
    assert cfg.crop_size == cfg.model.data_preprocessor['size'] == (128, 128)
    model = build_on_meta(name)
    assert len([module for module in model.modules() if isinstance(module, Upsampler)]) == 4


@pytest.mark.extended
def test_a_killed_run_ends_as_an_uninterrupted_one(rooms, tmp_path):
    """With a warm-up of the loss that ends after the resumption."""
    config = str(PATHS[find(SCENES, 'sapa-d')])
    killing = tmp_path / 'killing.py'
    hook = dict(type='tests.support.tiny_run.Kill', at=3)
    killing.write_text(f"""
_base_ = {config!r}
custom_hooks = [dict(type='RandomStateHook'), {hook}]
""")
    loss = 'model.decode_head.loss_decode'
    options = [
        *(f'{split}_dataloader.dataset.data_root={rooms}' for split in ('train', 'val', 'test')),
        *('train_cfg.max_iters=5', 'train_dataloader.batch_size=2'),
        *('default_hooks.checkpoint.interval=2', 'default_hooks.logger.interval=1'),
        *('train_dataloader.dataset.pipeline.2.crop_size=(64,64)',),
        *('model.data_preprocessor.size=(64,64)', 'model.decode_head.scale_up=False'),
        *(f'{loss}.warm_up=True', f'{loss}.warm_up_iters=3'),
    ]
    folder = tmp_path / 'killed'
    command = [sys.executable, TOOLS / 'train.py', killing, '--work-dir', folder]
    finish([*command, '--cfg-options', *options], code=-signal.SIGKILL)
    assert (folder / 'last_checkpoint').read_text().endswith('iter_2.pth')
    call_run('train', config, '--work-dir', folder, '--resume', options=options)
    call_run('train', config, '--work-dir', tmp_path / 'whole', options=options)

    resumed, whole = (
        read_checkpoint(str(run / 'iter_5.pth')) for run in (folder, tmp_path / 'whole')
    )
    assert resumed['state_dict']['decode_head.loss_decode.iteration'] == 5
    assert resumed['state_dict'].keys() == whole['state_dict'].keys()
    for name, value in whole['state_dict'].items():
        assert torch.equal(resumed['state_dict'][name], value), name
