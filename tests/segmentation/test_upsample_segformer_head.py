"""SegFormer's head: the stock one with bilinear, otherwise six upsamplers."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import SegformerHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from sapa_mm.segmentation import UpsampleSegformerHead
from sapa_mm.upsamplers import Bilinear, Nearest, SapaD, Upsampler

from ..support import foreign_upsamplers as foreign
from ..support.foreign_upsamplers import drawn_anew, load_by_mmengine, load_by_torch
from ..support.upsamplers import SAPA_D_FIRST, assert_learns, assert_trace_serves

CHANNELS = (4, 8, 12, 16)
SIZES = {
    'even': [(16, 24), (8, 12), (4, 6), (2, 3)],
    'odd': [(23, 17), (12, 9), (6, 5), (3, 3)],
}
UPSAMPLE_CFGS = [
    dict(type='sapa_i', kernel_size=3, pre_norm=True),
    dict(type='sapa_b', kernel_size=3, embed_dims=8),
    dict(type='sapa_d', num_points=4, embed_dims=4, pre_norm=True),
    dict(type='sapa_d', num_points=4, embed_dims=4, shared_offset=True),
    dict(type='carafe', up_kernel=3, compressed_channels=8),
    dict(type='deconv'),
]
# (stage, guide) of the six upsamplers; stage 0 is the finest.
WIRING = [(3, 2), (3, 1), (3, 0), (2, 1), (2, 0), (1, 0)]


@pytest.fixture(autouse=True)
def _scope():
    """Heads build their losses in the default scope, which other tests may have changed."""
    init_default_scope('mmseg')


def head_cfg(**options):
    cfg = dict(
        in_channels=CHANNELS,
        in_index=(0, 1, 2, 3),
        channels=32,
        num_classes=5,
        dropout_ratio=0.0,
        norm_cfg=dict(type='BN'),
        align_corners=False,
    )
    return {**cfg, **options}


def make_head(upsample_cfg, **options):
    torch.manual_seed(0)
    return UpsampleSegformerHead(upsample_cfg=upsample_cfg, **head_cfg(**options))


def make_features(sizes, batch=2):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(batch, channels, *size, generator=generator)
        for channels, size in zip(CHANNELS, SIZES[sizes], strict=True)
    ]


def make_samples(size, batch=2):
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 5, (batch, 1, *size), generator=generator)
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('upsample_cfg', [None, dict(type='bilinear')])
def test_bilinear_is_the_stock_head_bit_for_bit(upsample_cfg, align_corners, sizes):
    head = make_head(upsample_cfg, align_corners=align_corners)
    torch.manual_seed(5)
    stock = SegformerHead(**head_cfg(align_corners=align_corners))
    head.load_state_dict(stock.state_dict(), strict=True)
    features = make_features(sizes)
    for train in (True, False):
        for module in (head, stock):
            module.train(train).zero_grad()
        out, expected = head(features), stock(features)
        assert torch.equal(out, expected)
        out.square().sum().backward()
        expected.square().sum().backward()
        for name, parameter in stock.named_parameters():
            assert torch.equal(head.get_parameter(name).grad, parameter.grad), name


def test_align_corners_of_the_upsampler_wins():
    features = make_features('odd')
    aligned, plain = (
        make_head(dict(type='bilinear', align_corners=aligned), align_corners=not aligned).eval()
        for aligned in (True, False)
    )
    stock = SegformerHead(**head_cfg(align_corners=True)).eval()
    stock.load_state_dict(aligned.state_dict())
    assert torch.equal(aligned(features), stock(features))
    assert not torch.equal(plain(features), stock(features))


@pytest.mark.parametrize('sizes', SIZES)
def test_nearest_takes_one_step(sizes):
    head = make_head(dict(type='nearest')).eval()
    features = make_features(sizes)
    size = features[0].shape[2:]
    embedded = [conv(feature) for conv, feature in zip(head.convs, features, strict=True)]
    upsampled = [F.interpolate(feature, size, mode='nearest') for feature in embedded]
    expected = head.cls_seg(head.fusion_conv(torch.cat(upsampled, 1)))
    assert torch.equal(head(features), expected)
    assert [type(upsampler) for upsampler in head.upsamplers] == [Nearest] * 3


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('upsample_cfg', UPSAMPLE_CFGS)
def test_six_upsamplers_and_who_guides_whom(upsample_cfg, sizes):
    head = make_head(upsample_cfg).eval()
    embedded, calls, fused = [], [], []
    for conv in head.convs:
        conv.register_forward_hook(lambda _, inputs, out: embedded.append((out, out.clone())))
    for upsampler in head.upsamplers:
        upsampler.register_forward_hook(
            lambda module, inputs, out: calls.append((module, *inputs, out))
        )
    head.fusion_conv.register_forward_pre_hook(lambda _, inputs: fused.append(inputs[0]))
    out = head(make_features(sizes))

    assert out.shape == (2, 5, *SIZES[sizes][0])
    assert len({id(upsampler) for upsampler in head.upsamplers}) == 6
    assert [module for module, *_ in calls] == list(head.upsamplers)
    x = None
    for (stage, guide), (_, low, high, upsampled) in zip(WIRING, calls, strict=True):
        # A stage starts with its embedding, then each step takes the result of the previous one.
        starts = guide == stage - 1
        assert low is (embedded[stage][0] if starts else x)
        assert high is embedded[guide][0]
        assert upsampled.shape == (2, 32, *SIZES[sizes][guide])
        x = upsampled
    for now, when_made in embedded:
        assert torch.equal(now, when_made)
    last = [embedded[0][0], calls[5][3], calls[4][3], calls[2][3]]
    assert torch.equal(fused[0], torch.cat(last, 1))


@pytest.mark.parametrize('kind', SAPA_D_FIRST)
def test_traced_at_one_size_runs_at_others(kind):
    head = make_head(dict(type=kind)).eval()
    assert_trace_serves(head, make_features('even'), make_features('odd'))


def test_options_reach_the_upsamplers():
    head = make_head(dict(type='sapa_d', groups=2, num_points=5, shared_offset=True))
    for upsampler in head.upsamplers:
        assert type(upsampler) is SapaD
        assert (upsampler.groups, upsampler.num_points, upsampler.shared_offset) == (2, 5, True)
        assert (upsampler.in_channels, upsampler.guide_channels) == (32, 32)


def test_config_is_left_as_it_is():
    upsample_cfg = dict(type='bilinear')
    make_head(upsample_cfg, align_corners=True)
    assert upsample_cfg == dict(type='bilinear')


@pytest.mark.parametrize(('stages', 'steps'), [(2, 1), (3, 3)])
def test_fewer_stages(stages, steps):
    head = make_head(
        dict(type='sapa_b'), in_channels=CHANNELS[:stages], in_index=tuple(range(stages))
    )
    assert len(head.upsamplers) == steps
    assert head(make_features('odd')).shape == (2, 5, 23, 17)


@pytest.mark.parametrize('upsample_cfg', UPSAMPLE_CFGS)
def test_training_step(upsample_cfg):
    head = make_head(upsample_cfg)
    features = [feature.requires_grad_() for feature in make_features('odd')]
    samples = make_samples((46, 34))

    def loss():
        return head.loss(features, samples, train_cfg=None)['loss_ce']

    assert_learns(head, loss, features)


def test_upsamplers_alone_learn():
    """With everything else frozen, the loss still falls: the upsamplers are in use."""
    head = make_head(dict(type='sapa_d', num_points=4, embed_dims=4))
    before_training = copy.deepcopy(head.upsamplers.state_dict())
    features, samples = make_features('even'), make_samples((16, 24))
    optimizer = torch.optim.Adam(head.upsamplers.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        losses.append(head.loss(features, samples, train_cfg=None)['loss_ce'])
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < losses[0].item()
    changed = head.upsamplers.state_dict()
    assert not any(torch.equal(value, changed[name]) for name, value in before_training.items())


def test_builds_from_the_registry():
    cfg = dict(type='UpsampleSegformerHead', upsample_cfg=dict(type='sapa_b'), **head_cfg())
    head = MODELS.build(cfg)
    assert isinstance(head, UpsampleSegformerHead)
    assert isinstance(head, SegformerHead)
    assert len(head.upsamplers) == 6


def test_bilinear_needs_no_steps():
    upsamplers = make_head(None).upsamplers
    assert [type(upsampler) for upsampler in upsamplers] == [Bilinear] * 3
    assert all(isinstance(upsampler, Upsampler) for upsampler in upsamplers)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (
            dict(interpolate_mode='nearest'),
            TypeError,
            r"interpolate_mode is replaced by upsample_cfg, e\.g\. .*type='nearest'",
        ),
        (dict(upsample_cfg='sapa_d'), TypeError, "upsample_cfg must be a dict.*got 'sapa_d'"),
        (dict(upsample_cfg=dict(kernel_size=3)), ValueError, 'must have a type, one of.*sapa_b'),
        (dict(upsample_cfg=dict(type='sapa')), ValueError, "must be one of.*sapa_b.*got 'sapa'"),
        (
            dict(upsample_cfg=dict(type='sapa_b', num_points=4)),
            ValueError,
            'sapa_b has no option num_points; allowed are embed_dims',
        ),
        (
            dict(upsample_cfg=dict(type='sapa_b', pre_norm=True), channels=24),
            ValueError,
            'pre_norm needs in_channels divisible by 32, got 24',
        ),
        (
            dict(upsample_cfg=dict(type='sapa_d', groups=5)),
            ValueError,
            'groups=5 must divide the 32 channels',
        ),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        UpsampleSegformerHead(**head_cfg(**options))


def test_stages_in_the_wrong_order():
    head = make_head(dict(type='sapa_b'), in_channels=CHANNELS[::-1], in_index=(3, 2, 1, 0))
    with pytest.raises(ValueError, match='guide is smaller than x'):
        head(make_features('even'))


@pytest.mark.parametrize(
    'how',
    [
        'autocast',
        pytest.param('compile', marks=pytest.mark.extended),
    ],
)
def test_a_training_step(how):
    """In mixed precision and compiled, the head learns the same as in plain float32."""
    upsample_cfg = dict(type='sapa_d', num_points=4, embed_dims=4, pre_norm=True)
    features, samples = make_features('odd'), make_samples((46, 34))
    plain, head = make_head(upsample_cfg), make_head(upsample_cfg)
    if how == 'compile':
        head.forward = torch.compile(head.forward, backend='aot_eager', fullgraph=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=how == 'autocast'):
        losses = head.loss(features, samples, {})
    losses['loss_ce'].backward()
    plain.loss(features, samples, {})['loss_ce'].backward()
    tolerance = 0.25 if how == 'autocast' else 1e-4
    for name, parameter in plain.named_parameters():
        error = (head.get_parameter(name).grad - parameter.grad).norm()
        assert error <= tolerance * parameter.grad.norm() + 1e-6, name


class ForeignSegformerHead(SegformerHead):
    """The authors' SegformerHead_Upsample, from segmentation-with-upsamplers."""

    def __init__(self, upsampler, **options):
        super().__init__(**options)
        self.upsample_modules = nn.ModuleList(upsampler(self.channels) for _ in range(6))

    def forward(self, inputs):
        embedded = [conv(x) for conv, x in zip(self.convs, inputs, strict=True)]
        out = list(embedded)
        for upsampler, (stage, guide) in zip(self.upsample_modules, WIRING, strict=True):
            out[stage] = upsampler(embedded[guide], out[stage])
        return self.cls_seg(self.fusion_conv(torch.cat(out, 1)))


@pytest.mark.parametrize('load', [load_by_torch, load_by_mmengine])
def test_weights_of_the_authors_head(load):
    source = drawn_anew(ForeignSegformerHead(foreign.SAPA, **head_cfg()))
    theirs = {f'decode_head.{name}': value for name, value in source.state_dict().items()}
    head = make_head(dict(type='sapa_b', pre_norm=True)).double().eval()
    load(nn.ModuleDict({'decode_head': head}), theirs)
    features = [feature.double() for feature in make_features('even')]
    with torch.no_grad():
        torch.testing.assert_close(head(features), source(features), rtol=1e-10, atol=1e-10)
