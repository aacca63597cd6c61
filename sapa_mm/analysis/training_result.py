"""What one training run of a config gave, and what it cost."""

import dataclasses
import json
import multiprocessing
import os

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from ..engine.prepare_training import prepare_training
from ..engine.run import build_trainer
from .parameters import count_parameters
from .process_memory import peak_rss, reset_peak_rss

_RESULT, _SETTINGS = 'result.json', 'settings.json'


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The result of a training run.

    Attributes:
        metrics (dict[str, float]): Those of the last validation.
        parameters (int): Number of trainable parameters.
        seconds_per_iteration (float): Median over the run, on this machine.
        peak_memory (int): Most bytes that the run took: on a CPU what the process grew by (its
            largest size less that before the training), on a GPU what torch had allocated.
        device (str): Where it ran: 'cpu' with the number of threads, or the name of the GPU.
    """

    metrics: dict[str, float]
    parameters: int
    seconds_per_iteration: float
    peak_memory: int
    device: str


class TrainingFailed(RuntimeError):
    """A training in a process of its own ended with an error; its log tells which."""


class _LastValidation(Hook):
    """Keeps what the last validation gave."""

    metrics: dict[str, float] | None = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.metrics = metrics


def train_and_measure(cfg: Config) -> tuple[nn.Module, TrainingResult]:
    """Trains in this process.

    Args:
        cfg (Config): From :func:`~sapa_mm.engine.prepare_training.prepare_training`; it validates
            at the end.

    Returns:
        tuple[nn.Module, TrainingResult]: The trained model, and what was measured.
    """
    before = _reset_peak_memory()
    runner = build_trainer(cfg)
    validation = _LastValidation()
    runner.register_hook(validation)
    model = runner.train()
    if validation.metrics is None:
        # Resumed from the last checkpoint, the validation after it had been cut short.
        runner.val()
    times, _ = runner.message_hub.log_scalars['train/time'].data
    return model, TrainingResult(
        metrics={name: float(value) for name, value in validation.metrics.items()},
        parameters=count_parameters(model),
        seconds_per_iteration=float(np.median(times)),
        peak_memory=_peak_memory(before),
        device=_describe_device(),
    )


def train_apart(config: str, work_dir: str, cfg_options: dict) -> TrainingResult:
    """Trains in a process of its own, unless it was done before.

    A finished run is not repeated, one that was interrupted goes on from its last checkpoint.

    Args:
        config (str): The config file. It validates at the end of its training.
        work_dir (str): Where logs, checkpoints and the result go.
        cfg_options (dict): Settings to override.

    Returns:
        TrainingResult: What was measured.

    Raises:
        FileNotFoundError: See ``prepare_training``.
        ValueError: See ``prepare_training``; or if the folder has a run with other settings in it.
        TrainingFailed: If the training ended with an error.
    """
    # Resuming would take over the seed of what is there.
    _claim(work_dir, prepare_training(config, work_dir=work_dir, cfg_options=cfg_options))
    finished = _read_result(work_dir)
    if finished is not None:
        return finished
    process = multiprocessing.get_context('spawn').Process(
        target=_train_and_save, args=(config, work_dir, cfg_options)
    )
    process.start()
    process.join()
    result = _read_result(work_dir)
    if process.exitcode or result is None:
        raise TrainingFailed(
            f'training {config} ended with exit code {process.exitcode}; see the log in {work_dir}'
        )
    return result


def _read_result(work_dir: str) -> TrainingResult | None:
    path = os.path.join(work_dir, _RESULT)
    if not os.path.isfile(path):
        return None
    with open(path) as file:
        return TrainingResult(**json.load(file))


def _train_and_save(config: str, work_dir: str, cfg_options: dict) -> None:
    cfg = prepare_training(config, work_dir=work_dir, cfg_options=cfg_options, resume='auto')
    _, result = train_and_measure(cfg)
    _write(os.path.join(work_dir, _RESULT), json.dumps(dataclasses.asdict(result), indent=1))


def _claim(work_dir: str, cfg: Config) -> None:
    """Sees that a folder has no run with other settings in it."""
    settings = cfg.to_dict()
    del settings['work_dir']
    text = json.dumps(settings, sort_keys=True, indent=1, default=repr)
    path = os.path.join(work_dir, _SETTINGS)
    if os.path.isfile(path):
        with open(path) as file:
            if file.read() != text:
                raise ValueError(
                    f'{work_dir} has a run with other settings in it (see {path}); remove it, or '
                    'choose another folder'
                )
    _write(path, text)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f'{path}.partial', 'w') as file:
        file.write(text)
    os.replace(f'{path}.partial', path)


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
    if get_device() == 'cuda':
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f'{get_device()}, {threads} thread{"s" if threads > 1 else ""}'
