"""Both necks: the stock ones with nearest, otherwise guided upsamplers."""

import itertools

import pytest
import torch
from torch import nn

pytest.importorskip('mmdet')

from mmdet.models.necks import FPN, FPN_CARAFE
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from sapa_mm.detection import UpsampleFPN, UpsampleFPNCARAFE
from sapa_mm.upsamplers import UPSAMPLERS, SapaD

from ..support import foreign_upsamplers as foreign
from ..support.foreign_upsamplers import drawn_anew, load_by_mmengine, load_by_torch
from ..support.upsamplers import SAPA_D_FIRST, assert_learns, assert_trace_serves

CHANNELS = [4, 8, 12, 16]
SIZES = {
    'even': [(32, 48), (16, 24), (8, 12), (4, 6)],
    'odd': [(45, 33), (23, 17), (12, 9), (6, 5)],
}
# Interpolation accepts a finer level that is smaller than the coarser one.
ANY_SIZES = {**SIZES, 'smaller': [(45, 33), (11, 17), (12, 9), (6, 5)]}
UPSAMPLE_CFGS = [
    dict(type='sapa_i', kernel_size=3),
    dict(type='sapa_b', kernel_size=3, embed_dims=8, pre_norm=True),
    dict(type='sapa_d', num_points=4, embed_dims=4),
    dict(type='sapa_d', num_points=4, embed_dims=4, shared_offset=True),
    dict(type='carafe', up_kernel=3, compressed_channels=8),
    dict(type='deconv'),
]
NECKS = [UpsampleFPN, UpsampleFPNCARAFE]


@pytest.fixture(autouse=True)
def _scope():
    """Other tests may have left the default scope of another host."""
    init_default_scope('mmdet')


def make_neck(kind, upsample_cfg=None, **options):
    torch.manual_seed(0)
    options = dict(in_channels=CHANNELS, out_channels=32, num_outs=5) | options
    return kind(upsample_cfg=upsample_cfg, **options)


def make_inputs(sizes, channels=CHANNELS):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, number, *size, generator=generator).requires_grad_()
        for number, size in zip(channels, ANY_SIZES[sizes], strict=True)
    ]


def upsamplers_of(neck):
    return neck.upsamplers if isinstance(neck, UpsampleFPN) else neck.upsample_modules


def assert_equal_to_stock(neck, stock, sizes):
    """The same weights give the same outputs and gradients, bit for bit."""
    neck.load_state_dict(stock.state_dict(), strict=True)
    inputs, expected_inputs = make_inputs(sizes), make_inputs(sizes)
    outs, expected = neck(inputs), stock(expected_inputs)
    assert len(outs) == len(expected)
    for out, other in zip(outs, expected, strict=True):
        assert torch.equal(out, other)
    sum(out.square().sum() for out in outs).backward()
    sum(out.square().sum() for out in expected).backward()
    for own, other in zip(neck.parameters(), stock.parameters(), strict=True):
        assert torch.equal(own.grad, other.grad)
    for own, other in zip(inputs, expected_inputs, strict=True):
        assert (own.grad is None) == (other.grad is None)
        assert own.grad is None or torch.equal(own.grad, other.grad)


@pytest.mark.parametrize('sizes', ANY_SIZES)
@pytest.mark.parametrize('upsample_cfg', [None, dict(type='nearest')])
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(num_outs=4),
        dict(num_outs=6),
        dict(start_level=1),
        dict(start_level=1, add_extra_convs='on_input'),
        dict(start_level=1, num_outs=6, add_extra_convs='on_lateral', relu_before_extra_convs=True),
        dict(add_extra_convs='on_output', num_outs=6),
        dict(add_extra_convs=True, num_outs=7, relu_before_extra_convs=True),
        dict(end_level=2, num_outs=3),
        dict(start_level=1, end_level=2, num_outs=2, add_extra_convs=True),
        dict(norm_cfg=dict(type='GN', num_groups=4), act_cfg=dict(type='ReLU')),
        dict(norm_cfg=dict(type='GN', num_groups=4), no_norm_on_lateral=True),
    ],
)
def test_nearest_is_the_stock_fpn(options, upsample_cfg, sizes):
    neck = make_neck(UpsampleFPN, upsample_cfg, **options)
    stock = FPN(**dict(in_channels=CHANNELS, out_channels=32, num_outs=5) | options)
    assert_equal_to_stock(neck, stock, sizes)


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('upsample_cfg', [None, dict(type='nearest')])
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(num_outs=4),
        dict(num_outs=6),
        dict(start_level=1),
        dict(start_level=2, num_outs=5),
        dict(end_level=2, num_outs=3),
        dict(start_level=1, end_level=2, num_outs=2),
        dict(norm_cfg=dict(type='GN', num_groups=4), act_cfg=dict(type='ReLU')),
        dict(
            norm_cfg=dict(type='GN', num_groups=4),
            act_cfg=dict(type='ReLU'),
            order=('act', 'conv', 'norm'),
        ),
    ],
)
def test_nearest_is_the_stock_fpn_carafe(options, upsample_cfg, sizes):
    neck = make_neck(UpsampleFPNCARAFE, upsample_cfg, **options)
    options = dict(in_channels=CHANNELS, out_channels=32, num_outs=5) | options
    stock = FPN_CARAFE(upsample_cfg=dict(type='nearest'), **options)
    assert_equal_to_stock(neck, stock, sizes)


@pytest.mark.parametrize('kind', NECKS)
@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('upsample_cfg', UPSAMPLE_CFGS)
def test_who_guides_whom(upsample_cfg, sizes, kind):
    """Each step upsamples the sum so far; its guide is the lateral before the sum."""
    neck = make_neck(kind, upsample_cfg).eval()
    laterals, calls, summed = [], [], []
    for conv in neck.lateral_convs:
        conv.register_forward_hook(lambda _, inputs, out: laterals.append((out, out.clone())))
    for upsampler in upsamplers_of(neck):
        upsampler.register_forward_hook(
            lambda module, inputs, out: calls.append((module, *inputs, out))
        )
    for conv in neck.fpn_convs:
        conv.register_forward_pre_hook(lambda _, inputs: summed.append(inputs[0]))
    outs = neck(make_inputs(sizes))

    steps = len(neck.lateral_convs) - 1
    assert steps == (3 if kind is UpsampleFPN else 4)
    assert [tuple(out.shape[2:]) for out in outs[:4]] == SIZES[sizes]
    assert [module for module, *_ in calls] == list(upsamplers_of(neck))[::-1]
    total = laterals[-1][0]
    for level, (_, x, guide, out) in zip(range(steps, 0, -1), calls, strict=True):
        assert torch.equal(summed[level], total)
        assert torch.equal(x, total)
        assert guide is laterals[level - 1][0]
        assert out.shape == guide.shape
        total = guide + out
    assert torch.equal(summed[0], total)
    for now, when_made in laterals:
        assert torch.equal(now, when_made)


@pytest.mark.parametrize('kind', NECKS)
@pytest.mark.parametrize('upsampler', SAPA_D_FIRST)
def test_traced_at_one_size_runs_at_others(kind, upsampler):
    neck = make_neck(kind, dict(type=upsampler)).eval()
    assert_trace_serves(neck, make_inputs('even'), make_inputs('odd'))


def test_p6_comes_from_the_backbone_and_takes_part():
    neck = make_neck(UpsampleFPNCARAFE, dict(type='sapa_b', embed_dims=8)).eval()
    inputs = make_inputs('odd')
    finest, *_, p6 = neck(inputs)
    expected = neck.fpn_convs[4](neck.lateral_convs[4](inputs[-1]))
    assert torch.equal(p6, expected)
    torch.nn.init.zeros_(neck.lateral_convs[4].conv.weight)
    assert not torch.equal(neck(inputs)[0], finest)


@pytest.mark.parametrize('kind', NECKS)
@pytest.mark.parametrize('upsample_cfg', UPSAMPLE_CFGS)
def test_every_parameter_learns(upsample_cfg, kind):
    neck = make_neck(kind, upsample_cfg)
    neck.init_weights()
    inputs = make_inputs('odd')
    target = [torch.randn_like(out) for out in neck(inputs)]

    def loss():
        outs = neck(inputs)
        return sum((out - to).square().mean() for out, to in zip(outs, target, strict=True))

    assert_learns(neck, loss, inputs)


@pytest.mark.parametrize('kind', NECKS)
@pytest.mark.parametrize('upsampler', sorted(UPSAMPLERS))
def test_any_upsampler_fits(kind, upsampler):
    neck = make_neck(kind, dict(type=upsampler))
    outs = neck(make_inputs('odd'))
    assert [tuple(out.shape[2:]) for out in outs[:4]] == SIZES['odd']
    assert all(out.isfinite().all() for out in outs)


@pytest.mark.parametrize('kind', NECKS)
def test_initialisation(kind):
    """The stock layers as in the stock neck, the embeddings N(0, 0.02)."""
    options = dict(in_channels=[256] * 4, out_channels=64)
    neck = make_neck(kind, dict(type='sapa_d', offset_init='grid'), **options)
    neck.init_weights()
    for upsampler in upsamplers_of(neck):
        for conv in (upsampler.query, upsampler.key, upsampler.offset):
            assert conv.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert upsampler.query.bias.abs().max() == 0
        assert upsampler.offset.bias.abs().max() == 1
    bound = (6 / (256 + 64)) ** 0.5
    for lateral in neck.lateral_convs[:4]:
        assert lateral.conv.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
    neck = make_neck(kind, dict(type='carafe'), **options)
    neck.init_weights()
    for upsampler in upsamplers_of(neck):
        assert upsampler.content_encoder.weight.std().item() == pytest.approx(0.001, rel=0.05)


def test_options_reach_the_upsamplers():
    for kind in NECKS:
        for upsampler in upsamplers_of(make_neck(kind, dict(type='sapa_d', groups=2))):
            assert type(upsampler) is SapaD
            assert (upsampler.groups, upsampler.in_channels, upsampler.guide_channels) == (
                2,
                32,
                32,
            )


@pytest.mark.parametrize('kind', NECKS)
def test_builds_from_the_registry(kind):
    upsample_cfg = dict(type='sapa_b')
    cfg = dict(type=kind.__name__, in_channels=CHANNELS, out_channels=32, num_outs=5)
    neck = MODELS.build(dict(cfg, upsample_cfg=upsample_cfg))
    assert type(neck) is kind
    assert upsample_cfg == dict(type='sapa_b')
    with pytest.raises(ValueError, match='num_outs must be 4 or more'):
        MODELS.build(dict(cfg, num_outs=3))


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(in_channels=(4, 8)), TypeError, 'in_channels must be a list'),
        (dict(start_level=4), ValueError, r'start_level must be in 0\.\.3 .* got 4'),
        (dict(end_level=4), ValueError, r'end_level must be -1 or in 0\.\.3 .* got 4'),
        (dict(start_level=2, end_level=1), ValueError, r'or in 2\.\.3 .* got 1'),
        (dict(num_outs=3), ValueError, r'num_outs must be 4 or more for the levels 0\.\.3'),
        (dict(end_level=2, num_outs=5), ValueError, r'num_outs must be 3 for the levels 0\.\.2'),
        (dict(upsample_cfg='sapa_d'), TypeError, "upsample_cfg must be a dict.*got 'sapa_d'"),
        (dict(upsample_cfg=dict(mode='nearest')), ValueError, 'must have a type, one of.*sapa_b'),
        (dict(upsample_cfg=dict(type='sapa')), ValueError, "must be one of.*sapa_b.*got 'sapa'"),
        (
            dict(upsample_cfg=dict(type='sapa_b', num_points=4)),
            ValueError,
            'sapa_b has no option num_points; allowed are embed_dims',
        ),
        (
            dict(upsample_cfg=dict(type='sapa_d', groups=5)),
            ValueError,
            'groups=5 must divide the 32 channels',
        ),
        (
            dict(upsample_cfg=dict(type='sapa_d', pre_norm=True), out_channels=24),
            ValueError,
            'pre_norm needs in_channels divisible by 32, got 24',
        ),
    ],
)
@pytest.mark.parametrize('kind', NECKS)
def test_bad_options(kind, options, error, message):
    with pytest.raises(error, match=message):
        make_neck(kind, **options)


@pytest.mark.parametrize('kind', NECKS)
def test_inputs_that_do_not_fit(kind):
    neck = make_neck(kind, dict(type='sapa_b'))
    inputs = make_inputs('even')
    name = kind.__name__
    with pytest.raises(ValueError, match=f'{name}: expects 4 inputs .* got 3 inputs'):
        neck(inputs[:3])
    with pytest.raises(ValueError, match=r'got 4 inputs with \[16, 12, 8, 4\] channels'):
        neck(inputs[::-1])


@pytest.mark.parametrize(('kind', 'size'), itertools.product(NECKS, [(1, 1), (1, 9), (5, 3)]))
def test_tiny_maps(kind, size):
    """The coarsest level may be a single pixel, and so may the next."""
    neck = make_neck(kind, dict(type='sapa_d', num_points=4, embed_dims=4))
    height, width = size
    sizes = [((height + k - 1) // k, (width + k - 1) // k) for k in (1, 2, 4, 8)]
    outs = neck([torch.randn(1, c, *s) for c, s in zip(CHANNELS, sizes, strict=True)])
    assert [tuple(out.shape[2:]) for out in outs[:4]] == sizes


class ForeignFPN(FPN):
    """The authors' FPN_UPSAMPLE, from detection-with-upsamplers."""

    def __init__(self, upsampler, **options):
        super().__init__(**options)
        # Those beside the convolutions of extra levels are never called.
        steps = len(self.fpn_convs) - 1
        self.upsample_modules = nn.ModuleList(upsampler(32) for _ in range(steps))

    def forward(self, inputs):
        inputs = inputs[self.start_level :]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)]
        for fine in range(len(laterals) - 2, -1, -1):
            upsampler = self.upsample_modules[fine]
            # Theirs is told by a setting whether there is a guide.
            guide = () if isinstance(upsampler, nn.Sequential) else (laterals[fine],)
            laterals[fine] = laterals[fine] + upsampler(*guide, laterals[fine + 1])
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals, strict=False)]
        if self.add_extra_convs:
            outs.append(self.fpn_convs[-1](outs[-1]))
        return outs


@pytest.mark.parametrize('load', [load_by_torch, load_by_mmengine])
@pytest.mark.parametrize(
    ('make', 'upsample_cfg'),
    [
        (foreign.SAPADeform, dict(type='sapa_d')),
        (foreign.FADE, dict(type='fade', gate=True)),
        (foreign.pixel_shuffle, dict(type='pixel_shuffle')),
    ],
    ids=['sapa_d', 'fade', 'pixel_shuffle'],
)
@pytest.mark.parametrize(
    'options',
    [dict(num_outs=4), dict(num_outs=4, start_level=1, add_extra_convs='on_output')],
    ids=['fpn', 'extra'],
)
def test_weights_of_the_authors_neck(options, make, upsample_cfg, load):
    options = dict(in_channels=CHANNELS, out_channels=32) | options
    source = drawn_anew(ForeignFPN(make, **options))
    theirs = {f'neck.{name}': value for name, value in source.state_dict().items()}
    neck = UpsampleFPN(upsample_cfg=upsample_cfg, **options).double().eval()
    load(nn.ModuleDict({'neck': neck}), theirs)
    inputs = [x.detach().double() for x in make_inputs('even')]
    with torch.no_grad():
        for out, expected in zip(neck(inputs), source(inputs), strict=True):
            torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)


def test_weights_of_the_stock_carafe_neck_keep_their_names():
    """What both call upsample_modules; mmcv's bare transposed convolution in it is renamed."""
    cfg = dict(in_channels=CHANNELS, out_channels=32, num_outs=5)
    stock_cfg = ConfigDict(type='deconv', upsample_kernel=3)
    source = FPN_CARAFE(upsample_cfg=stock_cfg, **cfg)
    neck = UpsampleFPNCARAFE(upsample_cfg=dict(type='deconv'), **cfg)
    neck.load_state_dict(drawn_anew(source).float().state_dict(), strict=True)
    inputs = make_inputs('even')
    with torch.no_grad():
        for out, expected in zip(neck(inputs), source(inputs), strict=True):
            torch.testing.assert_close(out, expected)
