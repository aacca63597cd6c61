"""Runs of seconds on the generated scenes."""

from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from sapa_mm.datasets import write_scenes
from sapa_mm.reproduction.training_run import TrainingRun

CONFIGS = Path(__file__).parents[2] / 'configs'
CONFIG = str(CONFIGS / 'segformer' / 'segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py')


def write_few_scenes(root):
    """Write two scenes for training and two for validation.

    Returns:
        dict: Settings with which the small SegFormer trains two steps on them.
    """
    write_scenes(root, num_train=2, num_val=2, size=(80, 72))
    options = {f'{split}_dataloader.dataset.data_root': str(root) for split in ('train', 'val')}
    options |= {'train_dataloader.dataset.pipeline.2.crop_size': (64, 64)}
    options |= {'model.data_preprocessor.size': (64, 64), 'train_dataloader.batch_size': 2}
    options |= {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2}
    return options | {'default_hooks.checkpoint.interval': 1, 'randomness.seed': 3}


def few_steps(work_dir, options, **more):
    """A run of two steps."""
    return TrainingRun('a run', CONFIG, str(work_dir), {**options, **more})
