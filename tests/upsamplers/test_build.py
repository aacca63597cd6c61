"""build_upsampler, and the registries of OpenMMLab."""

import importlib
import sys

import pytest

import sapa_mm.upsamplers as package
from sapa_mm.upsamplers import UPSAMPLERS, Carafe, SapaD, Upsampler, build_upsampler
from sapa_mm.upsamplers import build as build_module

from ..support.upsamplers import ALL_TYPES

STOCK = {'nearest', 'bilinear', 'deconv', 'pixel_shuffle', 'carafe'}
GUIDED = {'sapa_i', 'sapa_b', 'sapa_d', 'index_net', 'a2u', 'fade'}
ANY_SIZE = {'nearest', 'bilinear'}
TYPES = STOCK | GUIDED | {'dysample'}


@pytest.mark.parametrize('kind', sorted(TYPES))
def test_builds(kind):
    cfg = dict(type=kind, **ALL_TYPES[kind])
    before = dict(cfg)
    scale = 2 if kind in ('a2u', 'index_net') else 3
    upsampler = build_upsampler(cfg, 8, scale_factor=scale)
    assert cfg == before
    assert type(upsampler) is UPSAMPLERS[kind]
    assert isinstance(upsampler, Upsampler)
    assert (upsampler.in_channels, upsampler.guide_channels, upsampler.scale_factor) == (
        8,
        8,
        scale,
    )
    assert upsampler.guided == (kind in GUIDED)
    assert upsampler.any_size == (kind in ANY_SIZE)
    assert upsampler.in_mmcv == (kind in STOCK)
    for name, value in ALL_TYPES[kind].items():
        if hasattr(upsampler, name):
            assert getattr(upsampler, name) == value


@pytest.mark.parametrize('kind', ['bicubic', 'Conv2d', '', None, 3, ['sapa_d']])
def test_unknown_type_lists_the_known(kind):
    with pytest.raises(ValueError, match='type must be one of') as error:
        build_upsampler(dict(type=kind), 8)
    assert repr(kind) in str(error.value)
    assert all(known in str(error.value) for known in TYPES)


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
        (dict(type='bilinear', size=3), 'align_corners, crop'),
        (dict(type='sapa_i', size=3), 'kernel_size, pre_norm, similarity_norm, temperature'),
        (
            dict(type='sapa_b', size=3),
            'embed_dims, kernel_size, pre_norm, similarity_norm, groups, temperature',
        ),
        (
            dict(type='sapa_d', size=3),
            'embed_dims, num_points, groups, shared_offset, offset_init, pre_norm, guided, '
            'temperature',
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
    """mmengine's root registry; what a test registers is removed after it."""
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


def test_refuses_the_name_of_a_module_that_cannot_be_imported(models, tmp_path, monkeypatch):
    """mmengine imports what is not registered."""
    (tmp_path / 'Mine.py').write_text('1 / 0')
    monkeypatch.syspath_prepend(tmp_path)
    message = "type must be one of .*, or an Upsampler registered in mmengine's MODELS, got 'Mine'"
    with pytest.raises(ValueError, match=message):
        build_upsampler(dict(type='Mine'), 8)


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
    """As in mmengine's pure Python configs."""
    assert isinstance(build_upsampler(dict(type=SapaD, groups=2), 8), SapaD)


NEW = """
from .base import Upsampler


class New(Upsampler):
    name = {name!r}


class Newer(New):
    pass
"""


@pytest.fixture
def new_file(tmp_path, monkeypatch):
    """The path of a file that is temporarily part of the package."""
    monkeypatch.setattr(package, '__path__', [*package.__path__, str(tmp_path)])
    yield tmp_path / 'new_file.py'
    sys.modules.pop('sapa_mm.upsamplers.new_file', None)
    vars(package).pop('new_file', None)


def test_a_new_file_of_the_package_is_found(new_file):
    new_file.write_text(NEW.format(name='new'))
    found = build_module._find_upsamplers()
    assert found.keys() - UPSAMPLERS.keys() == {'new'}
    assert found['new'].title == 'New'
    assert {name: kind for name, kind in found.items() if name != 'new'} == UPSAMPLERS


def test_two_of_the_same_name_are_refused(new_file):
    new_file.write_text(NEW.format(name='a2u'))
    with pytest.raises(ValueError, match='have the same name, a2u'):
        build_module._find_upsamplers()


def test_what_identifies_an_upsampler_is_not_inherited():
    class Mine(Carafe):
        pass

    class MyOwn(Mine):
        title = 'My own'

    assert (Mine.name, Mine.title, Mine.in_mmcv, Mine.table_1) == (None, 'Mine', False, ())
    assert MyOwn.title == 'My own'
    assert Mine(8).flops_per_position() == Carafe(8).flops_per_position()


def test_titles_and_names_are_distinct():
    assert len({kind.title for kind in UPSAMPLERS.values()}) == len(UPSAMPLERS)
    assert all(kind.name == name for name, kind in UPSAMPLERS.items())
    assert UPSAMPLERS['sapa_d'].title == 'SAPA-D'
    assert all(getattr(package, kind.__name__) is kind for kind in UPSAMPLERS.values())
