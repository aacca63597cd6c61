"""Checkpoints of other projects: loaded with equal outputs, or refused by name."""

import functools

import pytest
import torch
from torch import nn

from sapa_mm.upsamplers import Carafe, Deconv, PixelShuffle, SapaB, SapaD, build_upsampler

from ..support import foreign_upsamplers as foreign
from ..support.foreign_upsamplers import drawn_anew, load_by_mmengine, load_by_torch
from ..support.pairs import parametrize_each
from ..support.upsamplers import make_inputs

CHANNELS = 32
# Their module, and the upsample_cfg of ours.
FOREIGN = {
    'SAPA': (foreign.SAPA, dict(type='sapa_b', pre_norm=True)),
    'SAPA without norms': (
        functools.partial(foreign.SAPA, norm=False),
        dict(type='sapa_b'),
    ),
    'SAPA without biases': (
        functools.partial(foreign.SAPA, qkv_bias=False),
        dict(type='sapa_b', pre_norm=True),
    ),
    'SAPADeform': (foreign.SAPADeform, dict(type='sapa_d')),
    'SAPADeform with norms': (
        functools.partial(foreign.SAPADeform, norm=True, high_offset=False),
        dict(type='sapa_d', pre_norm=True, shared_offset=True),
    ),
    'SAPADeform without biases': (
        functools.partial(foreign.SAPADeform, qkv_bias=False),
        dict(type='sapa_d'),
    ),
    'DySample': (foreign.DySample, dict(type='dysample')),
    'DySample+': (
        functools.partial(foreign.DySample, dyscope=True, scope_bias=False),
        dict(type='dysample', dynamic_scope=True),
    ),
    'DySample+ until March 2024': (
        functools.partial(foreign.DySample, dyscope=True),
        dict(type='dysample', dynamic_scope=True, scope_bias=True),
    ),
    'DySample-S+ until March 2024': (
        functools.partial(foreign.DySample, style='pl', groups=8, dyscope=True),
        dict(type='dysample', style='pl', groups=8, dynamic_scope=True, scope_bias=True),
    ),
    'CARAFEPack': (foreign.CARAFEPack, dict(type='carafe')),
    'FADE': (foreign.FADE, dict(type='fade', gate=True)),
    'FADE without gating': (
        functools.partial(foreign.FADE, gating=False),
        dict(type='fade'),
    ),
    'FADE_H2L': (foreign.FADEH2L, dict(type='fade', gate=True)),
    'A2U': (foreign.A2UUp, dict(type='a2u')),
    'HolisticIndexBlock': (foreign.HolisticIndexBlock, dict(type='index_net')),
    'DepthwiseM2OIndexBlock': (
        foreign.DepthwiseM2OIndexBlock,
        dict(type='index_net', variant='m2o'),
    ),
    'PixelShuffle': (foreign.pixel_shuffle, dict(type='pixel_shuffle')),
    'ConvTranspose2d': (foreign.deconv, dict(type='deconv')),
}


class Parent(nn.Module):
    """A model with two upsamplers, and modules whose names mean something in an upsampler only."""

    def __init__(self, make):
        super().__init__()
        self.head = nn.Module()
        self.head.ups = nn.ModuleList([make(), make()])
        self.q = nn.Linear(2, 2)
        self.head.k = nn.Linear(2, 2)
        self.indexnet = nn.Sequential(nn.Linear(2, 2))


def build(cfg, channels=CHANNELS):
    return build_upsampler(cfg, channels).double().eval()


def inputs_of_theirs(upsampler):
    x, guide = make_inputs(upsampler, (4, 6), (8, 12))
    return (guide, x) if upsampler.guided else (x,)


@parametrize_each(load=[load_by_torch, load_by_mmengine], nested=[False, True], kind=FOREIGN)
def test_equal_outputs(kind, nested, load):
    make, cfg = FOREIGN[kind]
    source, target = (
        drawn_anew(Parent(functools.partial(make, CHANNELS)) if nested else make(CHANNELS)),
        (Parent(lambda: build(cfg)) if nested else build(cfg)).double(),
    )
    theirs = source.state_dict()
    names = list(theirs)
    load(target, theirs)
    assert list(theirs) == names
    theirs, ours = [list(module.head.ups) if nested else [module] for module in (source, target)]
    for their, our in zip(theirs, ours, strict=True):
        inputs = inputs_of_theirs(our)
        with torch.no_grad():
            torch.testing.assert_close(our(*inputs[::-1]), their(*inputs), rtol=1e-12, atol=1e-12)
    # What was loaded is ours from now on.
    again = (Parent(lambda: build(cfg)) if nested else build(cfg)).double()
    load(again, target.state_dict())
    for name, value in target.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a2u_without_the_wrapping_module():
    """As in A2U's own repository, where one module makes the kernels."""
    source, target = drawn_anew(foreign.A2UUp(CHANNELS)), build(dict(type='a2u'))
    target.load_state_dict(source.kernel_gen.state_dict(), strict=True)
    guide, x = inputs_of_theirs(target)
    torch.testing.assert_close(target(x, guide), source(guide, x), rtol=1e-12, atol=1e-12)


REFUSED = {
    'a gate': (foreign.FADE, dict(type='fade'), r'gate\.weight; build .* with gate=True'),
    'norms': (foreign.SAPA, dict(type='sapa_b'), r'norm_x\.weight; build .* with pre_norm=True'),
    'a scope': (
        functools.partial(foreign.DySample, dyscope=True, scope_bias=False),
        dict(type='dysample'),
        r'scope\.weight; build .* with dynamic_scope=True$',
    ),
    "a scope's bias": (
        functools.partial(foreign.DySample, dyscope=True),
        dict(type='dysample', dynamic_scope=True),
        r'scope\.bias; build .* with dynamic_scope=True, scope_bias=True$',
    ),
    'a scope and its bias': (
        functools.partial(foreign.DySample, dyscope=True),
        dict(type='dysample'),
        r'scope\.bias; build .* with dynamic_scope=True, scope_bias=True$',
    ),
    'a guide': (
        functools.partial(foreign.SAPADeform, norm=True),
        dict(type='sapa_d', guided=False, pre_norm=True),
        r'query\.weight; build .* with guided=True',
    ),
    'no guide': (
        lambda channels: build(dict(type='sapa_d', guided=False), channels),
        dict(type='sapa_d'),
        r'channel_compressor\.weight; build .* with guided=False',
    ),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_what_an_option_makes_is_refused_without_it(kind):
    """In one line; also by mmengine, which otherwise drops what it does not know and logs it."""
    make, cfg, message = REFUSED[kind]
    theirs = {f'up.{name}': value for name, value in make(CHANNELS).state_dict().items()}
    for load in (
        load_by_torch,
        load_by_mmengine,
        lambda model, weights: model.load_state_dict(weights, strict=False),
        lambda model, weights: pytest.importorskip(
            'mmengine.runner.checkpoint'
        ).load_state_dict(model, weights),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message) as error:
            load(nn.ModuleDict({'up': build(cfg)}), theirs)
        assert str(error.value).startswith(type(build(cfg)).__name__ + ': the weights have up.')
        assert '\n' not in str(error.value)


def without(module, *names):
    return {name: value for name, value in module.state_dict().items() if name not in names}


# The weights, the upsample_cfg, and what the error names.
MISFITS = {
    'FADELite': (
        lambda: foreign.FADE(CHANNELS, lite=True).state_dict(),
        dict(type='fade', gate=True),
        'content_encoder.weight',
    ),
    'FADELite, as narrow': (
        lambda: foreign.FADE(CHANNELS, lite=True).state_dict(),
        dict(type='fade', gate=True, compressed_channels=25),
        'content_encoder.weight',
    ),
    'FADE without a gate': (
        lambda: foreign.FADE(CHANNELS, gating=False).state_dict(),
        dict(type='fade', gate=True),
        'gate.weight',
    ),
    'A2U, filters for each channel': (
        lambda: foreign.A2UUp(CHANNELS, share=False).state_dict(),
        dict(type='a2u'),
        'filters.weight',
    ),
    'A2U without one filter': (
        lambda: without(foreign.A2UUp(CHANNELS), 'kernel_gen.bconv_V.1.weight'),
        dict(type='a2u'),
        'filters.0.weight',
    ),
    'linear HIN': (
        lambda: foreign.HolisticIndexBlock(CHANNELS, linear=True).state_dict(),
        dict(type='index_net'),
        'index_blocks.0.weight',
    ),
    'linear M2O': (
        lambda: foreign.DepthwiseM2OIndexBlock(CHANNELS, linear=True).state_dict(),
        dict(type='index_net', variant='m2o'),
        'index_blocks.3.1.running_var',
    ),
    'HIN for M2O': (
        lambda: foreign.HolisticIndexBlock(CHANNELS).state_dict(),
        dict(type='index_net', variant='m2o'),
        'index_blocks.3.0.weight',
    ),
    'M2O for HIN': (
        lambda: foreign.DepthwiseM2OIndexBlock(CHANNELS).state_dict(),
        dict(type='index_net'),
        'index_blocks.3.0.weight',
    ),
    'SAPA without one bias': (
        lambda: without(foreign.SAPA(CHANNELS, norm=False), 'q.bias'),
        dict(type='sapa_b'),
        'query.bias',
    ),
    'our SAPA-B without biases': (
        lambda: without(SapaB(CHANNELS), 'query.bias', 'key.bias'),
        dict(type='sapa_b'),
        'key.bias',
    ),
    'both names': (
        lambda: {**SapaB(CHANNELS).state_dict(), 'q.weight': torch.zeros(32, CHANNELS, 1, 1)},
        dict(type='sapa_b'),
        'q.weight',
    ),
    'DySample+ since March 2024': (
        lambda: foreign.DySample(CHANNELS, dyscope=True, scope_bias=False).state_dict(),
        dict(type='dysample', dynamic_scope=True, scope_bias=True),
        'scope.bias',
    ),
    'another upsampler': (
        lambda: foreign.SAPA(CHANNELS).state_dict(),
        dict(type='fade'),
        'norm_y.weight',
    ),
}


@pytest.mark.parametrize('kind', MISFITS)
def test_what_does_not_fit_is_named(kind):
    make, cfg, named = MISFITS[kind]
    with pytest.raises(RuntimeError, match=named.replace('.', r'\.')):
        build(cfg).load_state_dict(make())


def test_missing_biases_are_zero_whether_or_not_the_offsets_have_one():
    theirs = drawn_anew(foreign.SAPADeform(CHANNELS)).state_dict()
    bias = theirs['offset.bias'].clone()
    del theirs['q.bias'], theirs['k.bias']
    ours = build(dict(type='sapa_d'))
    ours.load_state_dict(theirs)
    assert not ours.query.bias.any()
    assert not ours.key.bias.any()
    assert torch.equal(ours.offset.bias, bias.double())


def test_points_of_another_scale_are_refused():
    # By shapes alone it is a DySample by two with 16 groups.
    theirs = foreign.DySample(CHANNELS, groups=16).state_dict()
    steps = torch.tensor([-0.375, -0.125, 0.125, 0.375])
    axes = torch.stack([steps.repeat(4), steps.repeat_interleave(4)])
    theirs['init_pos'] = axes.repeat(1, 4).view(1, -1, 1, 1)
    with pytest.raises(ValueError, match='DySample: .* init_pos, do not match scale'):
        build(dict(type='dysample', groups=16)).load_state_dict(theirs)
    build_upsampler(dict(type='dysample'), CHANNELS, scale_factor=4).load_state_dict(theirs)


def test_own_names_stay():
    source, target = drawn_anew(SapaD(8)), build(dict(type='sapa_d'), 8)
    assert {name.partition('.')[0] for name in source.state_dict()} == {'query', 'key', 'offset'}
    target.load_state_dict(source.state_dict(), strict=True)
    assert torch.equal(source.query.weight, target.query.weight)


def test_names_that_only_begin_like_theirs():
    with pytest.raises(RuntimeError, match=r'Unexpected.*"queue\.bias"'):
        SapaB(8).load_state_dict({**SapaB(8).state_dict(), 'queue.bias': torch.zeros(1)})


@pytest.mark.parametrize('kind', ['deconv', 'pixel_shuffle', 'carafe'])
def test_modules_of_mmcv(kind):
    """From mmcv's module to ours: the keys, and the outputs."""
    mmcv_cnn = pytest.importorskip('mmcv.cnn')
    if kind == 'carafe':
        pytest.importorskip('mmcv.ops')
    own, options, theirs = {
        'deconv': (Deconv, {}, dict(kernel_size=3, stride=2, padding=1, output_padding=1)),
        'pixel_shuffle': (PixelShuffle, {}, dict(scale_factor=2, upsample_kernel=3)),
        'carafe': (Carafe, dict(up_group=2), dict(scale_factor=2, up_group=2)),
    }[kind]
    channels = dict(channels=8) if kind == 'carafe' else dict(in_channels=8, out_channels=8)
    source = drawn_anew(mmcv_cnn.build_upsample_layer(dict(type=kind, **channels, **theirs)))
    target = own(8, **options).double()
    target.load_state_dict(source.state_dict(), strict=True)
    x, guide = make_inputs(target, (3, 4), (6, 8))
    if kind != 'carafe':
        torch.testing.assert_close(target(x, guide), source(x))
        return
    # mmcv's assembly does not run on a CPU, its kernel prediction does.
    weight = source.kernel_normalizer(source.content_encoder(source.channel_compressor(x)))
    padded = nn.functional.pad(x, (2, 2, 2, 2))
    expected = x.new_zeros(2, 8, 6, 8)
    for i in range(6):
        for j in range(8):
            window = padded[:, :, i // 2 : i // 2 + 5, j // 2 : j // 2 + 5].flatten(2)
            kernel = weight[:, :, i, j].view(2, 2, 25).repeat_interleave(4, 1)
            expected[:, :, i, j] = (window * kernel).sum(2)
    torch.testing.assert_close(target(x, guide), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('up_group', [1, 2])
def test_carafe_equals_mmcvs_operator(up_group):
    mmcv_cnn = pytest.importorskip('mmcv.cnn')
    pytest.importorskip('mmcv.ops')
    cfg = dict(type='carafe', channels=8, scale_factor=2, up_group=up_group)
    source = drawn_anew(mmcv_cnn.build_upsample_layer(cfg)).float().cuda()
    target = Carafe(8, up_group=up_group).cuda()
    target.load_state_dict(source.state_dict(), strict=True)
    x = torch.randn(2, 8, 12, 10, device='cuda')
    torch.testing.assert_close(target(x), source(x))
