"""UPerNet's head: the stock one with bilinear, three guided upsamplers otherwise."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import UPerHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from sapa_mm.segmentation import UpsampleUPerHead
from sapa_mm.upsamplers import UPSAMPLERS

from ..support import foreign_upsamplers as foreign
from ..support.foreign_upsamplers import drawn_anew, load_by_mmengine, load_by_torch
from ..support.upsamplers import SAPA_D_FIRST, assert_learns, assert_trace_serves

CHANNELS = (4, 8, 12, 16)
SIZES = {
    'even': [(16, 24), (8, 12), (4, 6), (2, 3)],
    'odd': [(23, 17), (12, 9), (6, 5), (3, 3)],
}
# Interpolation accepts a finer level that is smaller than the coarser one.
ANY_SIZES = {**SIZES, 'smaller': [(16, 24), (3, 8), (4, 6), (2, 3)]}


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def head_cfg(**options):
    return {
        **dict(
            in_channels=CHANNELS,
            in_index=(0, 1, 2, 3),
            channels=32,
            num_classes=5,
            dropout_ratio=0.0,
            pool_scales=(1, 2),
            norm_cfg=dict(type='BN'),
            align_corners=False,
        ),
        **options,
    }


def make_head(upsample_cfg, **options):
    torch.manual_seed(0)
    return UpsampleUPerHead(upsample_cfg=upsample_cfg, **head_cfg(**options))


def make_features(sizes):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(2, channels, *size, generator=generator)
        for channels, size in zip(CHANNELS, ANY_SIZES[sizes], strict=True)
    ]


@pytest.mark.parametrize('sizes', ANY_SIZES)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('upsample_cfg', [None, dict(type='bilinear')])
def test_bilinear_is_the_stock_head_bit_for_bit(upsample_cfg, align_corners, sizes):
    head = make_head(upsample_cfg, align_corners=align_corners)
    stock = UPerHead(**head_cfg(align_corners=align_corners))
    head.load_state_dict(stock.state_dict(), strict=True)
    features = make_features(sizes)
    out, expected = head(features), stock(features)
    assert torch.equal(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    for name, parameter in stock.named_parameters():
        assert torch.equal(head.get_parameter(name).grad, parameter.grad), name


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize(
    'upsample_cfg', [dict(type='sapa_b', embed_dims=8), dict(type='sapa_d', groups=1)]
)
def test_who_guides_whom(upsample_cfg, sizes):
    head = make_head(upsample_cfg).eval()
    laterals, calls = [], []
    for conv in head.lateral_convs:
        conv.register_forward_hook(lambda _, inputs, out: laterals.append((out, out.clone())))
    for upsampler in head.upsamplers:
        upsampler.register_forward_hook(lambda m, inputs, out: calls.append((m, *inputs, out)))
    head(make_features(sizes))
    assert [module for module, *_ in calls] == list(head.upsamplers)[::-1]
    total = None
    for level, (_, x, guide, out) in zip((3, 2, 1), calls, strict=True):
        assert guide is laterals[level - 1][0]
        assert out.shape[2:] == SIZES[sizes][level - 1]
        assert total is None or torch.equal(x, total)
        total = guide + out
    for now, when_made in laterals:
        assert torch.equal(now, when_made)


@pytest.mark.parametrize('kind', SAPA_D_FIRST)
def test_traced_at_one_size_runs_at_others(kind):
    head = make_head(dict(type=kind)).eval()
    assert_trace_serves(head, make_features('even'), make_features('odd'))


def test_others_need_finer_levels_to_be_larger():
    with pytest.raises(ValueError, match='guide is smaller than x'):
        make_head(dict(type='sapa_b'))(make_features('smaller'))


@pytest.mark.parametrize('kind', sorted(UPSAMPLERS))
def test_training_step(kind):
    head = make_head(dict(type=kind))
    features = [feature.requires_grad_() for feature in make_features('odd')]
    labels = torch.randint(0, 5, (2, 1, 46, 34), generator=torch.Generator().manual_seed(2))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]

    def loss():
        return head.loss(features, samples, train_cfg=None)['loss_ce']

    assert_learns(head, loss)


def test_builds_from_the_registry():
    cfg = dict(type='UpsampleUPerHead', upsample_cfg=dict(type='sapa_d', groups=1), **head_cfg())
    assert type(MODELS.build(cfg)) is UpsampleUPerHead
    with pytest.raises(ValueError, match='sapa_d has no option colour'):
        MODELS.build({**cfg, 'upsample_cfg': dict(type='sapa_d', colour=1)})


class ForeignUPerHead(UPerHead):
    """The authors' UPerHead_Upsample, from segmentation-with-upsamplers."""

    def __init__(self, upsampler, **options):
        super().__init__(**options)
        self.upsample_modules = nn.ModuleList(upsampler(self.channels) for _ in range(3))

    def _forward_feature(self, inputs):
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs[:-1], strict=True)]
        laterals.append(self.psp_forward(inputs))
        for fine in (2, 1, 0):
            upsampled = self.upsample_modules[fine](laterals[fine], laterals[fine + 1])
            laterals[fine] = laterals[fine] + upsampled
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals[:-1], strict=True)]
        size = outs[0].shape[2:]
        outs = [F.interpolate(out, size, mode='bilinear') for out in (*outs, laterals[-1])]
        return self.fpn_bottleneck(torch.cat(outs, 1))


@pytest.mark.parametrize('load', [load_by_torch, load_by_mmengine])
@pytest.mark.parametrize(
    ('make', 'upsample_cfg'),
    [
        (foreign.SAPA, dict(type='sapa_b', pre_norm=True)),
        (foreign.FADE, dict(type='fade', gate=True)),
    ],
    ids=['sapa_b', 'fade'],
)
def test_weights_of_the_authors_head(make, upsample_cfg, load):
    source = drawn_anew(ForeignUPerHead(make, **head_cfg()))
    theirs = {f'decode_head.{name}': value for name, value in source.state_dict().items()}
    head = make_head(upsample_cfg).double().eval()
    load(nn.ModuleDict({'decode_head': head}), theirs)
    features = [feature.double() for feature in make_features('even')]
    with torch.no_grad():
        torch.testing.assert_close(head(features), source(features), rtol=1e-10, atol=1e-10)
