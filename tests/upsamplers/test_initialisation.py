"""Initial weights, and the parameter columns of the paper."""

import pytest
import torch

from sapa_mm.upsamplers import build_upsampler

from ..support.slow_upsamplers import low_indices

# x and guide channels of the upsamplers in a decoder.
SEGFORMER = [(256, 256)] * 6
UPERNET = [(512, 512)] * 3
FASTER_RCNN = [(256, 256)] * 4
PANOPTIC_FPN = [(256, 256)] * 3
DEPTHFORMER = [(768, 384), (384, 192), (192, 96), (96, 64)]


@pytest.mark.parametrize('kind', ['sapa_b', 'sapa_d'])
def test_embeddings(kind):
    torch.manual_seed(0)
    upsampler = build_upsampler(dict(type=kind), 256, 192)
    convs = {'query', 'key', 'offset'} if kind == 'sapa_d' else {'query', 'key'}
    assert {name.partition('.')[0] for name, _ in upsampler.named_parameters()} == convs
    for name in convs:
        conv = getattr(upsampler, name)
        assert conv.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert conv.weight.mean().item() == pytest.approx(0, abs=1e-3)
        assert conv.bias.abs().max() == 0


@pytest.mark.parametrize('kind', ['carafe', 'sapa_d'])
def test_kernel_prediction(kind):
    options = dict(guided=False) if kind == 'sapa_d' else {}
    torch.manual_seed(0)
    upsampler = build_upsampler(dict(type=kind, **options), 128)
    xavier = (6 / (128 + 64)) ** 0.5
    assert upsampler.channel_compressor.weight.abs().max().item() == pytest.approx(xavier, rel=0.01)
    assert upsampler.content_encoder.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert upsampler.channel_compressor.bias.abs().max() == 0
    assert upsampler.content_encoder.bias.abs().max() == 0


def test_fade_and_dysample():
    torch.manual_seed(0)
    fade = build_upsampler(dict(type='fade', gate=True), 128)
    for conv in (
        fade.guide_compressor,
        fade.channel_compressor,
        fade.content_encoder,
        fade.gate,
    ):
        # Xavier's uniform distribution reaches its limit and does not exceed it.
        area = conv.kernel_size[0] ** 2
        limit = (6 / (area * (conv.in_channels + conv.out_channels))) ** 0.5
        assert conv.weight.abs().max().item() == pytest.approx(limit, rel=0.02)
        assert conv.weight.abs().max() <= limit
    cfg = dict(type='dysample', dynamic_scope=True, scope_bias=True)
    dysample = build_upsampler(cfg, 128)
    assert dysample.offset.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert dysample.scope.weight.abs().max() == 0
    biases = [p for m in (fade, dysample) for n, p in m.named_parameters() if n.endswith('bias')]
    assert len(biases) == 5
    assert all(bias.abs().max() == 0 for bias in biases)


@pytest.mark.parametrize('high', [(6, 8), (5, 7)])
@pytest.mark.parametrize('shared_offset', [True, False])
@pytest.mark.parametrize(('num_points', 'axis'), [(1, [0]), (4, [-0.5, 0.5]), (9, [-1, 0, 1])])
def test_grid_offsets_start_as_the_window(num_points, axis, shared_offset, high):
    options = dict(num_points=num_points, shared_offset=shared_offset, groups=2)
    upsampler = build_upsampler(dict(type='sapa_d', offset_init='grid', **options), 4)
    offset = upsampler.select_points(torch.zeros(1, 4, 3, 4), high)
    window = torch.tensor([[x, y] for y in axis for x in axis], dtype=torch.float32)
    expected = window.view(1, 1, num_points, 2, 1, 1).expand(1, 2, -1, -1, *high)
    assert torch.equal(offset.view(expected.shape), expected)


def test_grid_with_equal_weights_is_a_box_filter():
    """Nine points on the grid, all with the same weight: the mean of the 3x3 window."""
    upsampler = build_upsampler(dict(type='sapa_d', offset_init='grid'), 4).double()
    for conv in (upsampler.query, upsampler.offset):
        torch.nn.init.zeros_(conv.weight)
    x = torch.randn(1, 4, 4, 5, dtype=torch.float64)
    out = upsampler(x, torch.randn(1, 4, 7, 10, dtype=torch.float64))
    mean = torch.nn.functional.avg_pool2d(x, 3, 1, padding=1)
    torch.testing.assert_close(out, mean[:, :, low_indices(4, 7)][..., low_indices(5, 10)])


@pytest.mark.parametrize(
    ('cfg', 'places', 'million'),
    [
        (dict(type='nearest'), SEGFORMER, 0),
        (dict(type='bilinear'), SEGFORMER, 0),
        (dict(type='sapa_i'), SEGFORMER, 0),
        (dict(type='deconv'), SEGFORMER, 3.5),
        (dict(type='deconv'), UPERNET, 7.1),
        (dict(type='deconv'), DEPTHFORMER, 7.05),
        (dict(type='pixel_shuffle'), SEGFORMER, 14.2),
        (dict(type='pixel_shuffle'), FASTER_RCNN, 9.4),
        (dict(type='carafe'), SEGFORMER, 0.44),
        (dict(type='carafe'), UPERNET, 0.27),
        (dict(type='carafe'), PANOPTIC_FPN, 0.22),
        (dict(type='index_net'), SEGFORMER, 12.6),
        (dict(type='index_net'), UPERNET, 25.2),
        (dict(type='index_net'), FASTER_RCNN, 8.4),
        (dict(type='index_net'), PANOPTIC_FPN, 6.3),
        (dict(type='a2u'), SEGFORMER, 0.06),
        (dict(type='a2u'), UPERNET, 0.06),
        (dict(type='a2u'), FASTER_RCNN, 0.04),
        (dict(type='a2u'), PANOPTIC_FPN, 0.03),
        (dict(type='fade'), SEGFORMER, 0.28),
        (dict(type='fade'), UPERNET, 0.24),
        (dict(type='fade'), FASTER_RCNN, 0.19),
        (dict(type='fade'), PANOPTIC_FPN, 0.14),
        (dict(type='sapa_b'), SEGFORMER, 0.10),
        (dict(type='sapa_b'), FASTER_RCNN, 0.07),
        (dict(type='sapa_b'), DEPTHFORMER, 0.070),
        (dict(type='sapa_d', shared_offset=True), SEGFORMER, 0.51),
        (dict(type='sapa_d', shared_offset=False), SEGFORMER, 0.84),
        (dict(type='sapa_d', groups=1, shared_offset=True), UPERNET, 0.13),
        (dict(type='sapa_d'), FASTER_RCNN, 0.56),
        (dict(type='sapa_d'), PANOPTIC_FPN, 0.42),
        (dict(type='sapa_d'), DEPTHFORMER, 0.695),
    ],
)
def test_parameters_of_the_paper(cfg, places, million):
    """docs/reference.md, "Parameter columns"."""
    count = sum(
        parameter.numel()
        for channels in places
        for parameter in build_upsampler(cfg, *channels).parameters()
    )
    digits = len(str(million).partition('.')[2])
    assert count / 1e6 == pytest.approx(million, abs=0.5 * 10**-digits)


@pytest.mark.parametrize('kind', ['sapa_i', 'sapa_b', 'sapa_d'])
def test_pre_norm_adds_two_group_norms(kind):
    with_norm, without = (
        sum(p.numel() for p in build_upsampler(dict(type=kind, pre_norm=on), 64, 64).parameters())
        for on in (True, False)
    )
    assert with_norm - without == 2 * 2 * 64
