"""The files by which runs are known: what was asked for, how far it is, what came of it."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from typing import IO

from ..analysis.training_result import TrainingResult
from ..whole_file import whole_file

# In a folder of its own: mmengine writes its copy, with more in it, to the work directory.
_SETTINGS, _CONSOLE, _LOCK = 'settings/config.py', 'console.log', 'run.lock'
_PROGRESS, _FAILURE, _RESULT = 'progress.json', 'failure.txt', 'result.json'


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        iteration (int): Iterations done.
        max_iters (int): Iterations to do.
        seconds_left (float | None): At the pace so far; None where it is not known.
    """

    iteration: int
    max_iters: int
    seconds_left: float | None


class OtherSettings(ValueError):
    """A folder has a run with other settings in it."""


class RunFiles:
    """The files of one run in its work directory. All appear complete or not at all.

    Args:
        work_dir (str): The folder; made when something is written.
    """

    def __init__(self, work_dir: str) -> None:
        self.work_dir = work_dir

    def path(self, name: str) -> str:
        """The path of a file."""
        return os.path.join(self.work_dir, name)

    @property
    def settings(self) -> str:
        """Path of the run's whole config."""
        return self.path(_SETTINGS)

    @property
    def console(self) -> str:
        """Path of what the run printed."""
        return self.path(_CONSOLE)

    def claim(self, settings: str) -> None:
        """Writes the run's config, unless it is there already.

        Args:
            settings (str): The config's text.

        Raises:
            OtherSettings: If the folder has a run with other settings in it.
        """
        found = self._read(_SETTINGS)
        if found is None:
            self._write(_SETTINGS, settings)
        elif found != settings:
            raise OtherSettings(
                f'{self.work_dir} has a run with other settings in it (see {_SETTINGS}); remove '
                'it, or choose another folder'
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[IO]:
        """Keeps other processes from the same run: they wait here.

        Yields:
            file: Processes that inherit it keep the lock, too.
        """
        os.makedirs(self.work_dir, exist_ok=True)
        with open(self.path(_LOCK), 'w') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    @property
    def is_locked(self) -> bool:
        """Whether a process is at the run."""
        if not os.path.isfile(self.path(_LOCK)):
            return False
        with open(self.path(_LOCK)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def write_progress(self, progress: Progress) -> None:
        """Keeps how far the run is."""
        self._write(_PROGRESS, json.dumps(dataclasses.asdict(progress)))

    def read_progress(self) -> Progress | None:
        """How far the run is; None if it has not begun."""
        text = self._read(_PROGRESS)
        return text and Progress(**json.loads(text))

    def write_failure(self, reason: str) -> None:
        """Keeps why the run failed."""
        self._write(_FAILURE, reason + '\n')

    def read_failure(self) -> str | None:
        """Why the run failed; None if it did not."""
        text = self._read(_FAILURE)
        return text and text.strip()

    def clear_failure(self) -> None:
        """Forgets a failure: the run begins anew or goes on."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path(_FAILURE))

    def write_result(self, result: TrainingResult) -> None:
        """Keeps what came of the run, which is finished with it."""
        self._write(_RESULT, json.dumps(dataclasses.asdict(result), indent=1))

    def read_result(self) -> TrainingResult | None:
        """What came of the run; None if it is not finished."""
        text = self._read(_RESULT)
        return text and TrainingResult(**json.loads(text))

    def _read(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _write(self, name, text):
        with whole_file(self.path(name)) as partial, open(partial, 'w') as file:
            file.write(text)
