"""Swin beside a stem: mmseg's Swin, its weights, sizes, and the form that tracing takes."""

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmseg.models.backbones import SwinTransformer
from mmseg.registry import MODELS

from sapa_mm.depth import StemSwinTransformer
from sapa_mm.depth.traceable_swin import swin_stages

from ..support.foreign_upsamplers import drawn_anew

SMALL = dict(embed_dims=32, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8))
SIZES = [(64, 96), (61, 75), (225, 29), (5, 3), (1, 1)]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def make(**options):
    return StemSwinTransformer(**{**SMALL, 'stem_channels': 32, **options})


def make_image(size, batch=2, channels=3):
    shape = (batch, channels, *size)
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_parameters_of_the_paper():
    backbone = StemSwinTransformer()
    in_stem, in_all = (
        sum(parameter.numel() for parameter in module.parameters())
        for module in (backbone.stem, backbone)
    )
    assert (in_stem, in_all - in_stem) == (9536, 27_520_698)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('train', [False, True])
def test_a_stem_then_the_stock_swin(size, train):
    backbone, stock = drawn_anew(make()), SwinTransformer(**SMALL).double()
    loaded = stock.load_state_dict(backbone.state_dict(), strict=False)
    assert loaded.missing_keys == []
    assert all(key.startswith('stem.') for key in loaded.unexpected_keys)
    outs = []
    for module in (backbone, stock):
        module.train(train)
        torch.manual_seed(3)  # of drop path
        outs.append(module(make_image(size)))
    (stem, *stages), expected = outs
    assert len(stages) == 4
    for out, other in zip(stages, expected, strict=True):
        assert torch.equal(out, other)
    strides = (2, 4, 8, 16, 32)
    assert [tuple(out.shape[2:]) for out in outs[0]] == [
        tuple(-(-side // stride) for side in size) for stride in strides
    ]
    assert [out.shape[1] for out in outs[0]] == [32, 32, 64, 128, 256]
    assert stem.min() == 0


def test_chosen_stages():
    backbone = make(out_indices=(1, 3), in_channels=4, stem_channels=8).double()
    outs = backbone(make_image((64, 64), channels=4))
    assert [out.shape[1] for out in outs] == [8, 64, 256]


@pytest.mark.parametrize('wrap', [dict, lambda weights: dict(state_dict=weights)])
def test_weights_of_swin_leave_the_stem_at_random(tmp_path, wrap):
    """As mmseg's converted ImageNet weights: without the norms of the outputs."""
    source = drawn_anew(SwinTransformer(**SMALL))
    weights = {
        key: value
        for key, value in source.state_dict().items()
        if not key.startswith(('norm', 'head'))
    }
    torch.save(wrap(weights), tmp_path / 'swin.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'swin.pth'))
    backbones = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        backbone = MODELS.build(dict(type='StemSwinTransformer', init_cfg=init_cfg, **SMALL))
        backbone.init_weights()
        backbones.append(backbone)
    for key, value in weights.items():
        assert torch.equal(backbones[0].state_dict()[key], value), key
    stems = [backbone.stem.conv.weight for backbone in backbones]
    assert not torch.equal(*stems)
    assert all(0.01 < stem.std() < 0.1 for stem in stems)


def test_weights_of_a_trained_model_bring_their_stem(tmp_path):
    source = drawn_anew(make())
    weights = {f'backbone.{key}': value for key, value in source.state_dict().items()}
    torch.save(dict(state_dict=weights, meta={}), tmp_path / 'depth.pth')
    backbone = make(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'depth.pth')))
    backbone.init_weights()
    for key, value in source.state_dict().items():
        assert torch.equal(
            backbone.state_dict()[key], value.to(backbone.state_dict()[key].dtype)
        ), key


def test_weights_of_the_toolbox():
    source = drawn_anew(make())
    names = {'stem.conv.': 'conv1.', 'stem.bn.': 'bn1.'}
    weights = {}
    for key, value in source.state_dict().items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        weights[key] = value
    backbone = make()
    backbone.load_state_dict(weights)
    assert torch.equal(backbone.stem.bn.running_mean, source.stem.bn.running_mean)
    assert torch.equal(backbone.stem.conv.weight, source.stem.conv.weight)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('train', [False, True])
def test_the_traced_form_is_the_stock_one(size, train):
    backbone = drawn_anew(make(depths=(1, 2, 2, 1)))
    backbone.train(train)
    image = make_image(size).requires_grad_()
    results = []
    for form in (swin_stages, SwinTransformer.forward):
        torch.manual_seed(3)
        outs = form(backbone, image)
        gradient = torch.autograd.grad(sum(out.square().sum() for out in outs), image)
        results.append([*outs, *gradient])
    for out, expected in zip(*results, strict=True):
        torch.testing.assert_close(out, expected)


def test_activation_checkpointing_gives_the_same():
    results = []
    for with_cp in (False, True):
        backbone = drawn_anew(make(with_cp=with_cp, drop_path_rate=0.0))
        backbone.train()
        outs = backbone(make_image((61, 75)))
        sum(out.square().sum() for out in outs).backward()
        results.append([*outs, *(p.grad for p in backbone.parameters())])
    for out, expected in zip(*results, strict=True):
        torch.testing.assert_close(out, expected)


def test_traced_at_one_size_runs_at_others():
    backbone = drawn_anew(make())
    with torch.no_grad():
        traced = torch.jit.trace(backbone, make_image((101, 143), batch=1))
        for size in ((64, 96), (61, 75), (230, 33)):
            image = make_image(size, batch=1)
            torch.testing.assert_close(traced(image), backbone(image))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(stem_channels=0), 'stem_channels must be a positive integer, got 0'),
        (dict(embed_dims=33), r'num_heads\[1\]=4 must divide the 66 channels of its stage'),
        (dict(num_heads=(1, 2, 4)), 'num_heads must be one for each of the 4 depths, got 3'),
        (dict(strides=(4, 2, 2)), 'strides must be one for each of the 4 depths, got 3'),
        (dict(out_indices=(0, 4)), r'out_indices must be in 0..3, got \(0, 4\)'),
        (dict(patch_size=8), r'strides\[0\]=4 must be patch_size=8'),
    ],
)
def test_bad_arguments(options, message):
    if 'embed_dims' in options:
        options['num_heads'] = (3, 4, 4, 4)
    with pytest.raises(ValueError, match=f'^StemSwinTransformer: {message}'):
        make(**options)
