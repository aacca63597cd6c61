"""Checkpoints of other projects, with the authors' and mmcv's names."""

import pytest
import torch
from torch import nn

from sapa_mm.upsamplers import (
    Carafe,
    Deconv,
    DySample,
    PixelShuffle,
    SapaB,
    SapaD,
    SapaI,
    build_upsampler,
)

from ..support.upsamplers import make_inputs

AUTHORS_NAMES = {'query': 'q', 'key': 'k', 'norm_guide': 'norm_y'}
SAPA = {
    'sapa_i': lambda: SapaI(32, pre_norm=True),
    'sapa_b': lambda: SapaB(32, 64, pre_norm=True),
    'sapa_b without norms': lambda: SapaB(8),
    'sapa_d': lambda: SapaD(32, 64, pre_norm=True, num_points=4),
}


class Parent(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.head = nn.Module()
        self.head.ups = nn.ModuleList([make(), make()])
        # These names have no special meaning in other modules.
        self.q = nn.Linear(2, 2)
        self.head.k = nn.Linear(2, 2)


def drawn_anew(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def as_the_authors_name_it(module):
    """The state dict, with the keys of the upsamplers in it renamed."""
    upsamplers = [name for name, child in module.named_modules() if hasattr(child, 'renamed_keys')]

    def rename(key):
        for prefix in upsamplers:
            start = f'{prefix}.' if prefix else ''
            if key.startswith(start):
                part, _, rest = key.removeprefix(start).partition('.')
                return f'{start}{AUTHORS_NAMES.get(part, part)}.{rest}'
        return key

    return {rename(key): value for key, value in module.state_dict().items()}


def load_by_torch(module, state_dict):
    module.load_state_dict(state_dict, strict=True)


def load_by_mmengine(module, state_dict):
    checkpoint = pytest.importorskip('mmengine.runner.checkpoint')
    checkpoint.load_state_dict(module, state_dict, strict=True)


@pytest.mark.parametrize('load', [load_by_torch, load_by_mmengine])
@pytest.mark.parametrize('nested', [False, True], ids=['alone', 'nested'])
@pytest.mark.parametrize('kind', SAPA)
def test_authors_names(kind, nested, load):
    make = SAPA[kind]
    source, target = (drawn_anew(Parent(make) if nested else make()) for _ in range(2))
    theirs = as_the_authors_name_it(source)
    names = {part for key in theirs for part in key.split('.')}
    assert not names & {'query', 'key', 'norm_guide'}
    keys = list(theirs)
    load(target, theirs)
    assert list(theirs) == keys
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name]), name


def test_own_names_stay():
    source, target = drawn_anew(SapaD(8)), SapaD(8)
    assert {name.partition('.')[0] for name in source.state_dict()} == {'query', 'key', 'offset'}
    target.load_state_dict(source.state_dict(), strict=True)
    assert torch.equal(source.query.weight, target.query.weight)


def test_missing_and_unexpected_keys_are_still_told():
    state = as_the_authors_name_it(SapaB(8))
    del state['q.bias']
    with pytest.raises(RuntimeError, match=r'Missing.*query\.bias'):
        SapaB(8).load_state_dict(state)
    with pytest.raises(RuntimeError, match=r'Unexpected.*queue\.bias'):
        SapaB(8).load_state_dict({**SapaB(8).state_dict(), 'queue.bias': torch.zeros(1)})


@pytest.mark.parametrize('nested', [False, True], ids=['alone', 'nested'])
@pytest.mark.parametrize(
    ('make', 'shapes'),
    [
        (
            lambda: Carafe(8),
            {
                'channel_compressor.weight': (64, 8, 1, 1),
                'channel_compressor.bias': (64,),
                'content_encoder.weight': (100, 64, 3, 3),
                'content_encoder.bias': (100,),
            },
        ),
        (
            lambda: PixelShuffle(8),
            {'upsample_conv.weight': (32, 8, 3, 3), 'upsample_conv.bias': (32,)},
        ),
        (lambda: Deconv(8), {'weight': (8, 8, 3, 3), 'bias': (8,)}),
    ],
    ids=['carafe', 'pixel_shuffle', 'deconv'],
)
def test_mmcv_names(make, shapes, nested):
    module = nn.Sequential(nn.Identity(), make()) if nested else make()
    prefix = '1.' if nested else ''
    state = {f'{prefix}{name}': torch.randn(shape) for name, shape in shapes.items()}
    module.load_state_dict(state, strict=True)
    loaded = sorted(value.sum().item() for value in module.state_dict().values())
    assert loaded == sorted(value.sum().item() for value in state.values())


def test_dysample_of_the_authors():
    """Theirs keeps the initial points in a buffer."""
    source = build_upsampler(dict(type='dysample'), 8)
    names = {f'decode_head.up.{name}': value for name, value in source.state_dict().items()}
    names['decode_head.up.init_pos'] = torch.zeros(1, 32, 1, 1)
    model = nn.ModuleDict({'decode_head': nn.ModuleDict({'up': DySample(8)})})
    model.load_state_dict(names, strict=True)
    assert torch.equal(model['decode_head']['up'].offset.weight, source.offset.weight)


@pytest.mark.parametrize('kind', ['deconv', 'pixel_shuffle', 'carafe'])
def test_modules_of_mmcv(kind):
    """From mmcv's module to ours: the keys, and the outputs."""
    mmcv_cnn = pytest.importorskip('mmcv.cnn')
    if kind == 'carafe':
        pytest.importorskip('mmcv.ops')
    own, options, theirs = {
        'deconv': (Deconv, {}, dict(kernel_size=3, stride=2, padding=1, output_padding=1)),
        'pixel_shuffle': (PixelShuffle, {}, dict(scale_factor=2, upsample_kernel=3)),
        'carafe': (Carafe, dict(up_group=2), dict(scale_factor=2, up_group=2)),
    }[kind]
    channels = dict(channels=8) if kind == 'carafe' else dict(in_channels=8, out_channels=8)
    source = drawn_anew(mmcv_cnn.build_upsample_layer(dict(type=kind, **channels, **theirs)))
    target = own(8, **options)
    target.load_state_dict(source.state_dict(), strict=True)
    x, guide = make_inputs(target, (3, 4), (6, 8), dtype=torch.float32)
    if kind != 'carafe':
        torch.testing.assert_close(target(x, guide), source(x))
        return
    # mmcv's assembly does not run on a CPU, its kernel prediction does.
    weight = source.kernel_normalizer(source.content_encoder(source.channel_compressor(x)))
    padded = nn.functional.pad(x, (2, 2, 2, 2))
    expected = torch.zeros(2, 8, 6, 8)
    for i in range(6):
        for j in range(8):
            window = padded[:, :, i // 2 : i // 2 + 5, j // 2 : j // 2 + 5].flatten(2)
            kernel = weight[:, :, i, j].view(2, 2, 25).repeat_interleave(4, 1)
            expected[:, :, i, j] = (window * kernel).sum(2)
    torch.testing.assert_close(target(x, guide), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('up_group', [1, 2])
def test_carafe_equals_mmcvs_operator(up_group):
    mmcv_cnn = pytest.importorskip('mmcv.cnn')
    pytest.importorskip('mmcv.ops')
    cfg = dict(type='carafe', channels=8, scale_factor=2, up_group=up_group)
    source = drawn_anew(mmcv_cnn.build_upsample_layer(cfg)).cuda()
    target = Carafe(8, up_group=up_group).cuda()
    target.load_state_dict(source.state_dict(), strict=True)
    x = torch.randn(2, 8, 12, 10, device='cuda')
    torch.testing.assert_close(target(x), source(x))
