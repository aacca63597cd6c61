"""The hook that draws while a model trains."""

from unittest import mock

import numpy as np
import pytest

pytest.importorskip('mmseg')

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from sapa_mm.upsamplers import Upsampler
from sapa_mm.visualization import UpsampleVisualizationHook

from ..support.configs import CONFIGS, SEGFORMER
from ..support.tool_configs import DEPTH, MATTING, write_config, write_mattes, write_nyu


@pytest.fixture
def runner(scenes, tmp_path):
    def build(**hook):
        cfg = Config.fromfile(CONFIGS / SEGFORMER.format('sapa-b'))
        cfg.merge_from_dict(
            {
                'work_dir': str(tmp_path / 'run'),
                'custom_imports.imports': ['sapa_mm.segmentation', 'sapa_mm.visualization'],
                'train_dataloader.dataset.data_root': str(scenes),
                'train_dataloader.batch_size': 2,
                'val_dataloader.dataset.data_root': str(scenes),
                'train_cfg.max_iters': 3,
                'train_cfg.val_interval': 1,
                'custom_hooks': [dict(type='UpsampleVisualizationHook', **hook)],
                'experiment_name': f'{tmp_path.name}{len(hook)}',
                # mmengine would reuse a visualizer of the same name, with its folder.
                'visualizer.name': f'{tmp_path.name}{len(hook)}',
            }
        )
        cfg.val_evaluator = dict(type='IoUMetric')
        return Runner.from_cfg(cfg)

    return build


def test_pictures_land_in_the_visualizers_folder(runner, tmp_path):
    running = runner(interval=2)
    running.train()
    # From the first and the third validation.
    pictures = sorted((tmp_path / 'run').rglob('upsamplers_*.png'))
    assert [path.name for path in pictures] == ['upsamplers_1.png', 'upsamplers_3.png']
    picture = np.asarray(Image.open(pictures[0]))
    assert picture.shape[0] > picture.shape[1] / 2 > 300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
    parts = [part for part in running.model.modules() if isinstance(part, Upsampler)]
    assert len(parts) == 6
    assert not any(part._forward_hooks for part in parts)


@pytest.mark.parametrize(('text', 'write'), [(DEPTH, write_nyu), (MATTING, write_mattes)])
def test_models_of_other_tasks(tmp_path, text, write):
    write(tmp_path / 'data')
    text = text.replace('sapa_mm.engine.safe_loading', 'sapa_mm.visualization')
    hook = "custom_hooks = [dict(type='UpsampleVisualizationHook')]"
    path = write_config(tmp_path / 'config.py', f'{text}{hook}', tmp_path / 'data')
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({'train_cfg.max_iters': 2, 'visualizer.name': tmp_path.name})
    cfg.default_hooks.checkpoint.pop('save_best')
    cfg.work_dir, cfg.experiment_name = str(tmp_path / 'run'), tmp_path.name
    Runner.from_cfg(cfg).train()
    (picture,) = (tmp_path / 'run').rglob('upsamplers_*.png')
    assert np.asarray(Image.open(picture)).std() > 20


def test_the_evaluators_sample_is_left_alone(runner):
    running = runner()
    (hook,) = (hook for hook in running.hooks if isinstance(hook, UpsampleVisualizationHook))
    drawn = []
    running.visualizer.add_image = lambda *args: drawn.append(args)
    loader = running.build_dataloader(running._val_dataloader)
    batch = next(iter(loader))
    running.model.eval()
    with torch.no_grad():
        outputs = running.model.val_step(batch)
    before = outputs[0].seg_logits.data.clone()
    hook.after_val_iter(running, 0, batch, outputs)
    assert outputs[0].seg_logits.data.equal(before)
    hook.after_val_iter(running, 1, batch, outputs)
    assert [(name, step) for name, _, step in drawn] == [('upsamplers', 0)]


def test_a_picture_that_cannot_be_drawn_ends_no_training(runner, monkeypatch):
    running = runner(interval=1)
    (hook,) = (hook for hook in running.hooks if isinstance(hook, UpsampleVisualizationHook))
    monkeypatch.setattr(running.visualizer, 'add_image', mock.Mock(side_effect=OSError('disk')))
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    batch = next(iter(running.build_dataloader(running._val_dataloader)))
    running.model.eval()
    for _ in range(2):
        hook.after_val_iter(running, 0, batch)
    assert said == ['UpsampleVisualizationHook draws nothing: OSError: disk']


def test_intervals():
    with pytest.raises(ValueError, match='interval must be 1 or more'):
        UpsampleVisualizationHook(interval=0)
