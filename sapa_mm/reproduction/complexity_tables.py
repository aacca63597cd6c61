"""Parameters and multiply-adds of configs and of the paper's tables, beside its own figures."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..analysis.complexity import Cost, count_parameters, measure_cost
from ..analysis.complexity_report import Table, format_report, tabulate_cost
from ..analysis.flops import Flops, count_flops
from ..upsamplers import UPSAMPLERS, Table1Row, Upsampler, build_upsampler
from .paper_tables import COST_NOTES, PAPER_TABLES, PaperRow, PaperTable, paper_order


@dataclass(frozen=True)
class Cell:
    """A printed figure and ours.

    Attributes:
        printed (str): As the paper prints it; an increment if it has a sign.
        value (float): Ours, in the paper's unit (million or billion).
        agrees (bool): Whether ours, rounded, is the printed figure.
        note (str): Why it does not; empty if unknown.
    """

    printed: str
    value: float
    agrees: bool
    note: str


@dataclass(frozen=True)
class ComplexityRow:
    """A row of one of the paper's tables with its cost.

    Attributes:
        title (str): The upsampler and the backbone.
        cost (Cost): Its cost.
        cells (dict[str, Cell]): The paper's 'Params' and 'FLOPs', where it prints them.
    """

    title: str
    cost: Cost
    cells: dict[str, Cell]


def make_report(
    configs: Sequence[str],
    tables: Sequence[int],
    root: str,
    form: str = 'md',
    shape: tuple[int, int] | None = None,
) -> tuple[str, list[str]]:
    """Count the costs of configs and of the paper's tables.

    Args:
        configs (Sequence[str]): Config files.
        tables (Sequence[int]): Numbers of tables, 1 or keys of ``PAPER_TABLES``.
        root (str): Folder of the configs, for the tables.
        form (str): 'md', 'csv' or 'json'. Defaults to 'md'.
        shape (tuple[int, int], optional): (H, W) of the models' input, see
            ``measure_cost``. Defaults to None.

    Returns:
        tuple[str, list[str]]: The report, ending with a newline, or '' if it is empty; in Markdown
        the notes follow each table. And an error message for each table and config that could not
        be counted, which is left out.

    Raises:
        ValueError: If shape is not positive.
    """
    if shape is not None and min(shape) < 1:
        raise ValueError(f'shape takes positive numbers, got {shape}')
    report: dict[str, Table] = {}
    problems: list[str] = []
    for number in tables:
        with _collecting(problems):
            if number == 1:
                report['Table 1: multiply-adds for each low-res position, and parameters'] = (
                    _tabulate_table_1()
                )
            else:
                table = PAPER_TABLES[number]
                report[_heading(table)] = tabulate(measure_table(table, root, shape))
    rows = []
    for config in configs:
        name = os.path.splitext(os.path.basename(config))[0]
        with _collecting(problems):
            cost = measure_cost(config, shape)
            rows.append({**tabulate_cost(name, cost), 'note': _note(cost, {})})
    if rows:
        report['Configs'] = rows
    return format_report(report, form) if report else '', problems


def _tabulate_table_1(channels: int = 256) -> Table:
    """Table 1: the paper's formulas and our counts of multiply-adds for each low-res position."""
    kinds = sorted(UPSAMPLERS.values(), key=lambda kind: paper_order(kind.title))
    return [_tabulate_formula(kind, row, channels) for kind in kinds for row in kind.table_1]


def _tabulate_formula(kind: type[Upsampler], row: Table1Row, channels: int) -> dict:
    upsampler, side = build_upsampler(dict(type=kind, **row.options), channels), 64
    flops = count_upsampler_flops(upsampler, channels, side)
    return {
        'module': f'{kind.title} {row.variant}'.strip(),
        'FLOPs (x HW), printed': row.flops,
        f'at C={channels}': upsampler.flops_per_position(),
        'counted': round(flops.counted / side**2),
        'Params, printed': row.params,
        'weights': sum(p.numel() for p in upsampler.parameters() if p.dim() > 1),
        'with biases and norms': count_parameters(upsampler),
        'note': flops.note,
    }


def count_upsampler_flops(upsampler: Upsampler, channels: int, side: int) -> Flops:
    """Count an x2 step of an upsampler; see ``count_flops``."""
    return count_flops(
        upsampler,
        lambda x: upsampler(x, torch.empty(1, channels, 2 * side, 2 * side)),
        (1, channels, side, side),
    )


def measure_table(
    table: PaperTable, configs: str, shape: tuple[int, int] | None = None
) -> list[ComplexityRow]:
    """Measure all rows of one of the paper's tables.

    Args:
        table (PaperTable): The table.
        configs (str): Folder of the configs.
        shape (tuple[int, int], optional): See ``measure_cost``. FLOPs for another shape are
            not compared with the paper's.

    Returns:
        list[ComplexityRow]: Its rows.

    Raises:
        FileNotFoundError: If a config is missing.
        ValueError: See ``measure_cost``.
    """
    rows, first = [], {}
    for paper in table.rows:
        config = os.path.join(configs, paper.config)
        cost = measure_cost(config, shape)
        base = first.setdefault(paper.backbone, cost)
        printed = _printed(table, paper)
        flops = cost.flops.counted if cost is base else cost.flops.upsamplers_by_formula
        cells = {
            column: _compare(table, paper, column, printed[column], value)
            for column, value in (
                ('Params', _parameters_of(cost, base, table) / 1e6),
                ('FLOPs', flops / 1e9),
            )
            if column in printed and (column == 'Params' or shape is None)
        }
        rows.append(ComplexityRow(paper.title, cost, cells))
    return rows


def tabulate(rows: Sequence[ComplexityRow]) -> Table:
    """Lay out the costs of a table's rows, beside the paper's.

    Args:
        rows (Sequence[ComplexityRow]): The rows.

    Returns:
        list[dict]: The rows; parameters in millions (M), multiply-adds in billions (G).
    """
    columns = [name for name in ('Params', 'FLOPs') if any(name in row.cells for row in rows)]
    table = []
    for row in rows:
        line = tabulate_cost(row.title, row.cost)
        for column in columns:
            cell = row.cells.get(column)
            line[f'paper: {column}'] = cell and cell.printed
            line[f'difference: {column}'] = cell and round(cell.value - float(cell.printed), 3)
        table.append({**line, 'note': _note(row.cost, row.cells)})
    return table


@contextlib.contextmanager
def _collecting(problems: list[str]) -> Iterator[None]:
    """Collect an error's message instead of raising it, so that the report goes on."""
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


def _note(cost: Cost, cells: dict[str, Cell]) -> str:
    """Why figures disagree with the paper, and counts with formulas; equal reasons are merged."""
    columns_of: dict[str, list[str]] = {}
    for column, cell in cells.items():
        if not cell.agrees:
            columns_of.setdefault(cell.note or 'unexplained', []).append(column)
    if cost.flops.note:
        column = 'by formula' if cost.flops.upsamplers_by_formula is None else 'counted'
        columns_of.setdefault(cost.flops.note, []).append(column)
    return '. '.join(f'{", ".join(columns)}: {note}' for note, columns in columns_of.items())


def _printed(table: PaperTable, paper: PaperRow) -> dict[str, str]:
    """The paper's figures for a row, with those that its caption takes from another table."""
    if table.increments_of is None:
        return paper.figures
    params = next(
        other.figures['Params']
        for other in PAPER_TABLES[table.increments_of].rows
        if (other.upsampler, other.backbone) == (paper.upsampler, paper.backbone)
    )
    return {'Params': params, **paper.figures} if params.startswith('+') else paper.figures


def _parameters_of(cost: Cost, base: Cost, table: PaperTable) -> int:
    """Parameters as the table counts them: all of the first row, what others add to it."""
    own, first = (c.parameters if table.counts_frozen else c.trainable for c in (cost, base))
    return own if cost is base else own - first


def _compare(table: PaperTable, paper: PaperRow, column: str, printed: str, value: float) -> Cell:
    digits = len(printed.partition('.')[2])
    # '+0' stands in columns of one digit.
    agrees = round(value, max(digits, 1)) == float(printed)
    note = COST_NOTES.get((table.number, paper.upsampler, column), '')
    return Cell(printed, value, agrees, note)
