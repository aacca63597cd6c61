"""The process of a training run: ``python -m sapa_mm.reproduction.worker``."""

import argparse
import contextlib
import hashlib
import os
import time

from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.distributed import DistError

from ..engine.check_loading_hook import unwrapped
from ..engine.checkpoint import install_safe_loading
from ..engine.processes import start_processes
from ..engine.training import prepare_training
from ..utils.files import write_image
from .launcher import LAUNCHERS, end_with_parent
from .run_files import PICTURED, Progress, RunFiles
from .study.pixel_counts import count_pixels
from .training_result import train_and_measure
from .training_run import describe_error

_SECONDS_BETWEEN = 1.0


class _ProgressHook(Hook):
    """Writes the run's progress, and the time left at its pace so far."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._written = 0.0

    def before_train(self, runner: Runner) -> None:
        self._start, self._first = time.monotonic(), runner.iter
        self._write(runner, runner.iter, None)

    def after_train_iter(self, runner: Runner, batch_idx: int, **_) -> None:
        done, now = runner.iter + 1, time.monotonic()
        if now - self._written >= _SECONDS_BETWEEN or done == runner.max_iters:
            pace = (now - self._start) / (done - self._first)
            self._write(runner, done, pace * (runner.max_iters - done))

    def _write(self, runner, done, seconds):
        if is_main_process():
            self._files.write_progress(Progress(done, runner.max_iters, seconds))
            self._written = time.monotonic()


class _ValidationsHook(Hook):
    """Writes the metrics of each validation, of those that a resumed run has passed as well."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files

    def before_train(self, runner: Runner) -> None:
        passed = self._files.read_validations().items()
        self._validations = {iteration: m for iteration, m in passed if iteration <= runner.iter}
        loop = runner.train_loop
        due = 0 < runner.iter < runner.max_iters and isinstance(loop, IterBasedTrainLoop)
        if due and runner.iter % loop.val_interval == 0 and runner.iter not in self._validations:
            # Killed after it had saved a checkpoint, and before the validation was complete.
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self._validations[runner.iter] = {
            name: float(value) for name, value in (metrics or {}).items()
        }
        if is_main_process():
            self._files.write_validations(self._validations)


def main() -> None:
    """Train by the settings in a work directory, from its last checkpoint on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='folder with the settings of the run')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    args = parser.parse_args()
    install_safe_loading()
    files = RunFiles(args.work_dir)
    try:
        _train(files, args.launcher)
    except Exception as error:
        # The first process to fail knows why; others fail because it is gone, or was killed.
        if files.read_failure() is None and not _is_of_another_process(error):
            files.write_failure(describe_error(error))
        raise


def _train(files: RunFiles, launcher: str) -> None:
    cfg = prepare_training(
        files.settings,
        work_dir=files.work_dir,
        resume='auto',
        launcher=launcher,
    )
    start_processes(cfg)
    with files.worker_lock() if is_main_process() else contextlib.nullcontext():
        _check_same_run(files, cfg)
        model, result = train_and_measure(cfg, [_ProgressHook(files), _ValidationsHook(files)])
        if is_main_process():
            if PICTURED in cfg:
                _test(files, cfg, unwrapped(model))
            files.write_result(result)


def _test(files: RunFiles, cfg: Config, model: nn.Module) -> None:
    """Test the last checkpoint, once."""
    counts, prediction = count_pixels(model, cfg, cfg[PICTURED])
    files.write_test(counts.to_json())
    if prediction is not None:
        write_image(files.prediction, prediction)


def _is_of_another_process(error: Exception) -> bool:
    """Whether an error is that of a lost connection between processes."""
    return isinstance(error, DistError) or '/gloo/' in str(error)


def _check_same_run(files: RunFiles, cfg: Config) -> None:
    """Check that all processes have the same settings and go on from the same checkpoint."""
    checkpoint = os.path.basename(cfg.load_from) if cfg.resume else 'the start'
    own = hashlib.sha256(files.read_settings().encode()).hexdigest()[:12], checkpoint
    distinct = sorted(set(all_gather_object(own)))
    if len(distinct) > 1:
        raise ValueError(
            f'{files.work_dir}: the processes have different settings or checkpoints: '
            + '; '.join(f'settings {settings} from {start}' for settings, start in distinct)
        )


if __name__ == '__main__':
    # torchrun does not pass the run's lock on, so its processes must not outlive it.
    end_with_parent()
    main()
