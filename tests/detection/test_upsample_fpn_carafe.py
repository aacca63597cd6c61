"""Against mmdet's FPN_CARAFE, from one state dict: every stock upsampler at every padding."""

import pytest
import torch
from torch import nn

pytest.importorskip('mmdet')

from mmcv.ops.carafe import CARAFEPack
from mmdet.models.necks import FPN_CARAFE
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint, save_checkpoint

from sapa_mm.detection import UpsampleFPNCARAFE

CHANNELS = [8, 16, 24, 32]
OPTIONS = dict(up_kernel=5, up_group=1, encoder_kernel=3, encoder_dilation=1, compressed_channels=8)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmdet')


class Detector(nn.Module):
    def __init__(self, neck, **upsample_cfg):
        super().__init__()
        # mmcv's neck reads an option as an attribute.
        cfg = ConfigDict(upsample_cfg)
        self.neck = neck(in_channels=CHANNELS, out_channels=16, num_outs=5, upsample_cfg=cfg)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)


def make_inputs(height, width):
    """C2 to C5 of an image that is padded to this size."""
    return [
        torch.randn(2, channels, -(-height // stride), -(-width // stride))
        for channels, stride in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def reassemble(pack, x, mask):
    """The computation of mmcv's operator, which does not run on a CPU."""
    n, channels, h, w = x.shape
    k, s = pack.up_kernel, pack.scale_factor
    windows = nn.functional.unfold(x, k, padding=k // 2).view(n, channels, k * k, h, 1, w, 1)
    weight = mask.view(n, 1, k * k, h, s, w, s)
    return (windows * weight).sum(2).reshape(n, channels, s * h, s * w)


@pytest.mark.parametrize(
    ('saved', 'loaded'), [(FPN_CARAFE, UpsampleFPNCARAFE), (UpsampleFPNCARAFE, FPN_CARAFE)]
)
def test_round_trip(saved, loaded, tmp_path, monkeypatch):
    """Checkpoints of both load into the other."""
    monkeypatch.setattr(CARAFEPack, 'feature_reassemble', reassemble)
    torch.manual_seed(0)
    source, target = (Detector(neck, type='carafe', **OPTIONS) for neck in (saved, loaded))
    path = str(tmp_path / 'checkpoint.pth')
    save_checkpoint(dict(state_dict=source.state_dict(), meta={}), path)
    load_checkpoint(target, path, strict=True)
    assert source.state_dict().keys() == target.state_dict().keys()

    inputs = make_inputs(128, 192)
    for out, expected in zip(target.neck(inputs), source.neck(inputs), strict=True):
        torch.testing.assert_close(out, expected)


# Padded to 64, to 32 (P5 is 13x9, P6 7x5), and not at all.
@pytest.mark.parametrize('size', [(448, 320), (416, 288), (1, 33), (401, 275)])
@pytest.mark.parametrize(
    ('stock_cfg', 'upsample_cfg'),
    [
        (dict(type='nearest'), dict(type='nearest')),
        (dict(type='bilinear'), dict(type='bilinear')),
        (dict(type='deconv', upsample_kernel=3), dict(type='deconv')),
        (dict(type='pixel_shuffle', upsample_kernel=3), dict(type='pixel_shuffle')),
        (dict(type='carafe', **OPTIONS), dict(type='carafe', **OPTIONS)),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_every_padding(stock_cfg, upsample_cfg, size, monkeypatch):
    monkeypatch.setattr(CARAFEPack, 'feature_reassemble', reassemble)
    torch.manual_seed(0)
    stock, ours = Detector(FPN_CARAFE, **stock_cfg), Detector(UpsampleFPNCARAFE, **upsample_cfg)
    ours.load_state_dict(stock.state_dict(), strict=True)
    inputs = make_inputs(*size)
    for out, expected in zip(ours.neck(inputs), stock.neck(inputs), strict=True):
        if upsample_cfg['type'] == 'carafe':  # of another order of additions
            torch.testing.assert_close(out, expected)
        else:
            assert torch.equal(out, expected)
