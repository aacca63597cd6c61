"""A training run of a config, in processes that may be killed at any moment."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mmengine.config import Config
from torch import nn

from ..engine.resume import set_damaged_aside
from ..engine.training import prepare_training, use_amp
from ..utils.text import printable
from .launcher import Launcher, child_process, find_reason
from .run_files import IS_SMALL, PICTURED, OtherSettings, Progress, RunFiles
from .training_result import TrainingResult, train_and_measure

_WORKER = 'sapa_mm.reproduction.worker'
_POLL_SECONDS = 0.2

OnProgress = Callable[[Progress], None]


class TrainingFailed(RuntimeError):
    """A training run ended with an error."""


def describe_error(error: Exception) -> str:
    """Describe an error in a few words.

    Args:
        error (Exception): The error.

    Returns:
        str: Its message; after the name of its class, unless the message is meant for users.
    """
    text = str(error)
    if text and isinstance(error, (TrainingFailed, FileNotFoundError, ValueError)):
        return text
    return f'{type(error).__name__}: {text}'


@dataclass(frozen=True)
class TrainingRun:
    """A training run.

    Attributes:
        title (str): Its name in messages.
        config (str): The config file, which validates at the end of its training.
        work_dir (str): Folder for its files.
        cfg_options (dict): Settings to override. Defaults to none.
        auto_scale_lr (bool): Whether mmengine scales the learning rate to the actual batch size.
            Defaults to False.
        amp (bool): Whether to train with automatic mixed precision. Defaults to False.
        is_small (bool): Whether it is a small model in place of the paper's; part of its settings.
            Defaults to False.
        pictured (str | None): For a segmentor: name of a test image, without suffix, whose
            prediction is kept when the last checkpoint is tested, which is done once, at the end.
            Defaults to None, for no test.
    """

    title: str
    config: str
    work_dir: str
    cfg_options: dict = field(default_factory=dict)
    auto_scale_lr: bool = False
    amp: bool = False
    is_small: bool = False
    pictured: str | None = None

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
            return f'failed: {printable(failure.splitlines()[0])}'
        progress = self.files.read_progress()
        if progress:
            what = 'running, at' if self.files.is_locked else 'stopped at'
            return f'{what} iteration {progress.iteration:,} of {progress.max_iters:,}'
        return 'running' if self.files.is_locked else 'not run'

    @property
    def selection(self) -> list[str]:
        """The options of a tool that select this run; none unless overridden."""
        return []

    def recipe(self) -> tuple[str, dict]:
        """The config file, and the settings to override.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a config cannot be read.
        """
        return self.config, self.cfg_options

    def other_seeds(self) -> Mapping[int, RunFiles]:
        """The files of runs that differ in the seed only, by seed; none unless overridden."""
        return {}

    def train(
        self, launcher: Launcher | None = None, on_progress: OnProgress | None = None
    ) -> TrainingResult:
        """Train in separate processes.

        A finished run is not repeated; an interrupted one resumes from its last checkpoint.

        Args:
            launcher (Launcher, optional): Starts the processes. Defaults to one process.
            on_progress (Callable, optional): Called with the progress. Defaults to None.

        Returns:
            TrainingResult: The result.

        Raises:
            LockTaken: If another process holds the run.
            FileNotFoundError: If the config or data is missing.
            ValueError: If the config is wrong, or this run or one of its other seeds was started
                with other settings.
            TrainingFailed: If the training ended with an error.
        """
        with self.files.lock() as lock:
            try:
                return self._train_locked(launcher or Launcher(), on_progress, lock)
            except OtherSettings:
                raise  # the run itself has not failed
            except Exception as error:
                # A config is Python: it may raise anything.
                result = self.files.read_result()
                if result is not None:
                    return result  # finished before its config or data went missing
                self.files.write_failure(describe_error(error))
                raise

    def _train_locked(self, launcher, on_progress, lock):
        settings = self._settings(launcher)
        for seed, files in self.other_seeds().items():
            files.compare(_format(settings, seed))
        self.files.claim(_format(settings))
        result = self.files.read_result()
        if result is None:
            self.files.clear_failure()
            result = self._start(launcher, on_progress, lock)
        return result

    def train_here(self) -> tuple[nn.Module, TrainingResult]:
        """Train in this process, from the start.

        Returns:
            tuple[nn.Module, TrainingResult]: The trained model and the result.

        Raises:
            FileNotFoundError: If the config or data is missing.
            ValueError: If the config is wrong.
        """
        return train_and_measure(self._prepare())

    def _prepare(self, is_elsewhere: bool = False, **cfg_options) -> Config:
        config, own_options = self.recipe()
        cfg = prepare_training(
            config,
            work_dir=self.work_dir,
            auto_scale_lr=self.auto_scale_lr,
            amp=self.amp and not is_elsewhere,
            cfg_options={**own_options, **cfg_options},
        )
        if self.amp and is_elsewhere:
            use_amp(cfg)  # whatever this machine has
        return cfg

    def _settings(self, launcher: Launcher) -> dict:
        """The whole config and the number of processes, without work directory and launcher."""
        # The batch size, and with it the learning rate, follow from the number of processes. The
        # worker decides whether to resume; that is not part of the settings.
        own = {'processes': launcher.world_size, 'resume': False}
        settings = self._prepare(launcher.kind == 'slurm', **own).to_dict()
        for key in ('work_dir', 'launcher'):
            del settings[key]
        own = {} if self.pictured is None else {PICTURED: self.pictured}
        return {**settings, IS_SMALL: self.is_small, **own}

    def _start(self, launcher, on_progress, lock):
        # A run that was killed in its first save has no other checkpoint and starts anew.
        set_damaged_aside(self.work_dir)
        command = launcher.command(_WORKER, [self.work_dir])
        with open(self.files.console, 'ab') as console:
            start = console.tell()
            # The process inherits the lock, so that the run stays locked while it trains.
            with child_process(
                command, stdout=console, stderr=subprocess.STDOUT, pass_fds=[lock.fileno()]
            ) as process:
                self._watch(process, on_progress)
        result = self.files.read_result()
        if process.returncode or result is None:
            reason = self.files.read_failure()
            if reason is None:
                reason = find_reason(self._read_output(start), process.returncode)
            raise TrainingFailed(f'{reason} (see {self.files.console})')
        return result

    def _read_output(self, start):
        with open(self.files.console, 'rb') as console:
            console.seek(start)
            return console.read().decode(errors='replace')

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


def _format(settings: dict, seed: int | None = None) -> str:
    """Format settings as text, with another seed if one is given."""
    if seed is not None:
        settings = {**settings, 'randomness': {**settings['randomness'], 'seed': seed}}
    # The output of a code formatter would depend on its version.
    return Config(settings, format_python_code=False).pretty_text
