"""Training runs one after another, with their progress."""

import datetime
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from .failure import describe
from .launcher import Launcher
from .nodes import FirstNode
from .run_files import Progress
from .training_result import TrainingResult
from .training_run import TrainingRun

_SECONDS_BETWEEN_LINES = 30.0


def train_all(
    runs: Sequence[TrainingRun],
    launcher: Launcher | None = None,
    on_result: Callable[[TrainingRun, TrainingResult], None] | None = None,
    first_node: FirstNode | None = None,
) -> list[str]:
    """Trains one after another; one that fails does not keep the others from running.

    Prints which run it is, how far, and how long still.

    Args:
        runs (Sequence[TrainingRun]): The runs.
        launcher (Launcher, optional): How to start each. Defaults to one process.
        on_result (Callable, optional): Called with each run that is finished, and its result.
            Defaults to None.
        first_node (FirstNode, optional): Calls other nodes to take part. Defaults to None.

    Returns:
        list[str]: What went wrong, a line for each run that failed.
    """
    failures, durations = [], []
    for number, run in enumerate(runs, 1):
        done = run.state
        print(f'Run {number} of {len(runs)}: {run.title}: {done}', flush=True)
        start = time.monotonic()
        others = [one for one in runs[number:] if one.state != 'finished']
        printer = _ProgressPrinter(len(others), durations, start)
        try:
            result = run.train(launcher, printer, first_node)
        except Exception as error:
            # A config is Python: it may raise anything, and the other runs go on.
            printer.end()
            failures.append(f'{run.title}: {describe(error)}')
            print(f'  failed: {failures[-1]}', flush=True)
            continue
        printer.end()
        if done != 'finished':
            durations.append(time.monotonic() - start)
        if on_result is not None:
            on_result(run, result)
    return failures


class _ProgressPrinter:
    """Prints progress: on a terminal in one line, else a line now and then."""

    def __init__(self, others: int, durations: list[float], start: float) -> None:
        self._others, self._durations, self._start = others, durations, start
        self._terminal = sys.stdout.isatty()
        self._printed = start
        self._open = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if not self._terminal and now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        line = f'  iteration {progress.iteration:,} of {progress.max_iters:,}'
        if progress.seconds_left is not None:
            whole = now - self._start + progress.seconds_left
            each = statistics.mean([*self._durations, whole])
            line += f', {_format(progress.seconds_left)} left'
            line += f'; {_format(progress.seconds_left + self._others * each)} for all runs'
        # Back to the start of the line, and clear it.
        print(f'\r\x1b[K{line}' if self._terminal else line, end='', flush=True)
        self._open = True
        if not self._terminal:
            self.end()

    def end(self) -> None:
        if self._open:
            print(flush=True)
        self._open = False


def _format(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
