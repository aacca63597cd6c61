"""The training runs of the paper's tables: listed, as commands for a scheduler, or trained."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..utils.files import check_writable
from .generated_data import data_folder, make_missing_data
from .launcher import Launcher
from .paper_tables import PaperRow, PaperTable
from .run_files import RunFiles
from .small_models import stand_in, stand_in_recipe
from .train_all import train_all
from .training_run import TrainingRun

_SEED = 'seed-'
#: Two are kept, so that a run whose last checkpoint is incomplete resumes from the one before.
_CHECKPOINTS = {'default_hooks.checkpoint.max_keep_ckpts': 2}


@dataclass(frozen=True)
class Scenes:
    """Small models on generated data, which stand in for the paper's configs.

    Attributes:
        data_root (str | None): Folder of the data, which must then be of one kind; None for a
            folder of each kind in ``data``.
        iterations (int): Training iterations of each, 2 or more.

    Raises:
        ValueError: If ``iterations`` is less than 2.
    """

    data_root: str | None
    iterations: int

    def __post_init__(self):
        if self.iterations < 2:
            raise ValueError(f'iterations must be 2 or more, got {self.iterations}')

    def folder(self, kind: str) -> str:
        """The folder of a kind of data, such as 'scenes'."""
        return data_folder(self.data_root, kind)


@dataclass(frozen=True)
class TableSettings:
    """How to run the tables.

    Attributes:
        configs (str): Folder of the configs.
        out (str): Folder of the results.
        scenes (Scenes | None): None for the paper's own models and datasets. Defaults to None.
        amp (bool): Whether to train with automatic mixed precision. Defaults to False.
        cfg_options (dict): Settings to override in all configs. Defaults to none.
    """

    configs: str
    out: str
    scenes: Scenes | None = None
    amp: bool = False
    cfg_options: dict = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RowRun(TrainingRun):
    """A run of a row; its config is read only when it starts, so that a bad one fails alone.

    Attributes:
        table (PaperTable): The first of the tables that have the row.
        row (PaperRow): The row.
        seed (int): The random seed.
        settings (TableSettings): How it is run.
    """

    table: PaperTable
    row: PaperRow
    seed: int
    settings: TableSettings

    def recipe(self) -> tuple[str, dict]:
        """The paper's config or its stand-in, and the settings to override."""
        configs, scenes = self.settings.configs, self.settings.scenes
        if scenes is None:
            return super().recipe()
        data_root = scenes.folder(stand_in(self.row.config).kind)
        config, options = stand_in_recipe(configs, self.row.config, data_root, scenes.iterations)
        return config, {**options, **self.cfg_options}

    @property
    def selection(self) -> list[str]:
        """The options of the tool that select this run."""
        number = self.table.rows.index(self.row) + 1
        return ['--table', f'{self.table.number}', '--rows', f'{number}', '--seeds', f'{self.seed}']

    def other_seeds(self) -> dict[int, RunFiles]:
        """The files of the row's runs with other seeds."""
        runs = runs_on_disk(self.settings.out, self.row)
        return {seed: r.files for seed, r in runs.items() if r.work_dir != self.work_dir}


def row_dir(out: str, row: PaperRow) -> str:
    """The folder of a row's runs; tables that share a row share it.

    Args:
        out (str): Folder of the results.
        row (PaperRow): The row.

    Returns:
        str: The folder, in which each seed has one.
    """
    return os.path.join(out, os.path.splitext(os.path.basename(row.config))[0])


def list_runs(
    tables: Sequence[PaperTable],
    rows: Sequence[str],
    seeds: Sequence[int],
    settings: TableSettings,
) -> list[RowRun]:
    """List the runs of tables. A row that several tables share is listed once.

    Args:
        tables (Sequence[PaperTable]): The tables.
        rows (Sequence[str]): Which rows: their numbers in the table, from 1 on, or names of
            upsamplers. Empty for all.
        seeds (Sequence[int]): The random seeds.
        settings (TableSettings): How they are run.

    Returns:
        list[RowRun]: The runs, all rows with the first seed first.

    Raises:
        OSError: If the folder of the results cannot be written to.
        ValueError: If a table has no such row, or one folder is given for several kinds of data.
    """
    check_writable(settings.out, 'out', is_folder=True)
    runs = {}
    for seed in seeds:
        for table in tables:
            for row in select_rows(table, rows):
                work_dir = os.path.join(row_dir(settings.out, row), f'{_SEED}{seed}')
                run = RowRun(
                    title=f'{row.title}, seed {seed}',
                    config=os.path.join(settings.configs, row.config),
                    work_dir=work_dir,
                    cfg_options={**_CHECKPOINTS, **settings.cfg_options, 'randomness.seed': seed},
                    auto_scale_lr=True,
                    amp=settings.amp,
                    is_small=settings.scenes is not None,
                    table=table,
                    row=row,
                    seed=seed,
                    settings=settings,
                )
                runs.setdefault(work_dir, run)
    kinds = _data_kinds(runs.values())
    if settings.scenes is not None and settings.scenes.data_root and len(kinds) > 1:
        raise ValueError(
            f'data_root: the rows need {" and ".join(kinds)}, each in a folder of its own; choose '
            'tables of one kind, or leave it out'
        )
    return list(runs.values())


def _data_kinds(runs: Iterable[RowRun]) -> list[str]:
    return sorted({stand_in(run.row.config).kind for run in runs})


def select_rows(table: PaperTable, rows: Sequence[str]) -> list[PaperRow]:
    """Select rows of a table; see ``list_runs``."""
    if not rows:
        return list(table.rows)
    keys = [{str(number), row.upsampler.lower()} for number, row in enumerate(table.rows, 1)]
    unknown = [name for name in rows if name.lower() not in set().union(*keys)]
    if unknown:
        names = sorted({row.upsampler for row in table.rows})
        raise ValueError(
            f'rows: Table {table.number} has no row {", ".join(unknown)}; allowed are 1 to '
            f'{len(table.rows)}, {", ".join(names)}'
        )
    selected = {name.lower() for name in rows}
    return [row for row, row_keys in zip(table.rows, keys, strict=True) if row_keys & selected]


def runs_on_disk(out: str, row: PaperRow) -> dict[int, TrainingRun]:
    """Find the runs of a row.

    Args:
        out (str): Folder of the results.
        row (PaperRow): The row.

    Returns:
        dict[int, TrainingRun]: By seed.
    """
    folder = row_dir(out, row)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    seeds = sorted(int(m[1]) for name in names if (m := re.fullmatch(rf'{_SEED}(\d+)', name)))
    return {
        seed: TrainingRun(row.title, row.config, os.path.join(folder, f'{_SEED}{seed}'))
        for seed in seeds
    }


def list_tables(tables: Sequence[PaperTable], out: str) -> str:
    """List tables with their rows, configs, and the state of their runs.

    Args:
        tables (Sequence[PaperTable]): The tables.
        out (str): Folder of the results.

    Returns:
        str: The list.
    """
    lines = []
    for table in tables:
        lines.append(f'Table {table.number}: {table.title}')
        width = max(len(row.title) for row in table.rows)
        for number, row in enumerate(table.rows, 1):
            states = [f'seed {seed}: {r.state}' for seed, r in runs_on_disk(out, row).items()]
            lines.append(f'  {number:2}  {row.title:{width}}  {row.config}')
            lines += [f'        {state}' for state in states]
        lines.append('')
    return '\n'.join(lines)


def run_tables(
    tables: Sequence[PaperTable],
    rows: Sequence[str],
    seeds: Sequence[int],
    settings: TableSettings,
    launcher: Launcher,
) -> list[str]:
    """Train the rows of tables, one after another; see ``train_all``.

    Args:
        tables (Sequence[PaperTable]): The tables.
        rows (Sequence[str]): Which rows, see ``list_runs``.
        seeds (Sequence[int]): The random seeds.
        settings (TableSettings): How they are run. Generated data is made where it is missing.
        launcher (Launcher): How the processes are started.

    Returns:
        list[str]: An error message for each run that failed.

    Raises:
        OSError: If the launcher's program is missing, or a folder cannot be written to.
        ValueError: See ``list_runs``.
    """
    launcher.check_program()
    runs = list_runs(tables, rows, seeds, settings)
    if settings.scenes is not None:
        for kind in _data_kinds(runs):
            make_missing_data(settings.scenes.folder(kind), kind)
    return train_all(runs, launcher)
