"""What one training run of a config gave, and what it cost."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..analysis.complexity import count_parameters
from ..analysis.machine import describe_device, peak_rss, reset_peak_rss
from ..engine.training import build_trainer


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The result of a training run.

    Attributes:
        metrics (dict[str, float]): Those of the last validation.
        parameters (int): Number of trainable parameters.
        seconds_per_iteration (float): Median over the run, on this machine.
        peak_memory (int): Most bytes that the run took: on a CPU what the process grew by (its
            largest size less that before the training), on a GPU what torch had allocated; of
            several processes the first's.
        device (str): Where it ran: the CPU with the number of threads, or the name of the GPU; with
            the number of processes if there were several.
    """

    metrics: dict[str, float]
    parameters: int
    seconds_per_iteration: float
    peak_memory: int
    device: str


class _PeakMemory(Hook):
    """Keeps the largest size in checkpoints, so that a resumed run knows of those before it."""

    _KEY = 'peak_memory'
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._before = _reset_peak_memory()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        runner.message_hub.update_info(self._KEY, self.total(runner))
        checkpoint['message_hub'] = runner.message_hub.state_dict()

    def total(self, runner: Runner) -> int:
        """Most bytes so far."""
        info = runner.message_hub.runtime_info
        return max(info.get(self._KEY, 0), _peak_memory(self._before))


class _LastValidation(Hook):
    """Keeps what the last validation gave."""

    metrics: dict[str, float] | None = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.metrics = metrics


def train_and_measure(cfg: Config, hooks: Sequence[Hook] = ()) -> tuple[nn.Module, TrainingResult]:
    """Trains in this process.

    Args:
        cfg (Config): From :func:`~sapa_mm.engine.training.prepare_training`; it validates
            at the end.
        hooks (Sequence[Hook]): More hooks. Defaults to none.

    Returns:
        tuple[nn.Module, TrainingResult]: The trained model, and what was measured.
    """
    memory, validation = _PeakMemory(), _LastValidation()
    runner = build_trainer(cfg)
    for hook in (memory, validation, *hooks):
        runner.register_hook(hook)
    model = runner.train()
    if validation.metrics is None:
        # Resumed from the last checkpoint, the validation after it had been cut short.
        runner.val()
    times, _ = runner.message_hub.log_scalars['train/time'].data
    return model, TrainingResult(
        metrics={name: float(value) for name, value in validation.metrics.items()},
        parameters=count_parameters(model),
        seconds_per_iteration=float(np.median(times)),
        peak_memory=memory.total(runner),
        device=_describe_device(),
    )


def _reset_peak_memory():
    if get_device() == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    reset_peak_rss()
    return peak_rss()


def _peak_memory(before):
    if get_device() == 'cuda':
        return torch.cuda.max_memory_allocated()
    return peak_rss() - before


def _describe_device():
    processes = f', {get_world_size()} processes' if get_world_size() > 1 else ''
    return describe_device(get_device()) + processes
