"""The files of a training run: its settings, its progress, and its result or failure."""

import contextlib
import dataclasses
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import IO

from ..utils.files import read_json, write_whole
from .file_lock import LockTaken, file_lock, is_locked
from .training_result import TrainingResult

# In a folder of its own, since mmengine writes an extended copy to the work directory.
_SETTINGS, _CONSOLE = 'settings/config.py', 'console.log'
_LOCK, _WORKER_LOCK = 'run.lock', 'worker.lock'
_OUR_IMPORT = re.compile(r"\s+'sapa_mm\.[\w.]+',")
#: Key in a run's settings: whether it is a small model in place of the paper's.
IS_SMALL = 'is_small'
#: Key in a run's settings: the test image whose prediction is kept.
PICTURED = 'pictured'
_PROGRESS, _FAILURE, _RESULT = 'progress.json', 'failure.txt', 'result.json'
_VALIDATIONS, _TEST = 'validations.json', 'test.json'


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        iteration (int): Iterations done.
        max_iters (int): Iterations to do.
        seconds_left (float | None): At the pace so far; None if unknown.
    """

    iteration: int
    max_iters: int
    seconds_left: float | None


class OtherSettings(ValueError):
    """A folder already has a run with other settings."""


class RunFiles:
    """The files of a run in its work directory, each written whole or not at all.

    Args:
        work_dir (str): The folder; created when something is written.
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
        """Write the run's settings, unless they are there already.

        Args:
            settings (str): The config's text.

        Raises:
            OtherSettings: If the folder has a run with other settings in it.
        """
        self.compare(settings)
        if self.read_settings() is None:
            self._write(_SETTINGS, settings)

    def compare(self, settings: str) -> None:
        """Compare settings with those of the run.

        Args:
            settings (str): The config's text.

        Raises:
            OtherSettings: If the run has settings, and they differ.
        """
        kept = self.read_settings()
        if kept is None:
            return
        if (difference := find_difference(_lines(kept), _lines(settings))) is not None:
            before, now = difference
            raise OtherSettings(
                f'{self.work_dir} has a run with other settings in it (see {_SETTINGS}: '
                f'{before}; now: {now}); remove it, or choose another folder'
            )

    def read_settings(self) -> str | None:
        """Read the run's settings; None if it was never started."""
        return self._read(_SETTINGS)

    @property
    def is_small(self) -> bool:
        """Whether a small model was trained in place of the paper's."""
        return f'{IS_SMALL}=True' in (self.read_settings() or '').splitlines()

    @contextlib.contextmanager
    def lock(self) -> Iterator[IO]:
        """Lock the run, so that no other process trains it; see ``file_lock``.

        Raises:
            LockTaken: If another process holds it, or workers are left of one that is gone.
        """
        with file_lock(self.path(_LOCK), wait=False) as lock:
            if is_locked(self.path(_WORKER_LOCK)):
                raise LockTaken(f'another process holds {self.path(_WORKER_LOCK)}')
            yield lock

    def worker_lock(self) -> contextlib.AbstractContextManager[IO]:
        """Lock the run in its first worker, which may outlive an srun that was killed."""
        # Waits: whoever asks whether it is locked locks it for a moment.
        return file_lock(self.path(_WORKER_LOCK))

    @property
    def is_locked(self) -> bool:
        """Whether a process is training the run."""
        return is_locked(self.path(_LOCK)) or is_locked(self.path(_WORKER_LOCK))

    def write_progress(self, progress: Progress) -> None:
        """Write the progress."""
        self._write(_PROGRESS, json.dumps(dataclasses.asdict(progress)))

    def read_progress(self) -> Progress | None:
        """Read the progress; None if training has not begun."""
        return self._read_record(Progress, _PROGRESS)

    def write_validations(self, validations: dict[int, dict[str, float]]) -> None:
        """Write the metrics of all validations so far, by iteration."""
        self._write(_VALIDATIONS, json.dumps(validations, indent=1))

    def read_validations(self) -> dict[int, dict[str, float]]:
        """Read the metrics of the validations, by iteration; none of a run that kept none."""
        if not os.path.isfile(self.path(_VALIDATIONS)):
            return {}
        content = read_json(self.path(_VALIDATIONS), 'out')
        return {int(iteration): metrics for iteration, metrics in content.items()}

    @property
    def prediction(self) -> str:
        """Path of the predicted labels of an image of the test set."""
        return self.path('prediction.png')

    def write_test(self, counts: dict) -> None:
        """Write what was counted in the test set; see ``count_pixels``."""
        self._write(_TEST, json.dumps(counts))

    def read_test(self) -> dict:
        """Read what was counted in the test set."""
        return read_json(self.path(_TEST), 'out')

    def write_failure(self, reason: str) -> None:
        """Write why the run failed."""
        self._write(_FAILURE, reason + '\n')

    def read_failure(self) -> str | None:
        """Read why the run failed, or None."""
        text = self._read(_FAILURE)
        return text and text.strip()

    def clear_failure(self) -> None:
        """Remove the failure, since the run starts again or resumes."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path(_FAILURE))

    def write_result(self, result: TrainingResult) -> None:
        """Write the result, which marks the run as finished."""
        self._write(_RESULT, json.dumps(dataclasses.asdict(result), indent=1))

    def read_result(self) -> TrainingResult | None:
        """Read the result; None if the run is not finished."""
        return self._read_record(TrainingResult, _RESULT)

    def _read_record(self, kind, name):
        if not os.path.isfile(self.path(name)):
            return None
        content = read_json(self.path(name), 'out')
        keys = [field.name for field in dataclasses.fields(kind)]
        if not isinstance(content, dict) or sorted(content) != sorted(keys):
            raise ValueError(f'out: {self.path(name)} must have {", ".join(keys)} and nothing else')
        return kind(**content)

    def _read(self, name):
        try:
            with open(self.path(name)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _write(self, name, text):
        write_whole(self.path(name), text)


def find_difference(before: list[str], now: list[str]) -> tuple[str, str] | None:
    """Find the first of the lines of settings that differ; None if none do."""
    lines = itertools.zip_longest(before, now, fillvalue='nothing')
    return next(((one.strip(), other.strip()) for one, other in lines if one != other), None)


def _lines(settings: str) -> list[str]:
    """The lines of settings without imports of our modules, which differ between versions."""
    return [line for line in settings.splitlines() if not _OUR_IMPORT.fullmatch(line)]
