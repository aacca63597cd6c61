"""The cost of a config."""

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from sapa_mm.analysis.complexity import count_parameters, measure_cost
from sapa_mm.analysis.flops import count_flops
from sapa_mm.depth import MultiScaleDeformableAttention

from ..support.configs import CONFIGS


def test_count_parameters():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    module[0].weight.requires_grad_(False)
    assert count_parameters(module) == 4 + 8 + 2
    assert count_parameters(module, trainable_only=False) == 12 + 4 + 8 + 2


def test_shapes():
    panoptic = (
        CONFIGS / 'panoptic_fpn' / 'panoptic-fpn_r18-small_nearest_1xb8-300_scenes-160x160.py'
    )
    segformer = CONFIGS / 'segformer' / 'segformer_mit-tiny_sapa-b_1xb8-300_scenes-128x128.py'
    assert measure_cost(str(segformer)).shape == (128, 128)
    assert measure_cost(str(panoptic)).shape == (800, 1344)
    small, large = (measure_cost(str(panoptic), shape) for shape in ((60, 90), (64, 192)))
    assert (small.shape, large.shape) == ((64, 96), (64, 192))
    assert large.flops.counted == 2 * small.flops.counted


def test_depth():
    """Of one image of the size of the crops, unless another is asked for."""
    small = str(CONFIGS / 'depthformer/depthformer_swin-mini_sapa-d_1xb8-1500_scenes-128x128.py')
    assert measure_cost(small).shape == (128, 128)
    assert measure_cost(small, (96, 160)).flops.upsamplers > 0


@pytest.mark.extended
def test_depthformer():
    cost = measure_cost(str(CONFIGS / 'depthformer/depthformer_swin-t_bilinear_2xb8-38k_nyu.py'))
    assert (cost.trainable, cost.parameters) == (47_612_029, 47_612_029)
    assert cost.shape == (416, 544)


def test_deformable_attention():
    """Four linear layers, and a bilinear sample of each channel at each point."""
    sizes, queries, d, points = [(6, 8), (3, 4)], 10, 16, 2 * 2 * 3
    attention = MultiScaleDeformableAttention(d, num_heads=2, num_levels=2, num_points=3)

    def run(query):
        return attention(query, torch.empty(1, 60, d), torch.empty(1, queries, 2), sizes)

    linear = queries * d * (2 * points + points + d) + 60 * d * d
    samples = queries * points * (d // 2)
    assert count_flops(attention, run, (1, queries, d)).counted == linear + 4 * samples


def test_images_of_other_channels(tmp_path):
    """The first convolution of the backbone counts them, whatever the data are."""
    base = CONFIGS / 'segformer' / 'segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'
    counted = []
    for channels in (1, 3, 4):
        config = tmp_path / f'{channels}.py'
        text = f'_base_ = {str(base)!r}\nmodel = dict(backbone=dict(in_channels={channels}))\n'
        config.write_text(text)
        counted.append(measure_cost(str(config)).flops.counted)
    # 32 * 32 positions, kernels of 7 x 7, 16 channels out.
    one = 32 * 32 * 7 * 7 * 16
    assert [counted[1] - counted[0], counted[2] - counted[1]] == [2 * one, one]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            'model = dict(decode_head=dict(upsample_cfg=3))',
            'ConfigError: model.decode_head.upsample_cfg must be a dict',
        ),
        (
            "model = dict(decode_head=dict(upsample_cfg=dict(type='sapa_b', groups=5)))",
            '.*groups=5 must divide',
        ),
        ("model = dict(backbone=dict(_delete_=True, type='NoSuch'))", 'KeyError: .*NoSuch'),
        ('model = 3', r'model must be a dict\(...\), got 3'),
        ("model = dict(decode_head=dict(channels='x'))", 'TypeError: '),
        (
            'model = dict(data_preprocessor=None)\ncrop_size = None',
            'ValueError: shape: the config has no data_pre',
        ),
        ('default_scope = None', 'KeyError: .*EncoderDecoder'),
    ],
)
def test_broken_configs_are_named(change, message, tmp_path):
    base = CONFIGS / 'segformer' / 'segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'
    config = tmp_path / 'broken.py'
    config.write_text(f'_base_ = {str(base)!r}\n{change}\n')
    with pytest.raises(ValueError, match=f'^(config: )?{config}: {message}'):
        measure_cost(str(config))


def test_a_shape_that_is_too_small_is_named():
    config = str(CONFIGS / 'segformer' / 'segformer_mit-tiny_sapa-b_1xb8-300_scenes-128x128.py')
    with pytest.raises(ValueError, match=f'^{config} with shape 5 6: RuntimeError: .*Kernel size'):
        measure_cost(config, (5, 6))
