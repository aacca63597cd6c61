"""The dense depth head: the Toolbox's with bilinear, four guided upsamplers otherwise."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from sapa_mm.depth import UpsampleDenseDepthHead
from sapa_mm.upsamplers import UPSAMPLERS, build_upsampler

from ..support.foreign_upsamplers import drawn_anew, load_by_mmengine, load_by_torch
from ..support.upsamplers import SAPA_D_FIRST, assert_learns, assert_trace_serves

IN_CHANNELS = (8, 8, 16, 32, 64)
CHANNELS = (4, 8, 16, 32, 32)
SIZES = {
    'even': [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)],
    'odd': [(45, 33), (23, 17), (12, 9), (6, 5), (3, 3)],
}
# Those that need a guide of the channels of x cannot be in this head.
KINDS = sorted(UPSAMPLERS.keys() - {'sapa_i'})


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def make_head(upsample_cfg=None, **options):
    torch.manual_seed(0)
    options = {**dict(in_channels=IN_CHANNELS, channels=CHANNELS), **options}
    return UpsampleDenseDepthHead(upsample_cfg=upsample_cfg, **options)


def make_levels(sizes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(2, channels, *size, generator=generator)
        for channels, size in zip(IN_CHANNELS, SIZES[sizes], strict=True)
    ]


def make_samples(size, seed=2):
    """Depth maps of 1 to 9 m with holes."""
    generator = torch.Generator().manual_seed(seed)
    depth = 1 + 8 * torch.rand(2, 1, *size, generator=generator)
    depth[torch.rand(depth.shape, generator=generator) < 0.2] = 0
    samples = [SegDataSample(gt_depth_map=PixelData(data=data)) for data in depth]
    for sample in samples:
        sample.set_metainfo(dict(img_shape=size))
    return samples


class LiteralConv(nn.Module):
    """A convolution under the name that mmcv's ConvModule gives it."""

    def __init__(self, *options, **more):
        super().__init__()
        self.conv = nn.Conv2d(*options, **more)

    def forward(self, x):
        return self.conv(x)


class LiteralStep(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.convA = LiteralConv(channels, width, 3, padding=1)
        self.convB = LiteralConv(width, width, 3, padding=1)

    def forward(self, x, level):
        x = F.interpolate(x, level.shape[2:], mode='bilinear', align_corners=True)
        x = F.leaky_relu(self.convA(torch.cat([x, level], 1)), 0.01)
        return F.leaky_relu(self.convB(x), 0.01)


class LiteralHead(nn.Module):
    """The head as the Toolbox describes it, under the Toolbox's names."""

    def __init__(self, scale_up=False):
        super().__init__()
        self.scale_up = scale_up
        self.conv_list = nn.ModuleList([LiteralConv(64, 32, 1)])
        self.conv_list.append(LiteralStep(32 + 32, 32))
        self.conv_list.append(LiteralStep(32 + 16, 16))
        self.conv_list.append(LiteralStep(16 + 8, 8))
        self.conv_list.append(LiteralStep(8 + 8, 4))
        self.conv_depth = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, levels):
        x = self.conv_list[0](levels[4])
        for step, level in zip((1, 2, 3, 4), (3, 2, 1, 0), strict=True):
            x = self.conv_list[step](x, levels[level])
        x = self.conv_depth(x)
        return 10 * x.sigmoid() if self.scale_up else x.relu() + 0.001


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('load', [load_by_torch, load_by_mmengine])
@pytest.mark.parametrize('scale_up', [False, True])
def test_bilinear_is_the_toolboxs_head_with_its_weights(scale_up, load, sizes):
    literal = drawn_anew(LiteralHead(scale_up)).double()
    head = make_head(scale_up=scale_up).double()
    theirs = {f'decode_head.{name}': value for name, value in literal.state_dict().items()}
    load(nn.ModuleDict({'decode_head': head}), theirs)
    levels = [level.double() for level in make_levels(sizes)]
    out, expected = head(levels), literal(levels)
    assert out.unique().numel() > 100
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('sizes', SIZES)
@pytest.mark.parametrize('kind', ['sapa_b', 'sapa_d'])
def test_who_guides_whom(kind, sizes):
    head = make_head(dict(type=kind)).eval()
    calls = []
    for upsampler in head.upsamplers:
        upsampler.register_forward_hook(lambda m, inputs, out: calls.append((m, *inputs, out)))
    levels = make_levels(sizes)
    head(levels)
    assert [module for module, *_ in calls] == list(head.upsamplers)
    for level, (_, x, guide, out) in zip((3, 2, 1, 0), calls, strict=True):
        assert guide is levels[level]
        assert x.shape[1:] == (CHANNELS[level + 1], *SIZES[sizes][level + 1])
        assert out.shape[1:] == (CHANNELS[level + 1], *SIZES[sizes][level])


def test_channels_are_those_of_the_levels():
    head = UpsampleDenseDepthHead([64, 96, 192, 384, 768], upsample_cfg=dict(type='sapa_b'))
    pairs = [(u.in_channels, u.guide_channels) for u in head.upsamplers]
    assert pairs == [(768, 384), (384, 192), (192, 96), (96, 64)]


@pytest.mark.parametrize('align_corners', [False, True])
def test_align_corners_is_that_of_all_interpolation(align_corners):
    head = make_head(align_corners=align_corners)
    assert {upsampler.align_corners for upsampler in head.upsamplers} == {align_corners}
    given = make_head(dict(type='bilinear', align_corners=not align_corners))
    assert {upsampler.align_corners for upsampler in given.upsamplers} == {not align_corners}
    # The last one, to the size of the image.
    ramp = torch.linspace(1, 9, 5).expand(1, 1, 4, 5)
    out = head.predict_by_feat(ramp, [dict(img_shape=(8, 10))])
    assert torch.equal(
        out, F.interpolate(ramp, (8, 10), mode='bilinear', align_corners=align_corners)
    )


@pytest.mark.parametrize('kind', SAPA_D_FIRST)
def test_traced_at_one_size_runs_at_others(kind):
    if kind in KINDS:
        head = make_head(dict(type=kind)).eval()
        assert_trace_serves(head, make_levels('even'), make_levels('odd'))


@pytest.mark.parametrize('kind', KINDS)
def test_training_step(kind):
    head = make_head(dict(type=kind), scale_up=True)
    levels = [level.requires_grad_() for level in make_levels('odd')]
    samples = make_samples((90, 66))

    def loss():
        return head.loss(levels, samples, train_cfg=None)['loss_sig']

    assert_learns(head, loss)


def test_loss_is_of_the_interpolated_depth_not_clamped():
    head = make_head(min_depth=2.0, max_depth=3.0)
    depth = 1 + 9 * torch.rand(2, 1, 45, 33, generator=torch.Generator().manual_seed(3))
    samples = make_samples((90, 66))
    target = torch.stack([sample.gt_depth_map.data for sample in samples])
    expected = head.loss_decode(
        F.interpolate(depth, (90, 66), mode='bilinear', align_corners=True), target
    )
    assert torch.equal(head.loss_by_feat(depth, samples)['loss_sig'], expected)


def test_a_dead_relu_is_a_warning(monkeypatch):
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    head, levels, samples = make_head(), make_levels('even'), make_samples((64, 96))
    nn.init.constant_(head.conv_depth.bias, 5)
    head.loss(levels, samples, None)
    assert said == []
    nn.init.constant_(head.conv_depth.bias, -1e3)
    for _ in range(2):
        loss = head.loss(levels, samples, None)['loss_sig']
    assert 2 < loss < 4
    loss.backward()
    assert not any(parameter.grad.any() for parameter in head.parameters())
    (line,) = said
    assert 'the ReLU is 0 at every pixel' in line


def test_several_losses():
    losses = [dict(type='SigLoss'), dict(type='SigLoss', loss_weight=2.0), dict(type='SiLogLoss')]
    head = make_head(loss_decode=losses)
    depth = 1 + 9 * torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(3))
    got = head.loss_by_feat(depth, make_samples((32, 48)))
    alone = make_head().loss_by_feat(depth, make_samples((32, 48)))['loss_sig']
    assert got.keys() == {'loss_sig', 'loss_silog'}
    torch.testing.assert_close(got['loss_sig'], 3 * alone)


def test_prediction_is_clamped_before_it_is_interpolated():
    head = make_head(min_depth=2.0, max_depth=3.0)
    depth = torch.tensor([0.5, 2.5, 9.0]).view(1, 1, 1, 3).repeat(1, 1, 2, 1)
    out = head.predict_by_feat(depth, [dict(img_shape=(2, 5))])
    assert out[0, 0, 0].tolist() == [2.0, 2.25, 2.5, 2.75, 3.0]


class TestInitialWeights:
    def test_convolutions(self):
        """Kaiming's normal distribution by the outputs, as in the Toolbox, and no biases."""
        head = UpsampleDenseDepthHead([64, 96, 192, 384, 768])
        head.init_weights()
        convs = [m for m in head.convs.modules() if isinstance(m, nn.Conv2d)]
        assert len(convs) == 9
        for conv in convs:
            fan_out = conv.out_channels * conv.kernel_size[0] ** 2
            # The first one has no activation, for which mmcv assumes a ReLU.
            slope = 0 if conv.kernel_size == (1, 1) else 0.01
            gain = (2 / (1 + slope**2)) ** 0.5
            assert conv.weight.std().item() == pytest.approx(gain / fan_out**0.5, rel=0.02)
            assert conv.bias.abs().max() == 0

    @pytest.mark.parametrize('kind', ['carafe', 'dysample', 'fade', 'pixel_shuffle', 'sapa_d'])
    def test_upsamplers_keep_their_own(self, kind):
        init_cfg = dict(type='Constant', val=7, bias=7, layer='Conv2d')
        head = make_head(dict(type=kind), init_cfg=init_cfg)
        head.init_weights()
        assert (head.conv_depth.weight == 7).all()
        for upsampler in head.upsamplers:
            torch.manual_seed(0)
            alone = build_upsampler(
                dict(type=kind), upsampler.in_channels, upsampler.guide_channels
            )
            for name, parameter in alone.named_parameters():
                got = upsampler.get_parameter(name)
                assert got.std(correction=0).item() == pytest.approx(
                    parameter.std(correction=0).item(), rel=0.3, abs=1e-8
                ), name
                assert got.abs().max() < 7


def test_builds_from_the_registry():
    cfg = dict(type='UpsampleDenseDepthHead', in_channels=[8, 16])
    head = MODELS.build({**cfg, 'upsample_cfg': dict(type='sapa_d', groups=1)})
    assert type(head) is UpsampleDenseDepthHead
    assert (head.num_classes, head.out_channels) == (1, 1)
    with pytest.raises(ValueError, match='sapa_d has no option colour'):
        MODELS.build({**cfg, 'upsample_cfg': dict(type='sapa_d', colour=1)})


class TestBadInput:
    @pytest.mark.parametrize(
        ('options', 'error', 'message'),
        [
            (
                dict(in_channels=64, channels=None),
                TypeError,
                'in_channels must be a list .* got 64',
            ),
            (dict(channels=64), TypeError, 'channels must be a list of int, .* got 64'),
            (dict(channels=[8, 8]), ValueError, r'the same number .* and \[8, 8\]'),
            (dict(in_channels=[8], channels=None), ValueError, r'at least 2, got \[8\] and \[8\]'),
            (dict(min_depth=0), ValueError, 'needs 0 < min_depth < max_depth, got 0 and 10.0'),
            (dict(max_depth=1e-4), ValueError, 'got 0.001 and 0.0001'),
            (dict(upsample_cfg='sapa_d'), TypeError, 'upsample_cfg must be a dict'),
        ],
    )
    def test_options(self, options, error, message):
        with pytest.raises(error, match=message):
            make_head(**options)

    @pytest.mark.parametrize(
        'cfg',
        [
            dict(type='sapa_i'),
            dict(type='fade', gate=True),
            dict(type='index_net', variant='m2o'),
        ],
        ids=lambda cfg: cfg['type'],
    )
    def test_upsamplers_of_equal_channels(self, cfg):
        with pytest.raises(ValueError, match=r'guide_channels (must )?equal(.*)in_channels, got'):
            UpsampleDenseDepthHead([64, 96, 192, 384, 768], upsample_cfg=cfg)

    def test_other_levels(self):
        message = r'5 inputs with in_channels=\[8, 8, 16, 32, 64\], got 4 .*out_indices'
        with pytest.raises(ValueError, match=message):
            make_head()(make_levels('even')[:4])

    def test_depth_of_another_dtype(self):
        samples = make_samples((32, 48))
        for sample in samples:
            sample.gt_depth_map.data = sample.gt_depth_map.data.short()
        with pytest.raises(
            TypeError, match='must be floating point, got torch.int16; load it with'
        ):
            make_head().loss_by_feat(torch.ones(2, 1, 32, 48), samples)

    def test_depth_of_another_size(self):
        samples = make_samples((32, 48))
        samples[1].set_metainfo(dict(img_shape=(64, 96), img_path='a.jpg'))
        with pytest.raises(ValueError, match=r'its image, \(64, 96\), got \(32, 48\), in a.jpg'):
            make_head().loss_by_feat(torch.ones(2, 1, 32, 48), samples)
