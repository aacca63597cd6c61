"""Published weights: written, read back, and refused if damaged."""

import json
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import MODELS
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sapa_mm.datasets.scenes.categories import CLASSES
from sapa_mm.engine import CheckpointError, read_checkpoint
from sapa_mm.engine.compare_settings import compare_settings
from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.engine.published import (
    PublishedError,
    _hash_metadata,
    read_published,
    read_weights,
    write_published,
)
from sapa_mm.engine.trained_model import load_trained, publish

FOLDER = Path(__file__).parents[2] / 'configs' / 'segformer'
CONFIG = str(FOLDER / 'segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py')
OTHER = str(FOLDER / 'segformer_mit-tiny_sapa-b_1xb8-300_scenes-128x128.py')


@pytest.fixture(scope='module')
def model():
    cfg = read_config(CONFIG)
    with in_scope(cfg):
        return MODELS.build(cfg.model)


@pytest.fixture
def checkpoint(model, tmp_path):
    content = {
        'state_dict': model.state_dict(),
        'optimizer': {'state': {0: torch.zeros(10**6)}},
        'meta': {'dataset_meta': {'classes': CLASSES, 'palette': [[1, 2, 3], [4, 5, 6]]}},
    }
    torch.save(content, tmp_path / 'iter_3.pth')
    return str(tmp_path / 'iter_3.pth')


@pytest.fixture
def weights(checkpoint, tmp_path):
    (tmp_path / 'metrics.json').write_text(json.dumps({'mIoU': 45.5, 'note': 'a text'}))
    metrics = str(tmp_path / 'metrics.json')
    return publish(CONFIG, checkpoint, str(tmp_path / 'out'), metrics)


def test_there_and_back(weights, model):
    published = read_published(weights)
    assert Path(weights).name == f'{Path(CONFIG).stem}-{published.sha256[:8]}.safetensors'
    assert [path.name for path in Path(weights).parent.iterdir()] == [Path(weights).name]
    # Without the optimizer's state.
    assert Path(weights).stat().st_size < 3e6
    assert published.metrics == {'mIoU': 45.5}
    assert published.dataset_meta == {'classes': [*CLASSES], 'palette': [[1, 2, 3], [4, 5, 6]]}
    with in_scope(published.config):
        restored = MODELS.build(published.config.model)
    restored.load_state_dict(published.state_dict, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value), name


def test_loads_as_a_checkpoint(weights, model):
    content = read_checkpoint(weights)
    assert content['state_dict'].keys() == model.state_dict().keys()
    assert content['meta']['dataset_meta']['classes'] == [*CLASSES]


def test_the_same_weights_have_the_same_name(weights, checkpoint, tmp_path):
    assert publish(CONFIG, checkpoint, str(tmp_path / 'again')).endswith(Path(weights).name)


def test_damaged_weights(weights):
    content = Path(weights).read_bytes()
    Path(weights).write_bytes(content[:-50])
    with pytest.raises(CheckpointError, match='is damaged, or not a safetensors file'):
        read_checkpoint(weights)
    # The last byte of the last value.
    Path(weights).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PublishedError, match='its weights do not match their hash'):
        read_published(weights)
    save_file(load_file_of(content, weights), weights)
    with pytest.raises(CheckpointError, match='has no config, dataset_meta, metadata_sha256, met'):
        read_checkpoint(weights)
    Path(weights).write_bytes(b'')
    with pytest.raises(CheckpointError, match='is damaged, or not a safetensors file'):
        read_checkpoint(weights)


def test_damaged_metadata(weights):
    content = Path(weights).read_bytes()
    Path(weights).write_bytes(content.replace(b'45.5', b'46.5'))
    with pytest.raises(CheckpointError, match='its metadata do not match their hash'):
        read_checkpoint(weights)


def rewrite(path, **changes):
    """Change the metadata of published weights, with the hash that goes with it."""
    with safe_open(path, 'pt') as file:
        metadata = {**file.metadata(), **changes}
    save_file(load_file(path), path, {**metadata, 'metadata_sha256': _hash_metadata(metadata)})


def test_no_code_from_the_config(weights, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'hostile_module.py').write_text('')
    marker = tmp_path / 'marker'
    for code in (
        f'import os\nos.mkdir({str(marker)!r})',
        f"model = dict(type=__import__('os').mkdir({str(marker)!r}))",
        f"model = dict(type='ResNet', **__import__('os').mkdir({str(marker)!r}))",
        f'model = f\'{{__import__("os").mkdir({str(marker)!r})}}\'',
    ):
        rewrite(weights, config=code)
        with pytest.raises(PublishedError, match=r'config of .*safetensors cannot be read: ValueE'):
            read_published(weights)
        assert read_checkpoint(weights)['meta']['dataset_meta']['classes'] == [*CLASSES]
    # What mmengine would act on is data, too.
    hostile = {'custom_imports': {'imports': ['hostile_module']}, '_base_': str(tmp_path / 'a.py')}
    rewrite(weights, config=json.dumps({**hostile, 'model': {'type': 'os.mkdir', 'path': 'a'}}))
    assert read_published(weights).config.model.type == 'os.mkdir'
    assert 'hostile_module' not in sys.modules
    assert not marker.exists()


@pytest.mark.parametrize(
    'text', ['{', '[1]', '{"filename": "a"}', '{"a": ' * 10**5, 'a = ' * 10**5]
)
def test_a_config_that_is_none(weights, text):
    rewrite(weights, config=text)
    with pytest.raises(PublishedError, match='the config of .* cannot be read'):
        read_published(weights)


def test_no_code_from_a_key(weights):
    """``Config.dump`` writes keys into a Python file as they are."""
    for key in ("a': print(0), 'b", 'a\\', 'a\nimport os'):
        for settings in ({key: 1}, {'model': [{'a': {key: 1}}]}):
            rewrite(weights, config=json.dumps(settings))
            with pytest.raises(PublishedError, match='the config of .* cannot be read'):
                read_published(weights)


@pytest.mark.parametrize('key', ['dataset_meta', 'metrics', 'model'])
@pytest.mark.parametrize(
    'text', ['{', '[' * 10**5, '[]', 'null', '{"a": ' + '[' * 900 + ']' * 900 + '}']
)
def test_metadata_that_is_none(weights, key, text):
    rewrite(weights, **{key: text})
    for read in (read_published, read_checkpoint):
        with pytest.raises(ValueError, match=rf'safetensors: its {key} (cannot|must) be'):
            read(weights)


def test_the_config_of_version_0_1(weights):
    """It was the text of a config file."""
    new = read_published(weights).config
    rewrite(weights, config=read_config(CONFIG).pretty_text)
    old = read_published(weights).config
    assert old.model.decode_head == new.model.decode_head
    assert old.param_scheduler == new.param_scheduler


def test_what_is_no_data_is_not_published(tmp_path):
    for value, text in (
        (slice(3), 'slice'),
        (lambda: 0, '<function'),
        (b'a', "b'a'"),
        ({1}, '{1}'),
    ):
        cfg = Config({'model': {'type': 'A', 'parts': [0, {'x': value}]}})
        with pytest.raises(ValueError, match=rf'^config: model.parts.1.x is {text}.*; published'):
            write_published(str(tmp_path / 'out'), cfg, {}, {}, {})
        with pytest.raises(ValueError, match=r'^checkpoint: dataset_meta.x is'):
            write_published(str(tmp_path / 'out'), Config({'model': {}}), {}, {}, {'x': value})
    assert not (tmp_path / 'out').exists()
    settings = {
        'type': torch.nn.Conv2d,
        'scale': (2, 3),
        'act': torch.nn.functional.relu,
        'names': {0: None},
    }
    path = write_published(str(tmp_path), Config({'model': settings}), {}, {}, {})
    assert not list(compare_settings(read_weights(path)[1]['model'], settings))
    assert read_published(path).config.model == {
        'type': 'torch.nn.modules.conv.Conv2d',
        'scale': [2, 3],
        'act': 'torch.nn.functional.relu',
        'names': {'0': None},
    }


def test_others_may_read_it(weights, checkpoint):
    assert Path(weights).stat().st_mode == Path(checkpoint).stat().st_mode


def test_a_config_with_another_option(weights):
    """Of the same weights, by name and shape."""
    assert load_trained(CONFIG, weights, {'model.test_cfg.mode': 'slide'}).model is not None
    # Only where training starts from.
    options = {'model.decode_head.upsample_cfg.offset_init': 'grid'}
    assert load_trained(CONFIG, weights, options).model is not None
    changed = {'groups': 2, 'embed_dims': 32, 'num_points': 8}
    options = {f'model.decode_head.upsample_cfg.{key}': value for key, value in changed.items()}
    with pytest.raises(ValueError, match='upsample_cfg.num_points is 8, but was 4 in training'):
        load_trained(CONFIG, weights, options)


def load_file_of(content, path):
    Path(path).write_bytes(content)
    return load_file(path)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (OTHER, 'does not fit the model in .*sapa-b.*: it has weights that the model lacks'),
        (CONFIG.replace('sapa-d', 'fade'), 'it lacks weights of the model .*: decode_head.up'),
    ],
)
def test_a_config_of_another_model(checkpoint, tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        publish(config, checkpoint, str(tmp_path / 'out'))
    assert not (tmp_path / 'out').exists()


def test_another_shape_and_no_weights(checkpoint, tmp_path):
    options = {'model.decode_head.num_classes': 7}
    with pytest.raises(
        ValueError, match='it has weights of another shape .2.: decode_head.conv_seg'
    ):
        publish(CONFIG, checkpoint, str(tmp_path / 'out'), cfg_options=options)
    torch.save({'state_dict': {}}, checkpoint)
    with pytest.raises(ValueError, match='has no state_dict'):
        publish(CONFIG, checkpoint, str(tmp_path / 'out'))
    with pytest.raises(FileNotFoundError, match='metrics: no.json is not a file'):
        publish(CONFIG, checkpoint, str(tmp_path / 'out'), 'no.json')


@pytest.mark.parametrize('content', [[], [1.5], {'mIoU': '45.5'}, {'metrics': [1.5]}])
def test_metrics_without_a_number(checkpoint, tmp_path, content):
    path = tmp_path / 'metrics.json'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='metrics: .*metrics.json has no numbers by name'):
        publish(CONFIG, checkpoint, str(tmp_path / 'out'), str(path))
    assert not (tmp_path / 'out').exists()


def test_the_rule_for_odd_sizes_is_kept(weights, checkpoint, tmp_path):
    """That of the training, though the weights went through a model of today."""
    assert read_checkpoint(weights)['meta']['geometry'] == '2'
    content = torch.load(checkpoint, weights_only=False)
    content['meta']['cfg'] = "custom_imports = dict(imports=['sapa_mm.segmentation'])"
    for name, entry in content['state_dict']._metadata.items():
        if name.startswith('decode_head.upsamplers.'):
            entry['version'] = 1
    torch.save(content, checkpoint)
    older = publish(CONFIG, checkpoint, str(tmp_path / 'older'))
    assert read_checkpoint(older)['meta']['geometry'] == '1'
    assert load_trained(CONFIG, older).geometry == '1'
