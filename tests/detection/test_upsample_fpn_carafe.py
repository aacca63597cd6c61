"""Checkpoints of mmdet's FPN_CARAFE with mmcv's CARAFE load into ours, and the other way round."""

import pytest
import torch
from torch import nn

pytest.importorskip('mmdet')

from mmcv.ops.carafe import CARAFEPack
from mmdet.models.necks import FPN_CARAFE
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint, save_checkpoint

from sapa_mm.detection import UpsampleFPNCARAFE

CHANNELS = [8, 16, 24, 32]
OPTIONS = dict(up_kernel=5, up_group=1, encoder_kernel=3, encoder_dilation=1, compressed_channels=8)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmdet')


class Detector(nn.Module):
    def __init__(self, neck):
        super().__init__()
        cfg = dict(type='carafe', **OPTIONS)
        self.neck = neck(in_channels=CHANNELS, out_channels=16, num_outs=5, upsample_cfg=cfg)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)


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
    monkeypatch.setattr(CARAFEPack, 'feature_reassemble', reassemble)
    torch.manual_seed(0)
    source, target = Detector(saved), Detector(loaded)
    path = str(tmp_path / 'checkpoint.pth')
    save_checkpoint(dict(state_dict=source.state_dict(), meta={}), path)
    load_checkpoint(target, path, strict=True)
    assert source.state_dict().keys() == target.state_dict().keys()

    sizes = [(32, 48), (16, 24), (8, 12), (4, 6)]
    inputs = [torch.randn(2, c, *size) for c, size in zip(CHANNELS, sizes, strict=True)]
    for out, expected in zip(target.neck(inputs), source.neck(inputs), strict=True):
        torch.testing.assert_close(out, expected)
