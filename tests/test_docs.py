"""The examples of docs/python.md run as they stand."""

import re
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from sapa_mm.datasets import CLASSES, PALETTE, generate_scene
from sapa_mm.engine.published import write_published

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs/segformer/segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py'
EXAMPLES = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/python.md').read_text(), re.S)


@pytest.mark.parametrize(('number', 'shape'), [(0, (1, 256, 23, 31)), (1, (2, 128, 14, 17))])
def test_upsampling(number, shape):
    names = {}
    exec(EXAMPLES[number], names)
    assert names['high' if number == 0 else 'out'].shape == shape


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With a config, its published weights and an image."""
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    meta = dict(classes=CLASSES, palette=[list(map(int, color)) for color in PALETTE])
    path = write_published('.', cfg, model.state_dict(), {'mIoU': 1.0}, meta)
    Path(path).rename('weights.safetensors')
    cfg.dump('config.py')
    Image.fromarray(generate_scene(0, size=(96, 80)).image).save('image.jpg')
    return tmp_path


@pytest.mark.usefixtures('own_loaders')
def test_a_trained_model(folder):
    names = {}
    exec(EXAMPLES[2], names)
    assert names['labels'].shape == (96, 80)
    assert set(names['names']) <= set(CLASSES)
    assert Image.open('labels.png').size == (80, 96)


def test_published_weights(folder, capsys):
    exec(EXAMPLES[3], {})
    assert "{'mIoU': 1.0}" in capsys.readouterr().out
