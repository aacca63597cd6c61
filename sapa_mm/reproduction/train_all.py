"""Train runs one after another and print their progress; several processes may share them."""

import contextlib
import datetime
import shlex
import statistics
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..utils.text import printable
from .file_lock import LockTaken
from .launcher import Launcher
from .run_files import Progress
from .training_result import TrainingResult
from .training_run import TrainingRun, describe_error

_SECONDS_BETWEEN_LINES = 30.0
_SECONDS_BETWEEN_ROUNDS = 2.0


def train_all(
    runs: Sequence[TrainingRun],
    launcher: Launcher | None = None,
    on_result: Callable[[TrainingRun, TrainingResult], None] | None = None,
) -> list[str]:
    """Train one run after another; the others go on if one fails.

    Several processes, on machines that share the folder, may do so at once. Each skips runs that
    another process is training, and returns to them at the end until all are finished or
    failed. If that process is killed, its run is resumed here. No process tries a run twice.

    Prints the current run, its progress and the time left.

    Args:
        runs (Sequence[TrainingRun]): The runs.
        launcher (Launcher, optional): Starts each run. Defaults to one process.
        on_result (Callable, optional): Called with each finished run and its result, whichever
            process trained it. Defaults to None.

    Returns:
        list[str]: An error message for each run that failed here.
    """
    failures, durations = [], []
    waiting, is_first_round = list(enumerate(runs, 1)), True
    while waiting:
        taken = []
        for index, (number, run) in enumerate(waiting):
            if not is_first_round and run.files.is_locked:
                taken.append((number, run))
                continue
            state = run.state
            print(f'Run {number} of {len(runs)}: {run.title}: {state}', flush=True)
            start = time.monotonic()
            others = sum(_is_to_be_trained(other) for _, other in waiting[index + 1 :])
            try:
                with _ProgressPrinter(others, durations) as printer:
                    result = run.train(launcher, printer)
                if on_result is not None:
                    on_result(run, result)
            except LockTaken:
                print('  skipped for now: another process holds it', flush=True)
                taken.append((number, run))
            except Exception as error:
                # A config is Python: it may raise anything, and the other runs go on.
                failures.append(f'{run.title}: {describe_error(error)}')
                print(f'  failed: {printable(failures[-1])}', flush=True)
            else:
                if state != 'finished':
                    durations.append(time.monotonic() - start)
        if taken and is_first_round:
            titles = '; '.join(run.title for _, run in taken)
            print(f'Waiting for runs of other processes: {titles}', flush=True)
        waiting, is_first_round = taken, False
        if waiting:
            time.sleep(_SECONDS_BETWEEN_ROUNDS)
    return failures


def list_commands(
    runs: Sequence[TrainingRun], program: Sequence[str], options: Sequence[str] = ()
) -> list[str]:
    """List the command of each run that is not finished, for a scheduler to start.

    Args:
        runs (Sequence[TrainingRun]): The runs, which have a ``selection``.
        program (Sequence[str]): The program and its subcommands.
        options (Sequence[str]): Further options of each command. Defaults to none.

    Returns:
        list[str]: The commands, quoted for a shell.
    """
    return [
        shlex.join([*program, *run.selection, *options]) for run in runs if run.state != 'finished'
    ]


def _is_to_be_trained(run: TrainingRun) -> bool:
    return not run.files.is_locked and run.state != 'finished'


class _ProgressPrinter(contextlib.AbstractContextManager):
    """Shows progress: a live line on a terminal, a line now and then in a log file.

    Args:
        others (int): Number of runs after this one.
        durations (list[float]): Seconds that each run before it took.
    """

    def __init__(self, others: int, durations: list[float]) -> None:
        self._others, self._durations = others, durations
        self._start = self._printed = time.monotonic()
        self._console = Console(highlight=False, soft_wrap=True)
        is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False) if is_live else None

    def __exit__(self, *_) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        line = f'  iteration {progress.iteration:,} of {progress.max_iters:,}'
        if progress.seconds_left is not None:
            whole = now - self._start + progress.seconds_left
            each = statistics.mean([*self._durations, whole])
            line += f', {_format_seconds(progress.seconds_left)} left'
            line += f'; {_format_seconds(progress.seconds_left + self._others * each)} for all runs'
        if self._live:
            self._live.start()
            self._live.update(Text(line, no_wrap=True, overflow='ellipsis'), refresh=True)
        elif now - self._printed >= _SECONDS_BETWEEN_LINES:
            self._printed = now
            self._console.print(line)


def _format_seconds(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
