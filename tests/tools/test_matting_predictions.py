"""tools/test.py on matting models: mattes, cut-outs and pictures say what the metrics say."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from PIL import Image

pytest.importorskip('mmcv')

from sapa_mm.engine.config import in_scope
from sapa_mm.evaluation import MattingMetric

from ..support.run_tool import call_run, call_tool
from ..support.tool_configs import MATTING, write_config, write_mattes


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A config, its checkpoint of random weights, and data."""
    folder = tmp_path_factory.mktemp('matting')
    write_mattes(folder / 'data')
    config = write_config(folder / 'config.py', MATTING, folder / 'data')
    cfg = Config.fromfile(config)
    torch.manual_seed(0)
    with in_scope(cfg):
        model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, folder / 'model.pth')
    return config, folder / 'model.pth', folder / 'data'


def test_mattes_are_measured_saved_and_drawn(files, tmp_path):
    config, checkpoint, data = files
    saved = ['--out', tmp_path / 'out', '--show-dir', tmp_path / 'drawn']
    call_run('test', config, checkpoint, '--work-dir', tmp_path / 'run', *saved)
    (path,) = (tmp_path / 'run').glob('*/*.json')
    metrics = json.loads(path.read_text())
    metric = MattingMetric()
    for index in range(4):
        sample = {}
        for key, folder in (
            ('pred_alpha', tmp_path / 'out'),
            ('gt_alpha', data / 'test/alpha'),
            ('trimap', data / 'test/trimaps'),
        ):
            image = Image.open(folder / f'{index}.png')
            assert (image.mode, image.size) == ('L', (64, 64))
            values = torch.tensor(np.asarray(image))[None]
            sample[key] = {'data': values if key == 'trimap' else values / 255}
        metric.process(None, [sample])
        picture = np.asarray(Image.open(tmp_path / 'drawn' / f'{index}.png'))
        assert picture.shape == (2 * 352, 8 + 3 * 328 + 80, 3)
    values = metric.evaluate(4)
    assert {name: metrics[name] for name in values} == pytest.approx(values, abs=1e-6)


def test_images_without_truth(files, tmp_path, monkeypatch):
    config, checkpoint, _ = files
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    (tmp_path / 'config.py').write_text(f"""
_base_ = {str(config)!r}
test_dataloader = dict(dataset=dict(
    data_prefix=dict(_delete_=True, img_path='test/merged', trimap_path='test/trimaps'),
    pipeline=[dict(type='LoadMattingImage'), dict(type='LoadTrimap'),
              dict(type='PackMattingInputs')]))
""")
    options = ['--work-dir', tmp_path / 'run', '--show-dir', tmp_path / 'drawn']
    call_run('test', tmp_path / 'config.py', checkpoint, *options)
    assert Image.open(tmp_path / 'drawn/0.png').size == (8 + 2 * 328, 2 * 352)
    left_out = 'Left out: MattingMetric: test_dataloader.dataset.pipeline loads no labels'
    assert any(text.startswith(left_out) for text in said)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--tta'], '--tta: A2UMatting predicts from each image once; test without --tta'),
        (
            ['--out', 'out', '--out-format', 'npy'],
            '--out-format: npy is for depth maps, A2UMatting predicts none',
        ),
        (['--out-format', 'rgba'], '--out-format: rgba has no effect without --out'),
        (
            ['--out', 'out', '--out-format', 'rgba'],
            '--out-format: rgba needs pymatting: pip install pymatting',
        ),
        (['--out', 'mattes.pkl'], '--out takes a folder (of maps) for A2UMatting, got mattes.pkl'),
        (['--out', '{data}/test/merged'], '--out: {data}/test/merged has files of'),
    ],
)
def test_what_does_not_suit(files, tmp_path, monkeypatch, capfd, arguments, message):
    config, checkpoint, data = files
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    arguments = [part.format(data=data) for part in arguments]
    assert call_tool('test', config, checkpoint, '--work-dir', tmp_path / 'run', *arguments) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    assert line.startswith(f'error: {message.format(data=data)}')
