"""Tables of costs as Markdown, CSV and JSON."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence

import torch

from ..reproduction.paper_tables import PAPER_TABLES, PaperTable
from ..upsamplers import build_upsampler
from .complexity import ComplexityRow, measure_cost, measure_table
from .flops import count_flops
from .parameters import count_parameters
from .table_1 import ROWS, flops_per_position

FORMATS = ('md', 'csv', 'json')
#: Rows of named columns; the last is a note.
Table = list[dict[str, str | int | float | None]]
_NOTE = 'note'


def make_report(
    configs: Sequence[str],
    tables: Sequence[int],
    root: str,
    form: str = 'md',
    shape: tuple[int, int] | None = None,
) -> tuple[str, list[str]]:
    """Counts the costs of configs and of the paper's tables.

    Args:
        configs (Sequence[str]): Config files.
        tables (Sequence[int]): Numbers of tables, 1 or keys of ``PAPER_TABLES``.
        root (str): Folder of the configs, for the tables.
        form (str): 'md', 'csv' or 'json'. Defaults to 'md'.
        shape (tuple[int, int], optional): (H, W) of the models' input, see
            :func:`~.complexity.measure_cost`. Defaults to None.

    Returns:
        tuple[str, list[str]]: The report, ending with a newline, or '' if there is nothing in it;
        in Markdown the notes are under each table. And what went wrong: tables and configs that
        could not be counted are left out.
    """
    report: dict[str, Table] = {}
    problems: list[str] = []
    for number in tables:
        with _collecting(problems):
            if number == 1:
                report['Table 1: multiply-adds for each low-res position, and parameters'] = (
                    tabulate_table_1()
                )
            else:
                table = PAPER_TABLES[number]
                report[_heading(table)] = tabulate(measure_table(table, root, shape))
    rows = []
    for config in configs:
        name = os.path.splitext(os.path.basename(config))[0]
        with _collecting(problems):
            rows.append(ComplexityRow(name, config, measure_cost(config, shape)))
    if rows:
        report['Configs'] = tabulate(rows)
    return _format(report, form) if report else '', problems


def tabulate_table_1(channels: int = 256) -> Table:
    """Table 1: the paper's formulas evaluated, and the upsamplers counted.

    Args:
        channels (int): C, channels of x and guide. Defaults to 256.

    Returns:
        list[dict]: The rows; FLOPs are multiply-adds for each low-res position.
    """
    table, side = [], 64
    for row in ROWS:
        upsampler = build_upsampler(row.upsample_cfg, channels)
        flops = count_flops(
            upsampler,
            lambda x, module=upsampler: module(x, torch.empty(1, channels, 2 * side, 2 * side)),
            (1, channels, side, side),
        )
        table.append(
            {
                'module': row.title,
                'FLOPs (x HW), printed': row.flops,
                f'at C={channels}': flops_per_position(upsampler),
                'counted': round(flops.counted / side**2),
                'Params, printed': row.params,
                'weights': sum(p.numel() for p in upsampler.parameters() if p.dim() > 1),
                'with biases and norms': count_parameters(upsampler),
                _NOTE: flops.note,
            }
        )
    return table


def tabulate(rows: Sequence[ComplexityRow]) -> Table:
    """Lays out the costs of configs.

    Args:
        rows (Sequence[ComplexityRow]): The configs.

    Returns:
        list[dict]: The rows; parameters in millions (M), multiply-adds in billions (G).
    """
    columns = [name for name in ('Params', 'FLOPs') if any(name in row.cells for row in rows)]
    table = []
    for row in rows:
        cost = row.cost
        cells = {
            'model': row.title,
            'trainable, M': round(cost.trainable / 1e6, 3),
            'all, M': round(cost.parameters / 1e6, 3),
            'upsamplers, M': round(cost.upsamplers / 1e6, 3),
            'input': 'x'.join(map(str, cost.shape)),
            'counted, G': round(cost.counted / 1e9, 3),
            'upsamplers, G': _billions(cost.upsamplers_counted),
            'by formula, G': _billions(cost.upsamplers_by_formula),
        }
        for column in columns:
            cell = row.cells.get(column)
            cells[f'paper: {column}'] = cell and cell.printed
            cells[f'difference: {column}'] = cell and round(cell.value - float(cell.printed), 3)
        table.append({**cells, _NOTE: _note(row)})
    return table


@contextlib.contextmanager
def _collecting(problems: list[str]) -> Iterator[None]:
    """One that fails leaves the rest of a report."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        problems.append(str(error))


def _heading(table: PaperTable) -> str:
    remarks = ['G is 10⁹ multiply-adds']
    if any('FLOPs' in row.figures for row in table.rows):
        remarks.append('the difference in FLOPs is by formula, in the first row as counted')
    if table.increments_of is not None:
        remarks.append(f"the paper's increments of Params are those of Table {table.increments_of}")
    return f'Table {table.number}: {table.title} ({"; ".join(remarks)})'


def _note(row: ComplexityRow) -> str:
    """Why cells disagree, and the counter with the formula; what holds for two is said once."""
    columns_of: dict[str, list[str]] = {}
    for column, cell in row.cells.items():
        if not cell.agrees:
            columns_of.setdefault(cell.note or 'unexplained', []).append(column)
    if row.cost.note:
        columns_of.setdefault(row.cost.note, []).append('counted')
    return '. '.join(f'{", ".join(columns)}: {note}' for note, columns in columns_of.items())


def _format(report: dict[str, Table], form: str) -> str:
    if form == 'json':
        return json.dumps(report, indent=1, ensure_ascii=False) + '\n'
    if form == 'csv':
        return _format_csv(report)
    return '\n'.join(_format_markdown(title, table) for title, table in report.items())


def _format_markdown(title: str, table: Table) -> str:
    columns = [column for column in table[0] if column != _NOTE]
    lines = [f'## {title}', '', f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']
    notes: list[str] = []
    for row in table:
        cells = [_format_cell(row[column]) for column in columns]
        if row[_NOTE]:
            if row[_NOTE] not in notes:
                notes.append(row[_NOTE])
            cells[0] += f' [{notes.index(row[_NOTE]) + 1}]'
        lines.append(f'| {" | ".join(cells)} |')
    for number, note in enumerate(notes, 1):
        lines += ['', f'[{number}] {note}.']
    return '\n'.join(lines) + '\n'


def _format_csv(report: dict[str, Table]) -> str:
    """One table with the columns of all."""
    rows = [{'table': title, **row} for title, table in report.items() for row in table]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _format_cell(value: str | int | float | None) -> str:
    if value is None:
        return '-'
    if isinstance(value, str):
        return value
    return f'{value:,}' if isinstance(value, int) else f'{value:,.3f}'


def _billions(number: int | None) -> float | None:
    return None if number is None else round(number / 1e9, 3)
