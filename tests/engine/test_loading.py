"""What was loaded into a module is known, and the weights of another model are refused."""

import logging

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from sapa_mm.engine import CheckpointError
from sapa_mm.engine.loading import check_model, load_weights, log_loaded, watch_pretrained
from sapa_mm.upsamplers import build_upsampler


class Net(BaseModule):
    def __init__(self, width=4, init_cfg=None):
        super().__init__(init_cfg)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))
        self.up = build_upsampler({'type': 'sapa_b', 'embed_dims': width}, 8)


class Model(BaseModule):
    def __init__(self, **backbone):
        super().__init__()
        self.backbone = Net(**backbone)
        self.head = nn.Conv2d(8, 2, 1)


def config(**upsampler):
    return Config({'model': {'type': 'Net', 'up': {'type': 'sapa_b', **upsampler}}})


def meta(**upsampler):
    return {'cfg': config(**upsampler).pretty_text, 'dataset_meta': {'classes': ('a', 'b')}}


def check(checkpoint, cfg=None, classes=('a', 'b'), allow_partial=False):
    return check_model(Net(), checkpoint, cfg or config(), classes, 'checkpoint: f', allow_partial)


@pytest.fixture
def weights():
    return Net().state_dict()


@pytest.fixture
def log(monkeypatch):
    """What is logged: pairs of level and message."""
    lines = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, level: lines.append((level, text)))
    return lines


def test_all_of_it(weights):
    for checkpoint in ({'state_dict': weights, 'meta': meta()}, weights):
        model = Net()
        loaded = check_model(model, checkpoint, config(), ('a', 'b'), 'checkpoint: f')
        assert (loaded.count, loaded.problems) == (len(loaded.wanted), [])
        assert all(torch.equal(model.state_dict()[name], value) for name, value in weights.items())


def test_what_does_not_matter(weights):
    """The prefix of DistributedDataParallel, counters, averages, constants, the authors' names."""
    changed = {f'module.{name}': value for name, value in weights.items() if 'num_b' not in name}
    for ours, theirs in (('query', 'q'), ('key', 'k')):
        for kind in ('weight', 'bias'):
            changed[f'module.up.{theirs}.{kind}'] = changed.pop(f'module.up.{ours}.{kind}')
    for name in ('ema_stem_0_weight', 'data_preprocessor.mean'):
        changed[name] = torch.zeros(1)
    assert check({'state_dict': changed}).problems == []


def test_a_module_may_be_called_ema():
    model = nn.ModuleDict({name: nn.Linear(1, 1) for name in ('ema_head', 'neck')})
    weights = {f'neck.{name}': value for name, value in model['neck'].state_dict().items()}
    loaded = load_weights(model, weights, 'checkpoint: f')
    assert loaded.missing == ['ema_head.weight', 'ema_head.bias']


def test_all_problems_in_one_line(weights):
    state_dict = {**Net(width=6).state_dict(), 'extra': torch.zeros(1)}
    del state_dict['stem.0.weight']
    checkpoint = {'state_dict': state_dict, 'meta': meta(kernel_size=3)}
    with pytest.raises(CheckpointError) as error:
        check(checkpoint, classes=('a', 'c'))
    (line,) = str(error.value).splitlines()
    for part in (
        'checkpoint: f does not fit the model in the config: it lacks weights of the model (1)',
        'it has weights that the model lacks (1): extra;',
        'it has weights of another shape (4): up.query.weight [6, 8, 1, 1] instead of [4, 8, ',
        'model.up.kernel_size is 5, but was 3 in training',
        "names of classes differ (1 of 2): 1 is 'c', was 'b'",
        'give the config and `cfg_options` that it was trained with, or `allow_partial`',
    ):
        assert part in line


def test_allowed(weights, log):
    del weights['stem.0.weight']
    loaded = check({'state_dict': weights, 'meta': meta(kernel_size=3)}, allow_partial=True)
    assert loaded.missing == ['stem.0.weight']
    ((level, line),) = log
    assert level == logging.WARNING
    assert 'it lacks weights of the model (1): stem.0.weight; model.up.kernel_size is' in line
    assert line.endswith('; loaded 9 of 10 weights')


@pytest.mark.parametrize(
    ('wrap', 'message'),
    [
        (lambda w: {'state_dict': {}}, 'has no state_dict with weights'),
        (lambda w: {}, 'has no state_dict with weights'),
        (lambda w: [w], 'has no state_dict with weights'),
        (lambda w: {'state_dict': [1]}, 'has no state_dict with weights'),
        (lambda w: {'state_dict': {1: torch.zeros(1)}}, 'has no state_dict with weights'),
        (lambda w: {'epoch': 3}, r'has none of the 10 weights needed; it has epoch$'),
        (lambda w: {'model': w}, "under the key 'model': save these alone"),
        (
            lambda w: {'state_dict': {f'module.net.{n}': v for n, v in w.items()}},
            "its names have the prefix 'module.net.'",
        ),
        (
            lambda w: {n.removeprefix('up.'): v for n, v in w.items() if n.startswith('up.')},
            "these are the weights of 'up' alone",
        ),
        (lambda w: dict.fromkeys(w, 'text'), 'has none of the 10 weights'),
        (
            lambda w: dict.fromkeys(w, torch.zeros(7)),
            r'another shape: stem.0.weight \[7\] instead of \[8, 3, 1, 1\], ',
        ),
    ],
)
def test_nothing_fits(weights, wrap, message):
    for allow_partial in (False, True):
        with pytest.raises(CheckpointError, match=f'^checkpoint: f .*{message}'):
            check(wrap(weights), allow_partial=allow_partial)


def test_weights_of_an_option_that_the_upsampler_lacks():
    ours, theirs = (
        build_upsampler({'type': 'dysample', 'dynamic_scope': on}, 8) for on in (False, True)
    )
    with pytest.raises(CheckpointError, match='^load_from: f: DySample: .* dynamic_scope=True'):
        load_weights(
            nn.ModuleDict({'up': ours}),
            {f'up.{n}': v for n, v in theirs.state_dict().items()},
            'load_from: f',
        )


@pytest.mark.parametrize('text', ['model = dict(type=open("ran", "w"))', 'model = <Net>', 3, None])
def test_a_config_that_cannot_be_read(weights, text, tmp_path, monkeypatch, log):
    monkeypatch.chdir(tmp_path)
    checkpoint = {'state_dict': weights, 'meta': {'cfg': text}}
    assert check(checkpoint, config(kernel_size=3)).problems == []
    ((level, line),) = log
    assert level == logging.WARNING
    assert line.startswith("checkpoint: f: its meta['cfg'] cannot be compared: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'content', [3, [], {'dataset_meta': 3}, {'cfg': ''}, {'cfg': 'model = 3'}, {'model': None}]
)
def test_a_meta_without_anything_to_compare(weights, content):
    assert check({'state_dict': weights, 'meta': content}).problems == []


@pytest.mark.parametrize(
    'content', [{'CLASSES': ('b', 'a')}, {'dataset_meta': {'CLASSES': ['b', 'a']}}]
)
def test_the_classes_of_an_older_checkpoint(weights, content):
    """mmseg 0.x and mmdet 2 had them elsewhere."""
    with pytest.raises(CheckpointError, match=r'names of classes differ \(2 of 2\)'):
        check({'state_dict': weights, 'meta': content})


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_of_a_training_that_diverged(weights, value, log):
    weights['stem.0.weight'][0] = value
    assert check({'state_dict': weights}).problems == []
    line = 'checkpoint: f has weights with NaN or infinity (1): stem.0.weight'
    assert log == [(logging.WARNING, line)]


def test_many_settings_differ(weights):
    """The first three are named."""
    trained = Config(
        {'model': {'type': 'Net', 'up': {'type': 'sapa_b'}, **dict.fromkeys('abcd', 1)}}
    )
    given = Config({'model': {'type': 'Net', 'up': {'type': 'sapa_b'}, **dict.fromkeys('abcd', 2)}})
    checkpoint = {'state_dict': weights, 'meta': {'cfg': trained.pretty_text}}
    with pytest.raises(CheckpointError) as error:
        check(checkpoint, given)
    assert 'model.c is 2, but was 1 in training, ...; give the' in str(error.value)


def test_what_is_unsure_is_a_warning(weights, log):
    checkpoint = {'state_dict': weights, 'meta': {'cfg': config(more=1).pretty_text}}
    assert check(checkpoint).problems == []
    line = 'checkpoint: f: model.up.more is not set, but was 1 in training; this may matter'
    assert log == [(logging.WARNING, line)]


def test_what_was_loaded_is_logged(weights, log):
    del weights['stem.0.weight']
    weights['up.query.bias'] = torch.zeros(3)
    weights['fc.weight'] = torch.zeros(3)
    log_loaded(load_weights(Net(), weights, 'load_from: f'), 'load_from: f')
    line = (
        'load_from: f: loaded 8 of 10 weights; missing, left as initialised: 1 (stem.0.weight); '
        'of another shape, left as initialised: 1 (up.query.bias [3] instead of [4]); '
        'not in the model, ignored: 1 (fc.weight)'
    )
    assert log == [(logging.WARNING, line)]


class TestPretrained:
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        torch.save({'state_dict': Model().state_dict()}, 'model.pth')

    def initialise(self, many=False, **init_cfg):
        init_cfg = {'type': 'Pretrained', 'checkpoint': 'model.pth', **init_cfg}
        model = Model(init_cfg=[init_cfg] if many else init_cfg)
        watch_pretrained(model)
        model.init_weights()
        return model

    @pytest.mark.parametrize('many', [False, True])
    def test_it_fits(self, many, log):
        model = self.initialise(many, prefix='backbone.')
        saved = torch.load('model.pth')['state_dict']
        assert torch.equal(model.backbone.stem[0].weight, saved['backbone.stem.0.weight'])
        line = 'model.backbone.init_cfg.checkpoint: model.pth: loaded 10 of 10 weights'
        assert log == [(logging.INFO, line)]
        assert 'init_weights' not in vars(model.backbone)

    def test_nothing_fits(self):
        message = (
            'model.backbone.init_cfg.checkpoint: model.pth has none of the 10 weights needed; .*; '
            "its names have the prefix 'backbone.': give init_cfg prefix='backbone.'"
        )
        with pytest.raises(CheckpointError, match=message):
            self.initialise()

    def test_no_such_prefix(self):
        message = 'model.backbone.init_cfg.checkpoint: model.pth: AssertionError: bone. is not in'
        with pytest.raises(CheckpointError, match=message):
            self.initialise(prefix='bone.')

    def test_other_initialisation_is_left_alone(self):
        model = Model(init_cfg={'type': 'Constant', 'layer': 'Conv2d', 'val': 3.0})
        watch_pretrained(model)
        model.init_weights()
        assert (model.backbone.stem[0].weight == 3).all()


def test_a_module_that_loads_by_itself(tmp_path):
    """Strictly, by torch, as some backbones do."""

    class Strict(Net):
        def init_weights(self):
            self.load_state_dict(torch.load(self.init_cfg['checkpoint']))

    torch.save(Net(width=6).state_dict(), tmp_path / 'net.pth')
    model = Strict(init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'net.pth')})
    watch_pretrained(model)
    with pytest.raises(
        CheckpointError, match='net.pth: has weights of another shape .4.: up.query'
    ):
        model.init_weights()
