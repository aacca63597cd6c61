"""DepthFormer's neck against a literal second implementation; parameters, sizes, initialisation."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.export import Dim, export

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from sapa_mm.depth import HAHINeck, StemSwinTransformer

from ..support.foreign_upsamplers import drawn_anew
from ..support.upsamplers import assert_learns, assert_trace_serves

CHANNELS = (6, 8, 12, 16)
SIZES = {
    'even': [(16, 24), (8, 12), (4, 6), (2, 3)],
    'odd': [(13, 9), (7, 5), (4, 3), (2, 2)],
    'single pixels': [(1, 1)] * 4,
}


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def make(**options):
    options = dict(in_channels=CHANNELS, embed_dims=16, num_heads=2, num_points=3, **options)
    return drawn_anew(HAHINeck(**options))


def make_features(sizes, batch=2):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(batch, channels, *size, generator=generator, dtype=torch.float64)
        for channels, size in zip(CHANNELS, SIZES[sizes], strict=True)
    ]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_paper():
    neck = HAHINeck()
    assert parameters(neck) == 12_392_834
    assert parameters(neck.lateral_convs) == 790_464
    assert parameters(neck.embed_convs) == 370_688 + 16_896
    assert parameters(neck.fusion_convs) == 10_370_880 + 184_448
    assert parameters(neck.self_attention) + parameters(neck.cross_attention) == 657_920
    assert parameters(neck.reference_points) == 514
    assert neck.level_embeds.numel() == 1024


def encode(height, width, channels):
    """The sine encoding, value by value."""
    encoding = torch.zeros(channels, height, width, dtype=torch.float64)
    half = channels // 2
    for y in range(height):
        for x in range(width):
            for channel in range(half):
                wave = 10000 ** (2 * (channel // 2) / half)
                function = math.cos if channel % 2 else math.sin
                encoding[channel, y, x] = function((y + 1) / wave)
                encoding[half + channel, y, x] = function((x + 1) / wave)
    return encoding


def attend(attention, queries, values, references, encodings):
    """Deformable attention in pixels: queries (Q, d), values as maps (d, h, w), no dropout."""
    heads, levels, points = attention.num_heads, attention.num_levels, attention.num_points
    placed = queries + encodings
    offsets = attention.sampling_offsets(placed).view(-1, heads, levels, points, 2)
    weights = attention.attention_weights(placed).view(-1, heads, levels * points).softmax(2)
    weights = weights.view(-1, heads, levels, points)
    out = []
    for head in range(heads):
        total = 0
        for level, value in enumerate(values):
            size = value.shape[1:]
            value = attention.value_proj(value.flatten(1).T).T.unflatten(1, size)
            value = value.chunk(heads)[head]
            for point in range(points):
                x = references[:, 0] * size[1] - 0.5 + offsets[:, head, level, point, 0]
                y = references[:, 1] * size[0] - 0.5 + offsets[:, head, level, point, 1]
                weight = weights[:, head, level, point]
                total = total + weight[:, None] * bilinear(value, x, y)
        out.append(total)
    return queries + attention.output_proj(torch.cat(out, 1))


def bilinear(value, x, y):
    """Samples of (D, h, w) at pixel coordinates, zeros outside: (Q, D)."""
    height, width = value.shape[1:]
    total = 0
    for row in (y.floor(), y.floor() + 1):
        for column in (x.floor(), x.floor() + 1):
            share = (1 - (y - row).abs()) * (1 - (x - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            at = value[:, row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()].T
            total = total + (share * inside)[:, None] * at
    return total


def slow_neck(neck, features):
    """Section 3.3 of DepthFormer for one image, level by level; features (C, h, w)."""
    laterals = [conv(x[None])[0] for conv, x in zip(neck.lateral_convs, features, strict=True)]
    stem, *levels = (conv(x[None])[0] for conv, x in zip(neck.embed_convs, laterals, strict=True))
    dims = stem.shape[0]
    enhanced = []
    for index, level in enumerate(levels):
        height, width = level.shape[1:]
        encoding = encode(height, width, dims) + neck.level_embeds[index][:, None, None]
        centres = [
            ((x + 0.5) / width, (y + 0.5) / height) for y in range(height) for x in range(width)
        ]
        centres = torch.tensor(centres, dtype=torch.float64)
        queries, encodings = level.flatten(1).T, encoding.flatten(1).T
        out = attend(neck.self_attention, queries, levels, centres, encodings)
        enhanced.append(out.T.unflatten(1, (height, width)))
    encodings = encode(*stem.shape[1:], dims).flatten(1).T
    references = neck.reference_points(encodings).sigmoid()
    out = attend(neck.cross_attention, stem.flatten(1).T, enhanced, references, encodings)
    stem = out.T.unflatten(1, stem.shape[1:])
    joined = [
        torch.cat([stem, laterals[0]]),
        *(torch.cat(pair) for pair in zip(laterals[1:], enhanced, strict=True)),
    ]
    return [conv(x[None])[0] for conv, x in zip(neck.fusion_convs, joined, strict=True)]


@pytest.mark.parametrize('sizes', SIZES)
def test_against_a_literal_implementation(sizes):
    neck, features = make(), make_features(sizes)
    with torch.no_grad():
        outs = neck(features)
        for index in range(2):
            expected = slow_neck(neck, [feature[index] for feature in features])
            for out, other in zip(outs, expected, strict=True):
                torch.testing.assert_close(out[index], other, rtol=1e-10, atol=1e-10)


def test_traced_at_one_size_runs_at_others():
    assert_trace_serves(make(), make_features('even'), make_features('odd'))


@pytest.mark.extended
def test_exported_with_its_encoder_for_all_sizes():
    """From two pixels of the coarsest level on, with one window and with many."""
    encoder = StemSwinTransformer(
        embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 2), stem_channels=8
    )
    neck = HAHINeck([8, 8, 16, 32, 64], embed_dims=8, num_heads=2, num_points=2)
    model = drawn_anew(torch.nn.Sequential(encoder, neck))
    sizes = ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    with torch.no_grad():
        image = torch.randn(1, 3, 101, 143, dtype=torch.float64)
        program = export(model, (image,), dynamic_shapes=sizes).module()
        for size in ((33, 33), (64, 96), (225, 50), (260, 231)):
            image = torch.randn(1, 3, *size, dtype=torch.float64)
            for out, expected in zip(program(image), model(image), strict=True):
                torch.testing.assert_close(out, expected)


def test_training_step():
    neck = make(dropout=0.0).train()
    features = [feature.requires_grad_() for feature in make_features('odd')]
    targets = [torch.rand_like(feature) for feature in features]

    def loss():
        return sum(map(F.mse_loss, neck(features), targets))

    assert_learns(neck, loss, features, lr=1e-3)


def test_initialisation():
    torch.manual_seed(0)
    neck = MODELS.build(dict(type='HAHINeck'))
    neck.init_weights()
    for name, parameter in neck.named_parameters():
        if name.endswith(('bn.weight', 'bn.bias')):
            assert parameter.unique().tolist() == [float(name.endswith('weight'))], name
        elif name == 'level_embeds':
            assert 0.9 < parameter.std() < 1.1
        elif 'sampling_offsets.weight' in name or 'attention_weights' in name:
            assert parameter.abs().max() == 0, name
        elif 'sampling_offsets.bias' in name:
            offsets = parameter.view(8, 4, 8, 2)
            expected = offsets[:, :1, :1] * torch.arange(1, 9)[:, None]
            torch.testing.assert_close(offsets, expected.expand_as(offsets))
            directions = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]]
            torch.testing.assert_close(offsets[:, 0, 0], torch.tensor(directions).float())
        elif parameter.dim() > 1:
            fans = parameter[0].numel() + parameter[:, 0].numel()
            bound = (6 / fans) ** 0.5
            assert 0.98 * bound < parameter.abs().max() <= bound, name
        else:
            assert parameter.abs().max() == 0, name


def test_weights_of_the_toolbox():
    source, neck = make(), HAHINeck(CHANNELS, embed_dims=16, num_heads=2, num_points=3).double()
    weights = {}
    for key, value in source.state_dict().items():
        kind, _, rest = key.partition('.')
        level, _, parameter = rest.partition('.')
        if kind == 'embed_convs':
            key = f'trans_proj.{int(level) - 1}.{parameter}' if level > '0' else f'conv_proj.{rest}'
        elif kind == 'fusion_convs':
            key = (
                f'trans_fusion.{int(level) - 1}.{parameter}'
                if level > '0'
                else f'conv_fusion.{rest}'
            )
        else:
            names = dict(
                self_attention='self_attn', cross_attention='multi_att', level_embeds='level_embed'
            )
            key = key.replace(kind, names.get(kind, kind))
        weights[key] = value
    neck.load_state_dict(weights)
    features = make_features('odd')
    for out, expected in zip(neck.eval()(features), source(features), strict=True):
        assert torch.equal(out, expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(in_channels=[64]), r'in_channels must be those of the stem and of .*, got \[64\]'),
        (dict(in_channels=64), 'in_channels must be those of the stem and of .*, got 64'),
        (dict(in_channels=[64, 0]), 'in_channels must be a positive integer, got 0'),
        (dict(embed_dims=30), r'embed_dims must be divisible by 4 .*, got 30'),
        (dict(num_points=0), 'num_points must be a positive integer, got 0'),
        (dict(num_heads=3), 'num_heads=3 must divide embed_dims=256'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        HAHINeck(**options)


def test_inputs_that_do_not_fit():
    neck = make()
    with pytest.raises(ValueError, match=r'expects 4 inputs with in_channels=.*, got 3 inputs'):
        neck(make_features('odd')[:3])
    with pytest.raises(ValueError, match=r'got 4 inputs with \[16, 12, 8, 6\] channels'):
        neck(make_features('odd')[::-1])
