"""The result of a training run: its metrics, time and memory."""

import dataclasses
import math
import statistics
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
        metrics (dict[str, float]): The metrics of the last validation.
        parameters (int): Number of trainable parameters.
        seconds_per_iteration (float): Median over the run, on this machine.
        peak_memory (int): Peak memory in bytes: on a CPU the growth of the process since the start
            of training, on a GPU torch's allocations; of the first of several processes.
        device (str): The CPU with its number of threads, or the GPU's name; with the number of
            processes if there were several.
    """

    metrics: dict[str, float]
    parameters: int
    seconds_per_iteration: float
    peak_memory: int
    device: str


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric as a column of a table.

    Attributes:
        title (str): Its name in the table.
        key (str): Its name among the metrics of a validation.
        scale (float): What it is multiplied by. Defaults to 1.
        digits (int): Digits after the point. Defaults to 2.
    """

    title: str
    key: str
    scale: float = 1
    digits: int = 2

    def value(self, metrics: dict[str, float]) -> float:
        """Its value among the metrics of a validation."""
        # mmdet reports no average precision, which is 0, where nothing is detected.
        return self.scale * metrics.get(self.key, 0.0)

    def format(self, value: float, sign: str = '') -> str:
        """Format a value, or with ``sign='+'`` a difference of two."""
        return f'{value:{sign}.{self.digits}f}'


@dataclasses.dataclass(frozen=True)
class MeanOverSeeds:
    """A metric averaged over runs that differ in their seed only.

    Attributes:
        mean (float): The mean.
        std (float | None): The sample standard deviation; None for a single run, or if a value is
            not finite.
        runs (int): The number of runs.
    """

    mean: float
    std: float | None
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> 'MeanOverSeeds':
        """Average the values of one or more runs."""
        has_std = len(values) > 1 and all(map(math.isfinite, values))
        std = statistics.stdev(values) if has_std else None
        return cls(statistics.mean(values), std, len(values))

    def format(self, digits: int) -> str:
        """Format the mean, with ± and the deviation where there is one."""
        return f'{self.mean:.{digits}f}' + ('' if self.std is None else f' ± {self.std:.{digits}f}')


class _PeakMemory(Hook):
    """Keeps the peak memory in checkpoints, so that a resumed run includes earlier processes."""

    _KEY = 'peak_memory'
    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._baseline = _reset_peak_memory()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        runner.message_hub.update_info(self._KEY, self.total(runner))
        checkpoint['message_hub'] = runner.message_hub.state_dict()

    def total(self, runner: Runner) -> int:
        """Peak memory so far, in bytes."""
        info = runner.message_hub.runtime_info
        return max(info.get(self._KEY, 0), _peak_memory(self._baseline))


class _LastValidation(Hook):
    """Keeps the metrics of the last validation."""

    metrics: dict[str, float] | None = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        # Hooks of lower priority add None for what is missing now.
        self.metrics = dict(metrics or {})


def train_and_measure(cfg: Config, hooks: Sequence[Hook] = ()) -> tuple[nn.Module, TrainingResult]:
    """Train in this process.

    Args:
        cfg (Config): A config of ``prepare_training`` that validates
            at the end.
        hooks (Sequence[Hook]): More hooks. Defaults to none.

    Returns:
        tuple[nn.Module, TrainingResult]: The trained model and the result.
    """
    memory, validation = _PeakMemory(), _LastValidation()
    runner = build_trainer(cfg)
    for hook in (memory, validation, *hooks):
        runner.register_hook(hook)
    model = runner.train()
    if validation.metrics is None:
        # Resumed from the final checkpoint, after an interrupted validation.
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


def _peak_memory(baseline):
    if get_device() == 'cuda':
        return torch.cuda.max_memory_allocated()
    return peak_rss() - baseline


def _describe_device():
    processes = f', {get_world_size()} processes' if get_world_size() > 1 else ''
    return describe_device(get_device()) + processes
