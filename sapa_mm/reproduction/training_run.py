"""A training run: of which config, where, and started so that it can be killed at any moment."""

import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from mmengine.config import Config

from ..analysis.training_result import TrainingResult
from ..engine.prepare_training import prepare_training
from .launcher import Launcher
from .run_files import OtherSettings, Progress, RunFiles

_WORKER = 'sapa_mm.reproduction.worker'
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1
_REASON = re.compile(
    r'^(?:\[rank\d+\]:\s*)?((?:\w+\.)*\w*(?:Error|Exception)\b.*|error: .*)$', re.M
)

OnProgress = Callable[[Progress], None]


class TrainingFailed(RuntimeError):
    """A training run ended with an error."""


@dataclass(frozen=True)
class TrainingRun:
    """A training run.

    Attributes:
        title (str): What it is called in messages.
        config (str): The config file. It validates at the end of its training.
        work_dir (str): Where its files go.
        cfg_options (dict): Settings to override. Defaults to none.
        auto_scale_lr (bool): Whether to scale the learning rate to the real batch size, by
            mmengine. Defaults to False.
        amp (bool): Whether to train with automatic mixed precision. Defaults to False.
    """

    title: str
    config: str
    work_dir: str
    cfg_options: dict = field(default_factory=dict)
    auto_scale_lr: bool = False
    amp: bool = False

    @property
    def files(self) -> RunFiles:
        """Its files."""
        return RunFiles(self.work_dir)

    @property
    def state(self) -> str:
        """'finished', 'failed: ...', 'running' or 'stopped at iteration ... of ...', 'not run'."""
        if self.files.read_result():
            return 'finished'
        failure = self.files.read_failure()
        if failure:
            return f'failed: {failure.splitlines()[0]}'
        progress = self.files.read_progress()
        if progress:
            what = 'running, at' if self.files.is_locked else 'stopped at'
            return f'{what} iteration {progress.iteration:,} of {progress.max_iters:,}'
        return 'running' if self.files.is_locked else 'not run'

    def recipe(self) -> tuple[str, dict]:
        """The config file, and the settings to override.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a config cannot be read.
        """
        return self.config, self.cfg_options

    def train(
        self, launcher: Launcher | None = None, on_progress: OnProgress | None = None
    ) -> TrainingResult:
        """Trains in processes of its own, unless it was done before.

        A finished run is not repeated, one that was interrupted goes on from its last checkpoint.
        While another process is at this run, the call waits for it.

        Args:
            launcher (Launcher, optional): How to start it. Defaults to one process.
            on_progress (Callable, optional): Called while it runs. Defaults to None.

        Returns:
            TrainingResult: What was measured.

        Raises:
            FileNotFoundError: If the config or data is missing.
            ValueError: If the config is wrong, or ``work_dir`` has a run with other settings.
            TrainingFailed: If the training ended with an error.
        """
        launcher = launcher or Launcher()
        if not launcher.is_first_node:
            return self._take_part(launcher)
        try:
            settings = self._settings()
            with self.files.lock() as lock:
                self.files.claim(settings)
                result = self.files.read_result()
                if result is None:
                    self.files.clear_failure()
                    result = self._start(launcher, on_progress, lock)
                return result
        except OtherSettings:
            raise  # it is not this run that failed
        except Exception as error:
            # A config is Python: it may raise anything.
            self.files.write_failure(_describe(error))
            raise

    def _settings(self) -> str:
        """The whole config, as text; where it runs and by what is not part of it."""
        config, cfg_options = self.recipe()
        cfg = prepare_training(
            config,
            work_dir=self.work_dir,
            auto_scale_lr=self.auto_scale_lr,
            amp=self.amp,
            # The worker resumes; what it finds then is not part of the settings.
            cfg_options={**cfg_options, 'resume': False},
        )
        settings = cfg.to_dict()
        for key in ('work_dir', 'launcher'):
            del settings[key]
        return Config(settings).pretty_text

    def _start(self, launcher, on_progress, lock):
        with open(self.files.console, 'a') as console:
            process = subprocess.Popen(
                launcher.command(_WORKER, [self.work_dir]),
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],
                preexec_fn=_end_with_parent,
            )
            try:
                self._watch(process, on_progress)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        result = self.files.read_result()
        if process.returncode or result is None:
            raise TrainingFailed(self._find_reason(process.returncode))
        return result

    def _watch(self, process, on_progress):
        seen = self.files.read_progress()
        while True:
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                progress = self.files.read_progress()
                if on_progress and progress not in (None, seen):
                    seen = progress
                    on_progress(progress)
            else:
                return

    def _take_part(self, launcher):
        """On a node that keeps no record: its processes wait for those of the first node."""
        result = self.files.read_result()
        if result is None:
            code = subprocess.call(
                launcher.command(_WORKER, [self.work_dir]), preexec_fn=_end_with_parent
            )
            result = self.files.read_result()
            if code or result is None:
                raise TrainingFailed(f'ended with exit code {code} on this node')
        return result

    def _find_reason(self, code):
        with open(self.files.console, errors='replace') as console:
            reasons = _REASON.findall(console.read())
        reason = reasons[-1].removeprefix('error: ') if reasons else f'exit code {code}'
        return f'{reason} (see {self.files.console})'


def _describe(error: Exception) -> str:
    if isinstance(error, (TrainingFailed, FileNotFoundError, ValueError)):
        return str(error)
    return f'{type(error).__name__}: {error}'


def _end_with_parent() -> None:
    """Lets the kernel end a child whose parent was killed; else it would train on unwatched."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
