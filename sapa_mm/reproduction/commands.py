"""The commands of ``tools/reproduce.py``."""

import os
import shlex
from collections.abc import Sequence

from ..utils.files import check_place, write_whole
from .latency import read_latencies
from .launcher import Launcher
from .paper_tables import PaperTable
from .report import make_report
from .report_formats import format_markdown, format_page
from .scenes import make_missing_scenes
from .table_runs import TableSettings, list_runs, runs_on_disk
from .train_all import train_all


def list_tables(tables: Sequence[PaperTable], out: str) -> str:
    """List tables, their rows and configs, and what was run of them.

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


def list_commands(
    tables: Sequence[PaperTable],
    rows: Sequence[str],
    seeds: Sequence[int],
    settings: TableSettings,
    program: Sequence[str],
    options: Sequence[str] = (),
) -> list[str]:
    """List a command for each row and seed that is not finished, for a scheduler to start.

    Args:
        tables (Sequence[PaperTable]): The tables. A row that several of them share is there once.
        rows (Sequence[str]): Which rows, see ``list_runs``.
        seeds (Sequence[int]): The random seeds.
        settings (TableSettings): How they are run.
        program (Sequence[str]): What the commands start with.
        options (Sequence[str]): What they end with. Defaults to none.

    Returns:
        list[str]: The commands, quoted for a shell.

    Raises:
        ValueError: If a table has no such row.
    """
    return [
        shlex.join(
            [
                *program,
                *('--table', str(run.table.number)),
                *('--rows', str(run.table.rows.index(run.row) + 1)),
                *('--seeds', str(run.seed)),
                *options,
            ]
        )
        for run in list_runs(tables, rows, seeds, settings)
        if run.state != 'finished'
    ]


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
        settings (TableSettings): How they are run. Scenes are made where they are missing.
        launcher (Launcher): How the processes are started.

    Returns:
        list[str]: What went wrong, a line for each run that failed.

    Raises:
        FileNotFoundError: If the launcher's program is missing.
        ValueError: If a table has no such row.
    """
    launcher.check_program()
    runs = list_runs(tables, rows, seeds, settings)
    if settings.scenes is not None:
        make_missing_scenes(settings.scenes.data_root)
    return train_all(runs, launcher)


def write_report(tables: Sequence[PaperTable], configs: str, out: str) -> tuple[str, list[str]]:
    """Write ``report.md`` and ``report.html``.

    Args:
        tables (Sequence[PaperTable]): The tables.
        configs (str): Folder of the configs.
        out (str): Folder of the results, and of the report.

    Returns:
        tuple[str, list[str]]: The report as Markdown, and the files.

    Raises:
        OSError: If the folder cannot be written to.
    """
    check_place(out, 'out', is_folder=True)
    reports = make_report(tables, configs, out)
    latencies = read_latencies(out)
    text = format_markdown(reports, latencies)
    files = {
        os.path.join(out, 'report.md'): text,
        os.path.join(out, 'report.html'): format_page(reports, latencies),
    }
    for path, content in files.items():
        write_whole(path, content)
    return text, list(files)
