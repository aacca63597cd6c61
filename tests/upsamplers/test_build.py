"""build_upsampler, and the registries of OpenMMLab."""

import importlib

import pytest

from sapa_mm.upsamplers import UPSAMPLERS, SapaD, Upsampler, build_upsampler
from sapa_mm.upsamplers import build as build_module

from ..support.upsamplers import ALL_TYPES

DESIGN_TYPES = (
    'nearest', 'bilinear', 'deconv', 'pixel_shuffle', 'carafe', 'sapa_i', 'sapa_b', 'sapa_d',
)  # fmt: skip


@pytest.mark.parametrize('kind', DESIGN_TYPES)
def test_builds(kind):
    cfg = dict(type=kind, **ALL_TYPES[kind])
    before = dict(cfg)
    upsampler = build_upsampler(cfg, 8, scale_factor=3)
    assert cfg == before
    assert type(upsampler) is UPSAMPLERS[kind]
    assert isinstance(upsampler, Upsampler)
    assert (upsampler.in_channels, upsampler.guide_channels, upsampler.scale_factor) == (8, 8, 3)
    assert upsampler.guided == kind.startswith('sapa')
    for name, value in ALL_TYPES[kind].items():
        if hasattr(upsampler, name):
            assert getattr(upsampler, name) == value


@pytest.mark.parametrize('kind', ['bicubic', 'Conv2d', '', None, 3, ['sapa_d']])
def test_unknown_type_lists_the_known(kind):
    with pytest.raises(ValueError, match='type must be one of') as error:
        build_upsampler(dict(type=kind), 8)
    assert repr(kind) in str(error.value)
    assert all(known in str(error.value) for known in DESIGN_TYPES)


def test_missing_type_lists_the_known():
    with pytest.raises(ValueError, match=r'upsample_cfg must have a type.*sapa_d') as error:
        build_upsampler(dict(kernel_size=3), 8)
    assert "{'kernel_size': 3}" in str(error.value)


@pytest.mark.parametrize('cfg', ['sapa_b', None, [('type', 'sapa_b')]])
def test_not_a_dict(cfg):
    with pytest.raises(TypeError, match=r'upsample_cfg must be a dict\(type=\.\.\.\), got'):
        build_upsampler(cfg, 8)


@pytest.mark.parametrize(
    ('cfg', 'allowed'),
    [
        (dict(type='nearest', size=3), 'none'),
        (dict(type='bilinear', size=3), 'align_corners'),
        (dict(type='sapa_i', size=3), 'kernel_size, pre_norm, similarity_norm'),
        (dict(type='sapa_b', size=3), 'embed_dims, kernel_size, pre_norm, similarity_norm, groups'),
        (
            dict(type='sapa_d', size=3),
            'embed_dims, num_points, groups, shared_offset, offset_init, pre_norm, guided',
        ),
    ],
)
def test_unknown_option_lists_the_allowed(cfg, allowed):
    with pytest.raises(ValueError, match=f'{cfg["type"]} has no option size; .*are {allowed}$'):
        build_upsampler(cfg, 8)


@pytest.mark.parametrize('option', ['in_channels', 'guide_channels', 'scale_factor'])
def test_what_the_host_sets_is_no_option(option):
    with pytest.raises(ValueError, match=f'sapa_b has no option {option}'):
        build_upsampler({'type': 'sapa_b', option: 8}, 8)


@pytest.fixture
def models():
    """mmengine's root registry; what a test registers in it goes with the test."""
    registry = pytest.importorskip('mmengine.registry').MODELS
    yield registry
    for name in ('Mine', 'NotAnUpsampler'):
        registry.module_dict.pop(name, None)


def test_builds_what_a_user_registered(models):
    @models.register_module()
    class Mine(Upsampler):
        def __init__(self, in_channels, guide_channels=None, scale_factor=2, gain=1.0):
            super().__init__(in_channels, guide_channels, scale_factor)
            self.gain = gain

        def upsample(self, x, guide, size):
            return self.gain * x.new_ones(*x.shape[:2], *size)

    upsampler = build_upsampler(dict(type='Mine', gain=2.0), 8, 4)
    assert type(upsampler) is Mine
    assert (upsampler.gain, upsampler.guide_channels) == (2.0, 4)
    with pytest.raises(ValueError, match='Mine has no option size; allowed are gain'):
        build_upsampler(dict(type='Mine', size=3), 8)


def test_refuses_what_is_registered_but_no_upsampler(models):
    @models.register_module()
    class NotAnUpsampler:
        pass

    with pytest.raises(ValueError, match="type must be one of.*got 'NotAnUpsampler'"):
        build_upsampler(dict(type='NotAnUpsampler'), 8)


@pytest.mark.parametrize('host', ['mmengine', 'mmseg', 'mmdet'])
@pytest.mark.parametrize('kind', ['sapa_i', 'sapa_b', 'sapa_d'])
def test_builds_from_the_registry_of(host, kind, models):
    registry = importlib.import_module(pytest.importorskip(f'{host}.registry').__name__).MODELS
    assert models.get(kind) is UPSAMPLERS[kind]
    upsampler = registry.build(dict(type=kind, in_channels=8, guide_channels=8))
    assert type(upsampler) is UPSAMPLERS[kind]


def test_stock_names_stay_mmcvs(models):
    mmcv_cnn = pytest.importorskip('mmcv.cnn')
    assert models.get('pixel_shuffle') is mmcv_cnn.bricks.upsample.PixelShufflePack
    assert not issubclass(models.get('nearest'), Upsampler)


def test_builds_without_mmengine(monkeypatch):
    monkeypatch.setattr(build_module, 'MODELS', None)
    assert type(build_upsampler(dict(type='sapa_d'), 8)) is UPSAMPLERS['sapa_d']
    with pytest.raises(ValueError, match='type must be one of'):
        build_upsampler(dict(type='Mine'), 8)


def test_type_may_be_the_class():
    """As mmengine's pure Python configs write it."""
    assert isinstance(build_upsampler(dict(type=SapaD, groups=2), 8), SapaD)
