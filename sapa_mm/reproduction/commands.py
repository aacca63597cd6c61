"""What ``tools/reproduce.py`` does."""

import os
from collections.abc import Sequence

from ..analysis.paper_tables import PaperTable
from ..datasets.writers import RECORD, write_scenes
from .latency import read_latencies
from .launcher import Launcher
from .report import make_report
from .report_markdown import format_latencies, format_markdown
from .report_page import format_page
from .table_runs import TableSettings, list_runs, runs_on_disk
from .train_all import train_all


def list_tables(tables: Sequence[PaperTable], out: str) -> str:
    """Lists tables, their rows and configs, and what was run of them.

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
    """Trains the rows of tables, one after another; see :func:`~.train_all.train_all`.

    Args:
        tables (Sequence[PaperTable]): The tables.
        rows (Sequence[str]): Which rows, see :func:`~.table_runs.list_runs`.
        seeds (Sequence[int]): The random seeds.
        settings (TableSettings): How they are run. Scenes are made where they are missing.
        launcher (Launcher): How the processes are started.

    Returns:
        list[str]: What went wrong, a line for each run that failed.

    Raises:
        ValueError: If a table has no such row.
    """
    runs = list_runs(tables, rows, seeds, settings)
    scenes = settings.scenes
    if scenes is not None and not os.path.isfile(os.path.join(scenes.data_root, RECORD)):
        write_scenes(scenes.data_root)
    return train_all(runs, launcher)


def write_report(
    tables: Sequence[PaperTable], configs: str, out: str, is_small: bool
) -> tuple[str, list[str]]:
    """Writes ``report.md`` and ``report.html``.

    Args:
        tables (Sequence[PaperTable]): The tables.
        configs (str): Folder of the configs.
        out (str): Folder of the results, and of the report.
        is_small (bool): Whether the results are those of small models on generated scenes.

    Returns:
        tuple[str, list[str]]: The report as Markdown, and the files.
    """
    reports = make_report(tables, configs, out, is_small)
    latencies = read_latencies(out)
    text = format_markdown(reports, [format_latencies(*item) for item in latencies.items()])
    files = {'report.md': text, 'report.html': format_page(reports, latencies)}
    os.makedirs(out, exist_ok=True)
    for name, content in files.items():
        with open(os.path.join(out, name), 'w') as file:
            file.write(content)
    return text, [os.path.join(out, name) for name in files]
