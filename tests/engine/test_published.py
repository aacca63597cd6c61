"""Published weights: written, read back, and refused if damaged."""

import json
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import MODELS
from safetensors.torch import load_file, save_file

from sapa_mm.engine import CheckpointError, read_checkpoint
from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.engine.published import PublishedError, read_published
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
        'meta': {'dataset_meta': {'classes': ('a', 'b'), 'palette': [[1, 2, 3], [4, 5, 6]]}},
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
    assert published.dataset_meta == {'classes': ['a', 'b'], 'palette': [[1, 2, 3], [4, 5, 6]]}
    with in_scope(published.config):
        restored = MODELS.build(published.config.model)
    restored.load_state_dict(published.state_dict, strict=True)
    for name, value in model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value), name


def test_loads_as_a_checkpoint(weights, model):
    content = read_checkpoint(weights)
    assert content['state_dict'].keys() == model.state_dict().keys()
    assert content['meta']['dataset_meta']['classes'] == ['a', 'b']


def test_the_same_weights_have_the_same_name(weights, checkpoint, tmp_path):
    assert publish(CONFIG, checkpoint, str(tmp_path / 'again')).endswith(Path(weights).name)


def test_damaged_weights(weights):
    content = Path(weights).read_bytes()
    Path(weights).write_bytes(content[:-50])
    with pytest.raises(CheckpointError, match='is damaged or no safetensors file'):
        read_checkpoint(weights)
    # The last byte of the last value.
    Path(weights).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PublishedError, match='its weights do not match their hash'):
        read_published(weights)
    save_file(load_file_of(content, weights), weights)
    with pytest.raises(CheckpointError, match='has no config, dataset_meta, metadata_sha256, met'):
        read_checkpoint(weights)
    Path(weights).write_bytes(b'')
    with pytest.raises(CheckpointError, match='is damaged or no safetensors file'):
        read_checkpoint(weights)


def test_damaged_metadata(weights):
    content = Path(weights).read_bytes()
    Path(weights).write_bytes(content.replace(b'45.5', b'46.5'))
    with pytest.raises(CheckpointError, match='its metadata do not match their hash'):
        read_checkpoint(weights)


def test_others_may_read_it(weights, checkpoint):
    assert Path(weights).stat().st_mode == Path(checkpoint).stat().st_mode


def test_a_config_with_another_option(weights):
    """Of the same weights, by name and shape."""
    assert load_trained(CONFIG, weights, {'model.test_cfg.mode': 'slide'}).model is not None
    options = {'model.decode_head.upsample_cfg.offset_init': 'grid'}
    with pytest.raises(ValueError, match="upsample_cfg.offset_init is 'grid', it was trained with"):
        load_trained(CONFIG, weights, options)


def load_file_of(content, path):
    Path(path).write_bytes(content)
    return load_file(path)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (OTHER, r'is not of the model in .*sapa-b.*: it has, and the model has not, \d+ weights'),
        (CONFIG.replace('sapa-d', 'fade'), r'it lacks \d+ weights: decode_head.up'),
    ],
)
def test_a_config_of_another_model(checkpoint, tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        publish(config, checkpoint, str(tmp_path / 'out'))
    assert not (tmp_path / 'out').exists()


def test_another_shape_and_no_weights(checkpoint, tmp_path):
    options = {'model.decode_head.num_classes': 7}
    with pytest.raises(ValueError, match='it has in another shape 2 weights: decode_head.conv_seg'):
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
