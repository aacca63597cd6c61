"""Bad input: the error names the argument, the value and what is allowed."""

import pytest
import torch

from sapa_mm.upsamplers import UPSAMPLERS, build_upsampler

GUIDED = [name for name, kind in UPSAMPLERS.items() if kind.guided]
INTERPOLATION = [name for name, kind in UPSAMPLERS.items() if kind.any_size]
OTHERS = sorted(UPSAMPLERS.keys() - {*GUIDED, *INTERPOLATION})
NORMS = 'softmax, none, relu, sigmoid, softplus'


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        *[
            (dict(type=kind, **{name: size}), f'{name} must be {allowed}, got {size}')
            for kind, name in (
                ('sapa_i', 'kernel_size'),
                ('sapa_b', 'kernel_size'),
                ('deconv', 'kernel_size'),
                ('pixel_shuffle', 'upsample_kernel'),
                ('carafe', 'up_kernel'),
                ('fade', 'up_kernel'),
                ('carafe', 'encoder_kernel'),
            )
            for size, allowed in (
                (4, 'odd'),
                (0, 'a positive integer'),
                (-3, 'a positive integer'),
                (3.0, 'a positive integer'),
                (True, 'a positive integer'),
            )
        ],
        (dict(type='sapa_d', groups=3), 'groups=3 must divide the 32 channels of x'),
        (dict(type='carafe', up_group=3), 'up_group=3 must divide the 32 channels of x'),
        (dict(type='sapa_b', groups=5), 'groups=5 must divide the 32 channels of x'),
        (dict(type='sapa_d', groups=0), 'groups must be a positive integer, got 0'),
        (dict(type='sapa_d', num_points=-1), 'num_points must be a positive integer, got -1'),
        (dict(type='sapa_d', embed_dims=0), 'embed_dims must be a positive integer, got 0'),
        (dict(type='sapa_b', embed_dims='32'), "embed_dims must be a positive integer, got '32'"),
        (dict(type='carafe', encoder_dilation=0), 'encoder_dilation must be a positive integer'),
        (
            dict(type='carafe', compressed_channels=0),
            'compressed_channels must be a positive integer, got 0',
        ),
        (
            dict(type='sapa_d', num_points=8, offset_init='grid'),
            "offset_init='grid' needs a square num_points, got 8",
        ),
        (
            dict(type='sapa_d', offset_init='centre'),
            "offset_init must be one of origin, grid, got 'centre'",
        ),
        (dict(type='fade', compressed_channels=0), 'compressed_channels must be a positive'),
        (dict(type='index_net', variant='o2o'), "variant must be one of hin, m2o, got 'o2o'"),
        (dict(type='index_net', hidden_ratio=3), 'hidden_ratio must be 1 or 2, got 3'),
        (dict(type='index_net', hidden_ratio=2), "hidden_ratio=2 needs variant='m2o', got 'hin'"),
        (dict(type='dysample', style='p'), "style must be one of lp, pl, got 'p'"),
        (dict(type='dysample', scope_bias=True), 'scope_bias=True needs dynamic_scope=True'),
        (dict(type='dysample', groups=5), 'groups=5 must divide the 32 channels of x'),
        (dict(type='sapa_i', temperature=0), 'temperature must be a positive number, got 0'),
        (dict(type='sapa_b', temperature=True), 'temperature must be a positive number, got True'),
        (dict(type='sapa_d', temperature='8'), "temperature must be a positive number, got '8'"),
        (dict(type='sapa_i', similarity_norm='l2'), f"one of {NORMS}, got 'l2'"),
        (dict(type='sapa_b', similarity_norm=None), f'one of {NORMS}, got None'),
        *[
            (dict(type=kind, **{name: value}), f'{name} must be True or False, got {value!r}')
            for kind, name in (
                ('bilinear', 'align_corners'),
                ('bilinear', 'crop'),
                ('fade', 'gate'),
                ('dysample', 'dynamic_scope'),
                ('dysample', 'scope_bias'),
                ('sapa_d', 'shared_offset'),
                ('sapa_d', 'guided'),
                ('sapa_i', 'pre_norm'),
                ('sapa_b', 'pre_norm'),
                ('sapa_d', 'pre_norm'),
            )
            for value in ('False', 1, None)
        ],
    ],
)
def test_options(cfg, message):
    with pytest.raises(ValueError, match=f'^[A-Z][A-Za-z]*: .*{message}'):
        build_upsampler(cfg, 32)


@pytest.mark.parametrize('name', ['in_channels', 'guide_channels', 'scale_factor'])
@pytest.mark.parametrize('value', [0, -2, 2.0, '2', True])
@pytest.mark.parametrize('kind', ['nearest', 'sapa_d'])
def test_numbers_from_the_host(kind, name, value):
    arguments = {'in_channels': 8, 'guide_channels': 8, 'scale_factor': 2, name: value}
    with pytest.raises(ValueError, match=f'{name} must be a positive integer, got {value!r}'):
        build_upsampler(dict(type=kind), **arguments)


@pytest.mark.parametrize(
    'cfg', [dict(type='fade', gate=True), dict(type='index_net', variant='m2o')]
)
def test_guides_of_other_channels(cfg):
    message = 'needs guide_channels equal to in_channels, got 16 and 32'
    with pytest.raises(ValueError, match=message):
        build_upsampler(cfg, 32, 16)


def test_channels_that_do_not_shuffle():
    with pytest.raises(ValueError, match="style='pl' needs in_channels divisible by 4, got 6"):
        build_upsampler(dict(type='dysample', style='pl', groups=2), 6)


@pytest.mark.parametrize('kind', ['a2u', 'index_net'])
def test_what_upsamples_by_two_only(kind):
    with pytest.raises(ValueError, match='scale_factor must be 2, got 3'):
        build_upsampler(dict(type=kind), 32, scale_factor=3)


def test_sapa_i_needs_equal_channels():
    message = 'SapaI: guide_channels must equal in_channels, got 16 and 32; sapa_b and sapa_d take'
    with pytest.raises(ValueError, match=message):
        build_upsampler(dict(type='sapa_i'), 32, 16)


@pytest.mark.parametrize('kind', ['sapa_b', 'sapa_d'])
@pytest.mark.parametrize(('name', 'channels'), [('in_', (48, 32)), ('guide_', (32, 48))])
def test_pre_norm_needs_a_multiple_of_32(kind, name, channels):
    with pytest.raises(ValueError, match=f'pre_norm needs {name}channels divisible by 32, got 48'):
        build_upsampler(dict(type=kind, pre_norm=True), *channels)
    build_upsampler(dict(type=kind, pre_norm=False), *channels)


def test_sapa_i_with_pre_norm_needs_a_multiple_of_32():
    with pytest.raises(ValueError, match='pre_norm needs in_channels divisible by 32, got 48'):
        build_upsampler(dict(type='sapa_i', pre_norm=True), 48)


X, GUIDE = torch.zeros(2, 8, 3, 4), torch.zeros(2, 8, 6, 8)


@pytest.mark.parametrize(
    ('x', 'guide', 'error', 'message'),
    [
        (X, None, ValueError, 'guide is required: call upsampler.x, guide. with the high-res'),
        (X, GUIDE[:1], ValueError, 'guide has batch size 1, x has 2'),
        (X, GUIDE.to('meta'), ValueError, 'guide is on meta, x on cpu'),
        (X, GUIDE.half(), TypeError, 'guide is torch.float16, x is torch.float32'),
        (X, GUIDE[:, :4], ValueError, 'guide must have 8 channels, got 4'),
        (X, GUIDE[0], ValueError, r'guide must be \(N, C, H, W\), got shape \(8, 6, 8\)'),
    ],
)
@pytest.mark.parametrize('kind', GUIDED)
def test_inputs_of_guided_upsamplers(kind, x, guide, error, message):
    upsampler = build_upsampler(dict(type=kind), 8)
    with pytest.raises(error, match=rf'^\w+: {message}'):
        upsampler(x, guide)


@pytest.mark.parametrize('kind', GUIDED + OTHERS)
class TestSizes:
    @pytest.mark.parametrize('size', [(2, 8), (6, 3), (2, 3)])
    def test_guide_smaller_than_x(self, kind, size):
        upsampler = build_upsampler(dict(type=kind), 8)
        with pytest.raises(ValueError, match='guide is smaller than x') as error:
            upsampler(X, GUIDE[:, :, : size[0], : size[1]])
        message = str(error.value)
        assert f'{size} against (h, w) = (3, 4)' in message
        assert 'upsampler(x, guide), low-res first' in message

    def test_swapped_inputs(self, kind):
        upsampler = build_upsampler(dict(type=kind), 8)
        with pytest.raises(ValueError, match='guide is smaller than x.*low-res first'):
            upsampler(GUIDE, X)


@pytest.mark.parametrize('kind', GUIDED + OTHERS + INTERPOLATION)
class TestInputsOfAll:
    def test_no_tensors(self, kind):
        upsampler = build_upsampler(dict(type=kind), 8)
        for inputs, name, what in (
            ((X, (6, 8)), 'guide', 'tuple'),
            (([X], GUIDE), 'x', 'list'),
            ((None, GUIDE), 'x', 'NoneType'),
        ):
            message = rf'^\w+: {name} must be a tensor \(N, C, H, W\), got a {what}$'
            with pytest.raises(TypeError, match=message):
                upsampler(*inputs)

    def test_channels_of_x(self, kind):
        upsampler = build_upsampler(dict(type=kind), 8)
        with pytest.raises(ValueError, match='x must have 8 channels, got 4'):
            upsampler(X[:, :4], GUIDE)

    def test_dimensions_of_x(self, kind):
        upsampler = build_upsampler(dict(type=kind), 8)
        with pytest.raises(ValueError, match=r'x must be \(N, C, H, W\), got shape \(8, 3, 4\)'):
            upsampler(X[0], GUIDE)
