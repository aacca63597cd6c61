"""DepthFormer's encoder and neck."""

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope

from sapa_mm.depth import HAHINeck, StemSwinTransformer


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_paper():
    backbone, neck = StemSwinTransformer(), HAHINeck()
    assert parameters(backbone.stem) == 9536
    assert parameters(backbone) - parameters(backbone.stem) == 27_520_698
    assert parameters(neck) == 12_392_834


def small_model():
    backbone = StemSwinTransformer(
        embed_dims=32, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8), stem_channels=32
    )
    neck = HAHINeck([32, 32, 64, 128, 256], embed_dims=32, num_heads=4, num_points=4)
    return torch.nn.Sequential(backbone, neck)


@pytest.mark.parametrize('size', [(64, 96), (61, 75), (5, 3), (1, 1)])
def test_sides_are_rounded_up(size):
    outs = small_model()(torch.randn(2, 3, *size))
    strides = (2, 4, 8, 16, 32)
    expected = [tuple(-(-side // stride) for side in size) for stride in strides]
    assert [tuple(out.shape[2:]) for out in outs] == expected
    assert [out.shape[1] for out in outs] == [32, 32, 64, 128, 256]
