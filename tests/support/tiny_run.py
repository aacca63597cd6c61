"""A run on which every random number leaves its mark; as a script, it kills itself half-way.

python tiny_run.py WORK_DIR LOOP [--no-hook]
"""

import argparse
import os
import random
import signal

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

import sapa_mm.engine  # noqa: F401


class TinyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1)
        )

    def forward(self, *samples, mode):
        out = self.layers(torch.stack(samples).float())
        return {'loss': out.square().mean()} if mode == 'loss' else list(out)


class NoisyData(torch.utils.data.Dataset):
    """Augmentation from all three generators."""

    metainfo = {'classes': ('one',)}

    def __len__(self):
        return 12

    def __getitem__(self, index):
        noise = [random.random(), np.random.rand(), torch.rand(()).item()]  # noqa: NPY002
        return torch.tensor([index / 12, *noise])


class Count(BaseMetric):
    default_prefix = 'tiny'

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples))

    def compute_metrics(self, results):
        # It grows, so that the best checkpoint and the last one are saved in every validation.
        self.calls = getattr(self, 'calls', 0) + 1
        return {'calls': np.float64(self.calls)}


class Kill(Hook):
    def __init__(self, at):
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def build_runner(
    work_dir, loop='iter', hook=True, resume=False, load_from=None, kill_at=None, **train_cfg
):
    torch.manual_seed(3)  # for the initial weights; the runner's seed comes after them
    by_epoch = loop == 'epoch'
    if by_epoch:
        train_cfg = {'by_epoch': True, 'max_epochs': 4, 'val_interval': 1, **train_cfg}
    else:
        train_cfg = {'by_epoch': False, 'max_iters': 12, 'val_interval': 3, **train_cfg}
    hooks = [{'type': 'RandomStateHook'}] if hook else []
    if kill_at is not None:
        hooks.append(Kill(kill_at))

    def loader(sampler, shuffle):
        return {
            'batch_size': 4,
            'num_workers': 0,
            'sampler': {'type': sampler, 'shuffle': shuffle},
            'dataset': NoisyData(),
        }

    checkpoints = {
        'type': 'CheckpointHook',
        'by_epoch': by_epoch,
        'interval': 1 if by_epoch else 3,
        'save_best': 'tiny/calls',
        'rule': 'greater',
    }
    return Runner(
        TinyModel(),
        work_dir=str(work_dir),
        train_dataloader=loader('DefaultSampler' if by_epoch else 'InfiniteSampler', True),
        val_dataloader=loader('DefaultSampler', False),
        val_evaluator=[Count()],
        train_cfg=train_cfg,
        val_cfg={},
        optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.1}},
        param_scheduler=[
            {'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 12, 'by_epoch': False}
        ],
        default_hooks={'checkpoint': checkpoints},
        custom_hooks=hooks,
        randomness={'seed': 3},
        resume=resume,
        load_from=load_from,
        log_level='WARNING',
        experiment_name=f'tiny-{os.path.basename(work_dir)}-{random.random()}',
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('work_dir')
    parser.add_argument('loop', choices=['iter', 'epoch'])
    parser.add_argument('--no-hook', dest='hook', action='store_false')
    build_runner(**vars(parser.parse_args()), kill_at=7).train()


if __name__ == '__main__':
    main()
