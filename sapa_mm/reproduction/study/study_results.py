"""The small files of a study: its settings, and a result of each run."""

import dataclasses
import json
import os
import shutil
import statistics
from collections.abc import Iterator, Sequence

from ...utils.files import read_json, whole_file, write_whole
from ..run_files import OtherSettings, find_difference
from ..training_result import MeanOverSeeds, TrainingResult
from .pixel_counts import PixelCounts
from .studies import Study, StudyRow

_SETTINGS, _COSTS = 'settings.txt', 'costs.json'
_DATA = '# '  # before a line of settings that is of the data or of pretrained weights


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """The result of a run.

    Attributes:
        upsampler (str): The upsampler's title.
        variant (str): What distinguishes it from the upsampler's other rows.
        seed (int): The random seed.
        settings (dict): The options of the upsampler, all of them, the iterations, and the other
            settings of the row.
        initial_weights (str): SHA-256 of the initial weights.
        training (TrainingResult): Metrics of the last validation, and costs.
        validations (dict[int, dict[str, float]]): Metrics of all validations, by iteration.
        test (PixelCounts): What the last checkpoint predicts of the test set.
    """

    upsampler: str
    variant: str
    seed: int
    settings: dict
    initial_weights: str
    training: TrainingResult
    validations: dict[int, dict[str, float]]
    test: PixelCounts

    def to_json(self) -> dict:
        """What ``from_json`` reads."""
        parts = {'training': vars(self.training), 'test': self.test.to_json()}
        return {**vars(self), **parts}

    @classmethod
    def from_json(cls, content: dict) -> 'StudyResult':
        """Read what ``to_json`` gave."""
        return cls(
            **{
                **content,
                'training': TrainingResult(**content['training']),
                'validations': {int(at): m for at, m in content['validations'].items()},
                'test': PixelCounts.from_json(content['test']),
            }
        )


#: Results by row and seed.
Results = dict[StudyRow, dict[int, StudyResult]]


@dataclasses.dataclass(frozen=True)
class StudyRecord:
    """What is on record of a study.

    Attributes:
        results (dict): The results by row and seed; rows without a result are left out.
        settings (str): What all runs have in common; '' if there are none.
        seconds (dict[StudyRow, float]): Time of a training step of each row, with one thread.
        timing (str): How that was measured: in turns, or during the runs.
    """

    results: Results
    settings: str
    seconds: dict[StudyRow, float]
    timing: str

    @property
    def compared(self) -> dict[str, dict[int, StudyResult]]:
        """By title, the results of rows that have several seeds."""
        return {row.title: runs for row, runs in self.results.items() if len(row.seeds) > 1}

    @property
    def measures(self) -> list[str]:
        """See ``PixelCounts``; the last one is of the boundaries."""
        return next(iter(next(iter(self.results.values())).values())).test.measures


class StudyFolder:
    """The folder of a study's results.

    Args:
        out (str): The folder of all studies.
        study (Study): The study.
    """

    def __init__(self, out: str, study: Study) -> None:
        self.folder = os.path.join(out, study.name)
        self.study = study

    @property
    def settings(self) -> str | None:
        """What all runs have in common, or None if there are no results."""
        try:
            with open(os.path.join(self.folder, _SETTINGS)) as file:
                return file.read()
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise NotADirectoryError(f'out: {self.folder} is not a folder') from error

    def keep_costs(self, costs: dict) -> None:
        """Write the times of training steps; see ``time_study``."""
        write_whole(os.path.join(self.folder, _COSTS), json.dumps(costs, indent=1) + '\n')

    def read_costs(self) -> tuple[dict[str, float], str] | None:
        """Read the seconds of a step by title, and how they were measured; None if they were not.

        Raises:
            ValueError: If the file is damaged.
        """
        path = os.path.join(self.folder, _COSTS)
        if not os.path.isfile(path):
            return None
        costs = read_json(path, 'out')
        try:
            seconds = {title: float(step['seconds']) for title, step in costs['steps'].items()}
            load = max(costs['load_average'])
            return seconds, f'in turns, one thread of {costs["device"]}, load average {load:.1f}'
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'out: {path} has no times of steps: {error}') from error

    def claim(self, settings: str) -> None:
        """Write the settings, unless they are there already.

        Raises:
            OtherSettings: If there are others.
        """
        self.compare(settings, 'asked for')
        if self.settings is None:
            write_whole(os.path.join(self.folder, _SETTINGS), settings)

    def compare(self, settings: str, what: str) -> None:
        """Compare settings with those of the folder, if it has any.

        Args:
            settings (str): The settings; those of the config alone are compared with these alone.
            what (str): What the error calls them.

        Raises:
            OtherSettings: If they differ.
        """
        if self.settings is None:
            return
        kept, now = (text.splitlines() for text in (self.settings, settings))
        if not now[0].startswith(_DATA):
            kept = [line for line in kept if not line.startswith(_DATA)]
        difference = find_difference(kept, now)
        if difference is not None:
            before, now = difference
            raise OtherSettings(
                f'out: {self.folder} has results of other settings ({before}; {what}: {now}); '
                'choose another folder'
            )

    def compare_weights(self, seed: int, weights: str) -> None:
        """Compare initial weights with those of the results of a seed.

        Args:
            seed (int): The seed.
            weights (str): SHA-256 of the initial weights.

        Raises:
            OtherSettings: If they differ.
        """
        for row in self.study.rows:
            kept = self.read(row, seed)
            if kept is not None and kept.initial_weights != weights:
                raise OtherSettings(
                    f'out: {self.path(row, seed)} starts from other weights '
                    f'({kept.initial_weights[:12]}) than this machine makes of seed {seed} '
                    f'({weights[:12]}), and cannot be paired; choose another folder'
                )

    def path(self, row: StudyRow, seed: int, suffix: str = '.json') -> str:
        """The file of a result, or with '.png' of a prediction."""
        return os.path.join(self.folder, f'{row.name}_seed-{seed}{suffix}')

    def read(self, row: StudyRow, seed: int) -> StudyResult | None:
        """Read a result; None if there is none.

        Raises:
            ValueError: If the file is damaged, or of another run.
        """
        path = self.path(row, seed)
        if not os.path.isfile(path):
            return None
        content = read_json(path, 'out')
        try:
            result = StudyResult.from_json(content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'out: {path} is no result of a study: {error}') from error
        of = result.upsampler, result.variant, result.seed
        if of != (row.upsampler, row.variant, seed):
            raise ValueError(
                f'out: {path} has the result of {", ".join(filter(None, map(str, of)))}'
            )
        return result

    def keep(self, row: StudyRow, result: StudyResult, picture: str) -> None:
        """Write a result, and the prediction of a row's first seed.

        Args:
            row (StudyRow): The row.
            result (StudyResult): The result.
            picture (str): The file of the prediction.
        """
        if result.seed == row.seeds[0] and os.path.isfile(picture):
            with whole_file(self.path(row, result.seed, '.png')) as partial:
                shutil.copyfile(picture, partial)
        write_whole(self.path(row, result.seed), _format(result.to_json()) + '\n')


def _format(content: dict) -> str:
    """JSON with a line for each key, and one for each block of counts."""
    lines = []
    for key, value in content.items():
        if key == 'test':
            blocks = ',\n   '.join(json.dumps(block) for block in value['counts'])
            rest = json.dumps({k: v for k, v in value.items() if k != 'counts'})
            text = f'{rest[:-1]}, "counts": [\n   {blocks}]}}'
        else:
            text = json.dumps(value)
        lines.append(f'  {json.dumps(key)}: {text}')
    return '{\n' + ',\n'.join(lines) + '\n}'


def read_results(folders: Sequence[str], study: Study, configs: str) -> StudyRecord:
    """Read the results of a study from several folders, such as those of several machines.

    Args:
        folders (Sequence[str]): The folders of all studies; the first that has a run counts.
        study (Study): The study.
        configs (str): Folder of the configs, whose settings the rows must have.

    Returns:
        StudyRecord: What is there.

    Raises:
        OSError: If there is no such folder, or a config is missing.
        OtherSettings: If the folders differ in their settings, runs of a row in theirs, or runs of
            a seed in their initial weights.
        ValueError: If a file is damaged, or one of another run, or there are results without
            settings.
    """
    if missing := [out for out in folders if not os.path.isdir(out)]:
        raise FileNotFoundError(f'out: {missing[0]} is not a folder')
    results: Results = {row: {} for row in study.rows}
    initial: dict[int, tuple[str, str]] = {}
    with_results: list[StudyFolder] = []
    for folder in (StudyFolder(out, study) for out in folders):
        found = {run: result for run in _runs(study) if (result := folder.read(*run)) is not None}
        if folder.settings is None:
            if found:
                raise ValueError(f'out: {folder.folder} has results, but no {_SETTINGS}')
            continue
        with_results.append(folder)
        with_results[0].compare(folder.settings, f'in {folder.folder}')
        wanted = {row: row.own_settings(configs) for row in {row for row, _ in found}}
        for (row, seed), result in found.items():
            own = folder.path(row, seed), result.initial_weights
            for other in (
                {**result.settings, **wanted[row]},
                *(r.settings for r in results[row].values()),
            ):
                check_same_row(other, result.settings, own[0])
            path, weights = initial.setdefault(seed, own)
            if weights != result.initial_weights:
                raise OtherSettings(
                    f'out: {own[0]} and {path} start from other weights '
                    f'({result.initial_weights[:12]} and {weights[:12]}), and cannot be paired'
                )
            results[row].setdefault(seed, result)
    results = {row: by_seed for row, by_seed in results.items() if by_seed}
    costs = next((costs for folder in with_results if (costs := folder.read_costs())), None)
    settings = (with_results[0].settings or '') if with_results else ''
    return StudyRecord(results, settings, *_step_seconds(results, costs))


def _step_seconds(
    results: Results, costs: tuple[dict[str, float], str] | None
) -> tuple[dict[StudyRow, float], str]:
    seconds, text = costs or ({}, '')
    if all(row.title in seconds for row in results):
        return {row: seconds[row.title] for row in results}, text
    return {
        row: statistics.median(run.training.seconds_per_iteration for run in runs.values())
        for row, runs in results.items()
    }, 'medians of the runs, beside other work'


def check_same_row(kept: dict, settings: dict, path: str) -> None:
    """Check that a row's runs have the same settings.

    Args:
        kept (dict): Those of a result.
        settings (dict): Those of another, or those asked for.
        path (str): The file that has one of them.

    Raises:
        OtherSettings: If they differ.
    """
    # As files have them, which know no tuples.
    kept, settings = (json.loads(json.dumps(one)) for one in (kept, settings))
    for key in [*kept, *settings]:
        if kept.get(key) != settings.get(key):
            raise OtherSettings(
                f'out: {path}: runs of one row have {key} {kept.get(key)} and {settings.get(key)}; '
                'choose another folder'
            )


def titled(measure: str) -> str:
    """The title of the mean over the classes of a measure, such as 'bIoU, 3 px'."""
    distance, _, kind = measure.rpartition('/')
    title = 'mIoU' if kind == 'IoU' else kind
    return f'{title}, {distance.removesuffix("px")} px' if distance else title


def mean_of(
    runs: dict[int, StudyResult], measure: str, sequence: str | None = None
) -> MeanOverSeeds:
    """The mean of a measure over the classes, averaged over the seeds."""
    return MeanOverSeeds.of([run.test.mean(measure, sequence) for run in runs.values()])


def _runs(study: Study) -> Iterator[tuple[StudyRow, int]]:
    return ((row, seed) for row in study.rows for seed in row.seeds)
