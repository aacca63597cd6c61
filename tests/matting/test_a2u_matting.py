"""A2U matting: the published network, its losses and predictions."""

import pytest

pytest.importorskip('mmcv')

from sapa_mm.matting import A2UMatting

# Beside bilinear; the paper's Table 8 with biases and norms.
INCREMENTS = {
    'deconv': (dict(type='deconv'), 811_520),
    'pixel_shuffle': (dict(type='pixel_shuffle'), 3_246_080),
    'carafe': (dict(type='carafe'), 263_824),
    'a2u': (dict(type='a2u'), 21_656),
    'fade': (dict(type='fade'), 123_492),
    'sapa_i': (dict(type='sapa_i'), 0),
    'sapa_b': (dict(type='sapa_b', pre_norm=True), 35_072),
    'sapa_d': (dict(type='sapa_d', groups=1, shared_offset=True, pre_norm=True), 44_360),
}


def count(**options):
    return sum(weight.numel() for weight in A2UMatting(**options).parameters())


def test_parameters_with_bilinear():
    assert count() == 8_049_003


@pytest.mark.parametrize('kind', INCREMENTS)
def test_parameters_of_upsamplers(kind):
    upsample_cfg, increment = INCREMENTS[kind]
    assert count(upsample_cfg=upsample_cfg) == 8_049_003 + increment
