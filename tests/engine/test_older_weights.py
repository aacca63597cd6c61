"""Weights of version 0.1 say so where odd sizes are upsampled otherwise now."""

import warnings

import pytest
import torch

pytest.importorskip('mmengine')

from torch import nn

from sapa_mm.engine.loading import load_weights
from sapa_mm.engine.older_weights import GEOMETRY
from sapa_mm.upsamplers import build_upsampler

CFG = "custom_imports = dict(imports=['sapa_mm.segmentation'])"
EVEN, ODD, SAME, LESS = (24, 24), (23, 24), (12, 12), (13, 13)


class Net(nn.Module):
    def __init__(self, kind='sapa_b', **options):
        super().__init__()
        cfg = {'type': kind, **options}
        self.ups = nn.ModuleList(build_upsampler(cfg, 8) for _ in range(2))

    def forward(self, size):
        for up in self.ups:
            up(torch.zeros(1, 8, 12, 12), torch.zeros(1, 8, *size))


def checkpoint(version=1, cfg=CFG, **meta):
    state_dict = Net().state_dict()
    assert {state_dict._metadata[f'ups.{index}']['version'] for index in range(2)} == {2}
    for index in range(2):
        state_dict._metadata[f'ups.{index}']['version'] = version
    return {'state_dict': state_dict, 'meta': {'cfg': cfg, **meta}}


@pytest.mark.parametrize(
    'content', [checkpoint(), checkpoint(2, None, geometry='1')], ids=['checkpoint', 'published']
)
def test_older_ones_warn_once_at_an_odd_size(content):
    net = Net()
    assert load_weights(net, content, 'checkpoint: f').geometry == '1'
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for size in (EVEN, SAME, LESS):
            net(size)
        assert not caught
        net(ODD)
        net(ODD)
    (warning,) = caught
    assert (
        'checkpoint: f was trained before sapa_mm 0.2.0, which upsamples (12, 12) to (23, 24)'
        in (str(warning.message))
    )


@pytest.mark.parametrize(
    'content',
    [
        checkpoint(2),
        checkpoint(1, "custom_imports = dict(imports=['mmseg'])"),
        checkpoint(1, geometry='2'),
        checkpoint()['state_dict'],
        {**checkpoint(), 'state_dict': dict(checkpoint()['state_dict'])},
    ],
    ids=['new', 'of another project', 'published', 'weights alone', 'without versions'],
)
def test_others_do_not(content):
    net = Net()
    assert load_weights(net, content, 'checkpoint: f').geometry == GEOMETRY == '2'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        net(ODD)


def test_what_both_rules_leave_the_same_does_not():
    net = Net('pixel_shuffle')
    content = {'state_dict': net.state_dict(), 'meta': {'geometry': '1'}}
    assert load_weights(net, content, 'checkpoint: f').geometry == '1'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        net(ODD)


@pytest.mark.parametrize(('crop', 'version'), [(False, 1), (True, 2)])
def test_bilinear_is_changed_where_it_crops(crop, version):
    """As in UpsampleFPNCARAFE."""
    assert Net('bilinear', crop=crop).state_dict()._metadata['ups.0']['version'] == version
