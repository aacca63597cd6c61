"""What has no weights is compared: the settings that a prediction depends on, and the classes."""

import pytest

pytest.importorskip('mmseg')

from mmengine.registry import DefaultScope
from mmseg.models import EncoderDecoder
from mmseg.utils import register_all_modules

from sapa_mm.engine.compare_settings import compare_classes, compare_settings
from sapa_mm.segmentation import UpsampleSegformerHead


@pytest.fixture(autouse=True)
def _scope():
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def head(**changes):
    upsampler = {'type': 'sapa_b', 'kernel_size': 5}
    return {'type': 'UpsampleSegformerHead', 'in_channels': [8, 16], 'upsample_cfg': upsampler} | (
        changes
    )


EQUAL = {
    'themselves': ({}, {}),
    'tuples': ({'in_channels': (8, 16)}, {}),
    'defaults of the upsampler': ({'upsample_cfg': {'type': 'sapa_b'}}, {}),
    'defaults of the head': ({'align_corners': False}, {}),
    'None where None is the default': ({'conv_cfg': None}, {}),
    'scopes': ({'type': 'mmseg.UpsampleSegformerHead'}, {}),
    'classes': ({'type': UpsampleSegformerHead}, {}),
    'modules': ({'type': 'sapa_mm.segmentation.UpsampleSegformerHead'}, {}),
    'classes, as 0.1 published them': ({'type': str(UpsampleSegformerHead)}, {}),
    'batch norms': (
        {'norm_cfg': {'type': 'SyncBN', 'requires_grad': True}},
        {'norm_cfg': {'type': 'BN', 'eps': 1e-5}},
    ),
    'losses': ({'loss_decode': {'type': 'CrossEntropyLoss', 'loss_weight': 0.4}}, {}),
    'regularisation': ({'dropout_ratio': 0.3}, {'dropout_ratio': 0.1}),
    'initialisation': ({'init_cfg': {'type': 'Pretrained', 'checkpoint': 'a'}}, {}),
    'initialisation by a switch': (
        {'zero_init_residual': True, 'convert_weights': True},
        {'zero_init_residual': False, 'convert_weights': False},
    ),
    'memory': ({'max_pixels': 1_000_000}, {}),
    'the stock head': (
        {'type': 'SegformerHead', 'upsample_cfg': None},
        {'upsample_cfg': {'type': 'bilinear'}},
    ),
    'another interpolation of the stock head': (
        {'type': 'SegformerHead', 'upsample_cfg': None, 'interpolate_mode': 'nearest'},
        {'upsample_cfg': {'type': 'nearest'}},
    ),
}


@pytest.mark.parametrize(('trained', 'given'), EQUAL.values(), ids=EQUAL)
def test_equal(trained, given):
    for pair in ((trained, given), (given, trained)):
        models = [{'type': 'EncoderDecoder', 'decode_head': head(**changes)} for changes in pair]
        assert list(compare_settings(*models)) == []


def test_a_way_to_test_is_no_other_model():
    kinds = [{'type': f'{kind}DepthEstimator', 'neck': None} for kind in ('', 'Flip')]
    assert list(compare_settings(*kinds)) == list(compare_settings(*reversed(kinds))) == []


UPSAMPLER = 'model.upsample_cfg'
DIFFERENT = {
    f"{UPSAMPLER}.kernel_size is 3, but was 5 in training": {
        'upsample_cfg': {'type': 'sapa_b', 'kernel_size': 3}
    },
    f"{UPSAMPLER}.similarity_norm is 'none', but was 'softmax' in training": {
        'upsample_cfg': {'type': 'sapa_b', 'similarity_norm': 'none'}
    },
    f"{UPSAMPLER}.type is 'sapa_i', but was 'sapa_b' in training": {
        'upsample_cfg': {'type': 'sapa_i'}
    },
    "model.align_corners is True, but was False in training": {'align_corners': True},
    "model.act_cfg.type is 'GELU', but was 'ReLU' in training": {'act_cfg': {'type': 'GELU'}},
    "model.in_channels.1 is 17, but was 16 in training": {'in_channels': [8, 17]},
    "model.in_channels is [8], but was [8, 16] in training": {'in_channels': [8]},
    "model.type is 'UPerHead', but was 'UpsampleSegformerHead' in training": {'type': 'UPerHead'},
}  # fmt: skip


@pytest.mark.parametrize(('message', 'changes'), DIFFERENT.items())
def test_different(message, changes):
    (difference,) = compare_settings(head(), head(**changes))
    assert str(difference) == message
    assert difference.is_sure


def test_the_stock_head_has_another_interpolation():
    stock = {'type': 'SegformerHead', 'in_channels': [8, 16]}
    (difference,) = compare_settings(stock, head())
    assert str(difference) == f"{UPSAMPLER}.type is 'sapa_b', but was 'bilinear' in training"


def test_what_is_left_to_an_unknown_default():
    (difference,) = compare_settings(head(unknown=3), head())
    assert str(difference) == 'model.unknown is not set, but was 3 in training'
    assert not difference.is_sure


def test_a_type_from_a_file_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / 'evil.py').write_text('raise SystemExit')
    monkeypatch.syspath_prepend(tmp_path)
    for kind in ('evil', 'evil.Head', 3, None):
        assert list(compare_settings({'type': kind, 'a': 1}, {'type': kind, 'a': 1})) == []
        (difference,) = compare_settings({'type': kind}, {'type': EncoderDecoder})
        assert difference.name == 'model.type'


@pytest.mark.parametrize(
    ('trained', 'given', 'message'),
    [
        (('a', 'b'), ['a', 'b'], None),
        (None, ['a'], None),
        (['a'], None, None),
        ('a', ['a'], None),
        (('a', 'b'), ('a', 'b', 'c'), 'the dataset has 3 classes, but had 2 in training'),
        (
            ('a', 'b', 'c'),
            ('a', 'c', 'b'),
            "names of classes differ (2 of 3): 1 is 'c', was 'b', 2 is 'b', was 'c'",
        ),
    ],
)
def test_classes(trained, given, message):
    assert compare_classes(trained, given) == message


def test_the_class_of_another_project_may_matter():
    """Its weights may fit: those of the authors' heads do."""
    theirs = {'type': 'SegformerHead_Upsample', 'upsample_cfg': {'type': 'sapa', 'guided': True}}
    (difference,) = compare_settings({'decode_head': theirs}, {'decode_head': head()})
    assert str(difference) == (
        "model.decode_head.type is 'UpsampleSegformerHead', but was 'SegformerHead_Upsample' in "
        'training'
    )
    assert not difference.is_sure
