"""One training run in processes of its own: ``python -m sapa_mm.reproduction.worker``."""

import argparse
import os
import time

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..analysis.training_result import train_and_measure
from ..engine import CheckpointError
from ..engine.arguments import exit_on
from ..engine.prepare_training import prepare_training
from .run_files import Progress, RunFiles

_SECONDS_BETWEEN = 1.0


class _ProgressHook(Hook):
    """Writes how far the run is, and how long it will still take at the pace since its start."""

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


def main() -> None:
    """Trains what the config in a work directory says, on from its last checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='with the config of the run in it')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    args = parser.parse_args()
    files = RunFiles(args.work_dir)
    with exit_on(FileNotFoundError, ValueError):
        cfg = prepare_training(
            files.settings,
            work_dir=args.work_dir,
            resume='auto',
            launcher=args.launcher,
            local_rank=int(os.environ.get('LOCAL_RANK', 0)),
        )
    with exit_on(CheckpointError):
        _, result = train_and_measure(cfg, [_ProgressHook(files)])
    if is_main_process():
        files.write_result(result)


if __name__ == '__main__':
    main()
