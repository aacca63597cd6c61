"""The paper's tables beside what was measured, as data; see the other files for its forms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .complexity_tables import ComplexityRow, measure_table
from .latency import REFERENCE, Latency, latency_name, read_latencies
from .measured import Measured, is_metric, measured
from .paper_tables import PaperRow, PaperTable
from .table_runs import runs_on_disk
from .training_result import TrainingResult
from .training_run import describe_error

#: The paper's milliseconds are of this device.
PAPER_DEVICE = 'NVIDIA GeForce RTX 3090'
_LATENCY = 'latency (ms)'


@dataclass(frozen=True)
class Column:
    """A column of a report.

    Attributes:
        group (str): What it is about: a metric or a cost.
        name (str): 'paper', 'measured', 'difference' and so on; empty if the group says it all.
        is_ranked (bool): Whether the best and the second best of a backbone are marked; the
            larger is the better. Defaults to False.
    """

    group: str
    name: str = ''
    is_ranked: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a report.

    Attributes:
        text (str): What it says; empty if there is nothing.
        value (float | None): By which it is ranked. Defaults to None.
        rank (int): 1 for the best, 2 for the second best, 0 for others. Defaults to 0.
        note (str): A remark about it. Defaults to none.
        number (int): Number of that remark in the table; 0 for none. Defaults to 0.
    """

    text: str = ''
    value: float | None = None
    rank: int = 0
    note: str = ''
    number: int = 0


@dataclass(frozen=True)
class ReportRow:
    """A row of a report.

    Attributes:
        row (PaperRow): The paper's.
        results (dict[int, TrainingResult]): Those of the finished runs, by seed.
        work_dirs (dict[int, str]): Where its runs are, finished or not, by seed.
        cells (list[Cell]): One for each column.
    """

    row: PaperRow
    results: dict[int, TrainingResult]
    work_dirs: dict[int, str]
    cells: list[Cell]

    def measured(self, column: str) -> Measured | None:
        """A metric over the seeds."""
        return measured(column, list(self.results.values()))


@dataclass(frozen=True)
class ReportTable:
    """A table of a report.

    Attributes:
        table (PaperTable): The paper's.
        columns (list[Column]): Its columns.
        rows (list[ReportRow]): Its rows.
        notes (list[str]): What is to be said of single cells, numbered from 1 on.
        problems (list[str]): Why parameters and FLOPs of rows could not be computed.
        devices (list[str]): Where the runs were made.
        is_small (bool): Whether there are runs of small models on generated scenes.
    """

    table: PaperTable
    columns: list[Column]
    rows: list[ReportRow]
    notes: list[str]
    problems: list[str]
    devices: list[str]
    is_small: bool


@dataclass
class _Draft:
    columns: list[Column] = field(default_factory=list)
    cells: list[list[Cell]] = field(default_factory=list)

    def add(self, column: Column, cells: Sequence[Cell]) -> None:
        self.columns.append(column)
        self.cells.append(list(cells))


def make_report(tables: Sequence[PaperTable], configs: str, out: str) -> list[ReportTable]:
    """Lays out tables.

    Args:
        tables (Sequence[PaperTable]): The tables.
        configs (str): Folder of the configs, whose parameters and FLOPs are counted.
        out (str): Folder of the results.

    Returns:
        list[ReportTable]: The tables.
    """
    return [_report_table(table, configs, out) for table in tables]


def _report_table(table, configs, out):
    runs = [runs_on_disk(out, row) for row in table.rows]
    results = [
        {seed: result for seed, run in by_seed.items() if (result := run.files.read_result())}
        for by_seed in runs
    ]
    draft = _Draft()
    for column in dict.fromkeys(name for row in table.rows for name in row.figures):
        if is_metric(column):
            _add_metric(draft, column, table.rows, results)
    costs, problems = _measure_costs(table, configs)
    _add_costs(draft, costs)
    if any(_LATENCY in row.figures for row in table.rows):
        _add_latency(draft, table.rows, read_latencies(out))
    states = [', '.join(f'seed {s}: {run.state}' for s, run in r.items()) for r in runs]
    seconds = [sorted(one.seconds_per_iteration for one in r.values()) for r in results]
    draft.add(
        Column('s / iteration'), [Cell(f'{s[len(s) // 2]:.3f}' if s else '') for s in seconds]
    )
    draft.add(Column('runs'), [Cell(state or 'not run') for state in states])
    cells, notes = _number_notes(list(zip(*draft.cells, strict=True)))
    return ReportTable(
        table=table,
        columns=draft.columns,
        rows=[
            ReportRow(row, done, {s: run.work_dir for s, run in by_seed.items()}, list(of_row))
            for row, done, by_seed, of_row in zip(table.rows, results, runs, cells, strict=True)
        ],
        notes=notes,
        problems=problems,
        devices=sorted({one.device for done in results for one in done.values()}),
        is_small=any(run.files.is_small for by_seed in runs for run in by_seed.values()),
    )


def _number_notes(rows):
    """Numbers the remarks as one reads; the same remark has one number."""
    notes = list(dict.fromkeys(cell.note for row in rows for cell in row if cell.note))
    numbers = {note: number for number, note in enumerate(notes, 1)}
    return [
        [replace(cell, number=numbers.get(cell.note, 0)) for cell in row] for row in rows
    ], notes


def _add_metric(draft, column, rows, results):
    groups = [row.backbone for row in rows]
    printed = [row.figures.get(column, '') for row in rows]
    ours = [measured(column, list(done.values())) for done in results]
    ours = [one if text else None for one, text in zip(ours, printed, strict=True)]
    # The paper's digits: one more would be within the spread.
    digits = max(len(text.partition('.')[2]) for text in printed)
    paper = [Cell(text, float(text) if text else None) for text in printed]
    draft.add(Column(column, 'paper', True), _rank(paper, groups))
    draft.add(
        Column(column, 'measured', True),
        _rank([_measured_cell(one, digits) for one in ours], groups),
    )
    differences = [
        Cell(f'{one.mean - float(text):+.{digits}f}' if one else '')
        for one, text in zip(ours, printed, strict=True)
    ]
    draft.add(Column(column, 'difference'), differences)


def _measured_cell(one: Measured | None, digits: int) -> Cell:
    if one is None:
        return Cell()
    spread = '' if one.spread is None else f' ± {one.spread:.{digits}f}'
    value = round(one.mean, digits) if math.isfinite(one.mean) else None
    return Cell(f'{one.mean:.{digits}f}{spread}', value)


def _rank(cells: list[Cell], groups: list[str]) -> list[Cell]:
    """Marks the best and the second best of each group that has at least three."""
    ranked = []
    for cell, group in zip(cells, groups, strict=True):
        values = [
            c.value
            for c, g in zip(cells, groups, strict=True)
            if g == group and c.value is not None
        ]
        rank = 0
        if cell.value is not None and len(values) > 2:
            # Rows that are equal share their rank.
            rank = sorted(set(values), reverse=True).index(cell.value) + 1
        ranked.append(replace(cell, rank=rank if rank <= 2 else 0))
    return ranked


def _measure_costs(table: PaperTable, configs: str) -> tuple[list[ComplexityRow | None], list[str]]:
    """What the rows cost, None where that cannot be computed, and why it cannot."""
    try:
        return measure_table(table, configs), []
    except Exception:
        # A config is Python: it may raise anything. The others are reported all the same.
        first, costs, problems = {}, [], []
    for row in table.rows:
        # Costs are held against the first row of the backbone.
        base = first.setdefault(row.backbone, row)
        pair = (row,) if row is base else (base, row)
        try:
            costs.append(measure_table(replace(table, rows=pair), configs)[-1])
        except Exception as error:
            costs.append(None)
            problems.append(f'{row.title}: {describe_error(error)}')
    return costs, problems


def _add_costs(draft: _Draft, costs: Sequence[ComplexityRow | None]) -> None:
    totals = {
        'Params': lambda cost: cost.trainable / 1e6,
        'FLOPs': lambda cost: cost.counted / 1e9,
    }
    for column, unit in (('Params', 'M'), ('FLOPs', 'G')):
        compared = [row and row.cells.get(column) for row in costs]
        title = f'{column}, {unit}'
        if any(compared):
            draft.add(
                Column(title, 'paper'), [Cell(one.printed if one else '') for one in compared]
            )
        cells = []
        for row, one in zip(costs, compared, strict=True):
            if row is None:
                cells.append(Cell())
            elif one is None:
                cells.append(Cell(f'{totals[column](row.cost):.2f}'))
            else:
                sign = '+' if one.printed.startswith('+') else ''
                note = '' if one.agrees else one.note or 'unexplained'
                cells.append(Cell(f'{one.value:{sign}.2f}', note=note))
        draft.add(Column(title, 'computed'), cells)


def _add_latency(
    draft: _Draft, rows: Sequence[PaperRow], latencies: dict[str, dict[str, Latency]]
) -> None:
    """As ratios to CARAFE, each device with columns of its own."""
    printed = [float(row.figures[_LATENCY]) for row in rows]
    reference = next(
        value for row, value in zip(rows, printed, strict=True) if row.upsampler == REFERENCE
    )
    where = f'latency on the {PAPER_DEVICE} (paper)'
    draft.add(Column(where, 'ms'), [Cell(f'{value:.1f}') for value in printed])
    draft.add(
        Column(where, f'ratio to {REFERENCE}'),
        [Cell(f'{value / reference:.2f}') for value in printed],
    )
    for device, ours in latencies.items():
        of_rows = [ours.get(latency_name(row.upsampler, row.options)) for row in rows]
        where = f'latency on the {device} (measured)'
        draft.add(
            Column(where, 'ms'),
            [Cell(f'{1e3 * one.seconds:.1f}' if one else '') for one in of_rows],
        )
        draft.add(
            Column(where, f'ratio to {REFERENCE}'),
            [Cell(f'{one.ratio:.2f}' if one else '') for one in of_rows],
        )
