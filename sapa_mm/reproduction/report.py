"""The paper's tables beside our measurements, as data; report_formats.py writes them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..engine.monitored_metrics import infer_rule
from ..evaluation.matting_errors import ERRORS
from .complexity_tables import ComplexityRow, measure_table
from .latency import REFERENCE, Latency, latency_name, read_latencies
from .paper_tables import DEPTH_COLUMNS, PaperRow, PaperTable
from .table_runs import runs_on_disk
from .training_result import MeanOverSeeds, TrainingResult
from .training_run import TrainingRun, describe_error

#: The device of the paper's milliseconds.
_PAPER_DEVICE = 'NVIDIA GeForce RTX 3090'
_LATENCY = 'latency (ms)'
#: mmdet's names of the average precision in the paper's 'AP', 'box AP' and 'mask AP'.
_KINDS_OF_AP = {'': 'bbox', 'box': 'bbox', 'mask': 'segm'}


def is_metric(column: str) -> bool:
    """Whether a column of the paper's tables is a metric of a validation, rather than a cost."""
    return column not in ('Params', 'FLOPs', _LATENCY)


def lower_is_better(column: str) -> bool:
    """Whether a metric is better the lower it is, such as an error."""
    return infer_rule(_metric_key(column)[0]) == 'less'


def mean_over_seeds(column: str, results: Sequence[TrainingResult]) -> MeanOverSeeds | None:
    """Average a metric over the seeds.

    Args:
        column (str): The column of the paper's table.
        results (Sequence[TrainingResult]): One for each seed.

    Returns:
        MeanOverSeeds | None: In the paper's unit; None if no result has it, or if the validation
        set has nothing to measure, such as large objects.
    """
    key, scale = _metric_key(column)
    # mmdet reports no average precision, which is 0, where nothing is detected. Other metrics are
    # missing only if they were not computed.
    default = 0.0 if key.startswith('coco/') else None
    values = [result.metrics.get(key, default) for result in results]
    values = [scale * value for value in values if value is not None]
    # COCO's -1 stands for "no such objects".
    if not values or min(values) < 0:
        return None
    return MeanOverSeeds.of(values)


def _metric_key(column):
    """The name of a metric in mmseg and mmdet, and the factor to the paper's unit."""
    if column in DEPTH_COLUMNS:
        return DEPTH_COLUMNS[column], 1
    if column in ('mIoU', 'bIoU', *ERRORS):
        return column, 1
    if column in ('SQ', 'RQ') or column.startswith('PQ'):
        return f'coco_panoptic/{column.replace(" ", "_")}', 1
    kind, _, precision = column.rpartition(' ')
    size = precision.removeprefix('AP').lower()
    return f'coco/{_KINDS_OF_AP[kind]}_mAP' + (f'_{size}' if size else ''), 100


@dataclass(frozen=True)
class Column:
    """A column of a report.

    Attributes:
        group (str): A metric or a cost; the heading over its columns.
        name (str): 'paper', 'measured', 'difference' and so on. Defaults to none.
    """

    group: str
    name: str = ''


@dataclass(frozen=True)
class Cell:
    """A cell of a report.

    Attributes:
        text (str): Its text. Defaults to an empty cell.
        value (float | None): The value by which it is ranked. Defaults to None.
        rank (int): 1 for the best, 2 for the second best, 0 for others. Defaults to 0.
        note (str): A footnote. Defaults to none.
        number (int): The footnote's number in the table, or 0. Defaults to 0.
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
        paper (PaperRow): The paper's row.
        results (dict[int, TrainingResult]): The results of its finished runs, by seed; with the
            metrics of their best validations, if the paper's are those.
        work_dirs (dict[int, str]): The work directories of all its runs, by seed.
        cells (list[Cell]): One for each column.
    """

    paper: PaperRow
    results: dict[int, TrainingResult]
    work_dirs: dict[int, str]
    cells: list[Cell]

    def metric(self, column: str) -> MeanOverSeeds | None:
        """A metric over the seeds; see ``mean_over_seeds``."""
        return mean_over_seeds(column, list(self.results.values()))


@dataclass(frozen=True)
class ReportTable:
    """A table of a report.

    Attributes:
        paper (PaperTable): The paper's table.
        columns (list[Column]): Its columns.
        rows (list[ReportRow]): Its rows.
        notes (list[str]): Footnotes, numbered from 1 on.
        problems (list[str]): Why parameters and FLOPs of rows could not be computed.
        devices (list[str]): Devices of the runs.
        is_small (bool): Whether there are runs of small models on generated data.
    """

    paper: PaperTable
    columns: list[Column]
    rows: list[ReportRow]
    notes: list[str]
    problems: list[str]
    devices: list[str]
    is_small: bool


_Draft = dict[Column, list[Cell]]


def make_report_table(table: PaperTable, configs: str, out: str) -> ReportTable:
    """Lay out a table of a report.

    Args:
        table (PaperTable): The paper's table.
        configs (str): Folder of the configs, whose parameters and FLOPs are counted.
        out (str): Folder of the results.

    Returns:
        ReportTable: The table.
    """
    runs = [runs_on_disk(out, row) for row in table.rows]
    last = [
        {seed: result for seed, run in by_seed.items() if (result := run.files.read_result())}
        for by_seed in runs
    ]
    results = [
        {seed: _best(table, by_seed[seed], result) for seed, result in done.items()}
        for by_seed, done in zip(runs, last, strict=True)
    ]
    draft: _Draft = {}
    for column in dict.fromkeys(name for row in table.rows for name in row.figures):
        if is_metric(column):
            _add_metric(draft, column, table, results, last)
    costs, problems = _measure_costs(table, configs)
    _add_costs(draft, costs)
    if any(_LATENCY in row.figures for row in table.rows):
        _add_latency(draft, table.rows, read_latencies(out))
    states = [
        ', '.join(f'seed {seed}: {_state(table, run)}' for seed, run in by_seed.items())
        for by_seed in runs
    ]
    seconds = [sorted(run.seconds_per_iteration for run in done.values()) for done in results]
    draft[Column('s / iteration')] = [Cell(f'{s[len(s) // 2]:.3f}' if s else '') for s in seconds]
    draft[Column('runs')] = [Cell(state or 'not run') for state in states]
    cells, notes = _number_notes(list(zip(*draft.values(), strict=True)))
    return ReportTable(
        paper=table,
        columns=list(draft),
        rows=[
            ReportRow(row, done, {s: run.work_dir for s, run in by_seed.items()}, list(of_row))
            for row, done, by_seed, of_row in zip(table.rows, results, runs, cells, strict=True)
        ],
        notes=notes,
        problems=problems,
        devices=sorted({run.device for done in results for run in done.values()}),
        is_small=any(run.files.is_small for by_seed in runs for run in by_seed.values()),
    )


def _best(table: PaperTable, run: TrainingRun, result: TrainingResult) -> TrainingResult:
    """A run's result with the metrics of its best validation, if the table's are those."""
    if table.best_by is None:
        return result
    key, _ = _metric_key(table.best_by)
    validations = [result.metrics, *run.files.read_validations().values()]
    finite = [metrics for metrics in validations if math.isfinite(metrics.get(key, math.nan))]
    choose = min if lower_is_better(table.best_by) else max
    best = choose(finite, key=lambda metrics: metrics[key], default=result.metrics)
    return replace(result, metrics=best)


def _state(table: PaperTable, run: TrainingRun) -> str:
    state = run.state
    if table.best_by is None or state != 'finished':
        return state
    return f'{state}, best of {max(1, len(run.files.read_validations()))}'


def _number_notes(rows):
    """Number the footnotes in reading order; equal ones share a number."""
    notes = list(dict.fromkeys(cell.note for row in rows for cell in row if cell.note))
    numbers = {note: number for number, note in enumerate(notes, 1)}
    return [
        [replace(cell, number=numbers.get(cell.note, 0)) for cell in row] for row in rows
    ], notes


def _add_metric(draft, column, table, results, last):
    groups = [row.backbone for row in table.rows]
    printed = [row.figures.get(column, '') for row in table.rows]
    means, last_means = (
        [
            mean_over_seeds(column, list(done.values())) if text else None
            for done, text in zip(of_rows, printed, strict=True)
        ]
        for of_rows in (results, last)
    )
    # As many digits as the paper prints.
    digits = max(len(text.partition('.')[2]) for text in printed)
    paper = [Cell(text, float(text) if text else None) for text in printed]
    lowest = lower_is_better(column)
    title = f'{column} ↓' if lowest else column
    draft[Column(title, 'paper')] = _rank(paper, groups, lowest)
    measured, last_measured = (
        _rank([_measured_cell(mean, digits) for mean in of_rows], groups, lowest)
        for of_rows in (means, last_means)
    )
    draft[Column(title, 'measured, best' if table.best_by else 'measured')] = measured
    draft[Column(title, 'difference')] = [
        Cell(f'{mean.mean - float(text):+.{digits}f}' if mean else '')
        for mean, text in zip(means, printed, strict=True)
    ]
    if table.best_by:
        draft[Column(title, 'measured, last')] = last_measured


def _measured_cell(metric: MeanOverSeeds | None, digits: int) -> Cell:
    if metric is None:
        return Cell()
    value = round(metric.mean, digits) if math.isfinite(metric.mean) else None
    return Cell(metric.format(digits), value)


def _rank(cells: list[Cell], groups: list[str], lowest: bool) -> list[Cell]:
    """Mark the two largest values, or lowest, of each group that has at least three."""
    ranked = []
    for cell, group in zip(cells, groups, strict=True):
        values = [
            c.value
            for c, g in zip(cells, groups, strict=True)
            if g == group and c.value is not None
        ]
        rank = 0
        if cell.value is not None and len(values) > 2:
            # Equal rows share a rank.
            rank = sorted(set(values), reverse=not lowest).index(cell.value) + 1
        ranked.append(replace(cell, rank=rank if rank <= 2 else 0))
    return ranked


def _measure_costs(table: PaperTable, configs: str) -> tuple[list[ComplexityRow | None], list[str]]:
    """Measure the rows; None for those that cannot be, and the reasons."""
    try:
        return measure_table(table, configs), []
    except Exception:
        # A config is Python and may raise anything; the other rows are still reported.
        first, costs, problems = {}, [], []
    for row in table.rows:
        # Costs are compared with the first row of the backbone.
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
        'FLOPs': lambda cost: cost.flops.counted / 1e9,
    }
    for column, unit in (('Params', 'M'), ('FLOPs', 'G')):
        compared = [row and row.cells.get(column) for row in costs]
        title = f'{column}, {unit}'
        if any(compared):
            draft[Column(title, 'paper')] = [
                Cell(cost.printed if cost else '') for cost in compared
            ]
        cells = draft[Column(title, 'computed')] = []
        for row, cost in zip(costs, compared, strict=True):
            if row is None:
                cells.append(Cell())
            elif cost is None:
                cells.append(Cell(f'{totals[column](row.cost):.2f}'))
            else:
                sign = '+' if cost.printed.startswith('+') else ''
                note = '' if cost.agrees else cost.note or 'unexplained'
                cells.append(Cell(f'{cost.value:{sign}.2f}', note=note))


def _add_latency(
    draft: _Draft, rows: Sequence[PaperRow], latencies: dict[str, dict[str, Latency]]
) -> None:
    """Add latencies and their ratios to CARAFE's, two columns for each device."""
    printed = [float(row.figures[_LATENCY]) for row in rows]
    reference = next(
        value for row, value in zip(rows, printed, strict=True) if row.upsampler == REFERENCE
    )
    group, ratio = f'latency on the {_PAPER_DEVICE} (paper)', f'ratio to {REFERENCE}'
    draft[Column(group, 'ms')] = [Cell(f'{value:.1f}') for value in printed]
    draft[Column(group, ratio)] = [Cell(f'{value / reference:.2f}') for value in printed]
    for device, measured in latencies.items():
        group = f'latency on the {device} (measured)'
        ours = [measured.get(latency_name(row.upsampler, row.options)) for row in rows]
        draft[Column(group, 'ms')] = [Cell(f'{1e3 * t.seconds:.1f}' if t else '') for t in ours]
        draft[Column(group, ratio)] = [Cell(f'{t.ratio:.2f}' if t else '') for t in ours]
