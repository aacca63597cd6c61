"""Upsamplers of a user's own, registered by a file outside of this repository."""

import importlib
import json
import runpy
import sys

import pytest

pytest.importorskip('mmseg')

from sapa_mm.engine.run import build_runner
from sapa_mm.engine.training import prepare_training
from sapa_mm.visualization.models import upsampler_title

from .support.operators import skip_where_not_built
from .support.run_tool import TOOLS
from .support.scenes import CONFIG, write_few_scenes

FILE = '''
"""A guide gates the nearest upsampling of x."""

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import nn

from sapa_mm.upsamplers import Upsampler


@MODELS.register_module(name='gate')
class Gate(Upsampler):
    title = 'Gate'
    guided = True
    counter_note = 'the product with the gate, 4C, is elementwise and not counted'

    def __init__(self, in_channels, guide_channels=None, scale_factor=2, kernel_size=1):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_kernel_size(kernel_size=kernel_size)
        self.gate = nn.Conv2d(
            self.guide_channels, in_channels, kernel_size, padding=kernel_size // 2
        )

    def flops_per_position(self):
        return self.scale_factor**2 * (self.gate.weight.numel() + self.in_channels)

    def upsample(self, x, guide, size):
        return F.interpolate(x, size) * self.gate(guide).sigmoid()


@MODELS.register_module()
class Plain(Upsampler):
    def upsample(self, x, guide, size):
        return F.interpolate(x, size)


@MODELS.register_module()
class Picky(Plain):
    def __init__(self, in_channels, guide_channels=None, scale_factor=2):
        super().__init__(in_channels, guide_channels, scale_factor)
        if in_channels != 7:
            self.fail(f'in_channels must be 7, got {in_channels}')
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the file lies, and a config for each of its upsamplers."""
    registry = pytest.importorskip('mmengine.registry').MODELS
    (tmp_path / 'own_upsamplers.py').write_text(FILE)
    for name in ('gate', 'Plain'):
        (tmp_path / f'{name}.py').write_text(f"""
_base_ = {CONFIG!r}
custom_imports = dict(imports=[*_base_.custom_imports.imports, 'own_upsamplers'])
model = dict(decode_head=dict(upsample_cfg=dict(type={name!r})))
""")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'path', [*sys.path])
    yield tmp_path
    sys.modules.pop('own_upsamplers', None)
    for name in ('gate', 'Plain', 'Picky'):
        registry.module_dict.pop(name, None)


def run(monkeypatch, tool, *arguments):
    """Run a tool in this process."""
    monkeypatch.setattr('sys.argv', [tool, *map(str, arguments)])
    runpy.run_path(str(TOOLS / f'{tool}.py'), run_name='__main__')


def test_its_cost_is_counted(folder, monkeypatch):
    skip_where_not_built('compiled')
    monkeypatch.syspath_prepend(folder)
    for form in ('json', 'md'):
        run(monkeypatch, 'complexity', 'gate.py', 'Plain.py', '--format', form, '--out', form)
    gate, plain = json.loads((folder / 'json').read_text())['Configs']
    # Six upsamplers of 64 channels, from 1/8 to 1/4, and from below to there, of 128x128.
    positions = 3 * 16**2 + 2 * 8**2 + 4**2
    channels = 64
    assert gate['upsamplers, M'] == round(6 * (channels**2 + channels) / 1e6, 3)
    assert gate['upsamplers, G'] == round(4 * channels**2 * positions / 1e9, 3)
    assert gate['by formula, G'] == round(4 * (channels**2 + channels) * positions / 1e9, 3)
    assert gate['note'].startswith('counted: the product with the gate, 4C')
    assert (plain['upsamplers, G'], plain['by formula, G']) == (0, None)
    assert plain['note'] == 'by formula: Plain states no flops_per_position'
    assert '[2] by formula: Plain states no flops_per_position.' in (folder / 'md').read_text()


@pytest.mark.parametrize('module', ['own_upsamplers', './own_upsamplers.py'])
def test_it_is_timed_beside_the_others(folder, module, monkeypatch):
    if not module.endswith('.py'):
        monkeypatch.syspath_prepend(folder)
    options = ['--sizes', 4, '--channels', 8, '--repeats', 3, '--device', 'cpu', '--threads', 1]
    options += ['--layouts', 'contiguous', '--passes', 'forward', '--forms', 'eager']
    options += ['--dtypes', 'float32']
    # The file is imported in the processes of reused memory and of peak memory, too.
    memory = ['--no-memory', '--pages', 'fresh'] if module.endswith('.py') else []
    run(
        monkeypatch, 'benchmark', *options, *memory,
        '--kinds', 'upsamplers', '--import', module, '--out', 'out',
    )  # fmt: skip
    report = json.loads((folder / 'out' / 'benchmark.json').read_text())
    assert report['notes'] == [
        'upsampler Picky, eager, size 4, float32, contiguous, forward: time not measured: '
        'ValueError: Picky: in_channels must be 7, got 8'
    ]
    results = {result['name']: result for result in report['results']}
    assert {'gate', 'Plain', 'sapa_d', 'bilinear'} <= results.keys()
    for name in ('gate', 'Plain'):
        assert results[name]['fresh']['to_bilinear'] > 0
        assert memory or results[name]['reused']['to_bilinear'] > 0
        assert (results[name]['memory'] is None) == bool(memory)


@pytest.mark.parametrize('name', ['gate', 'Plain'])
def test_it_trains(folder, name, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    options = write_few_scenes(folder / 'scenes')
    cfg = prepare_training(f'{name}.py', work_dir='work_dir', cfg_options=options)
    model = build_runner(cfg).train()
    own = getattr(importlib.import_module('own_upsamplers'), name.title())
    assert [type(upsampler) for upsampler in model.decode_head.upsamplers] == 6 * [own]
    assert upsampler_title(model) == name.title()
