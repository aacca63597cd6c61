"""A report as Markdown and as a self-contained HTML page."""

import os
from collections.abc import Sequence
from itertools import groupby

from ..utils.files import check_writable, write_whole
from ..utils.text import fill_page, markdown_table, markdown_text
from .latency import CHANNELS, REFERENCE, SIDE, Latency, figure_12, read_latencies
from .paper_tables import PaperTable
from .report import Cell, ReportTable, make_report_table
from .report_plots import plot_gains, plot_latencies, plot_losses

_EXPLANATION = (
    'Best of a backbone in bold, second best underlined; ↓: lower is better. Parameters and '
    "multiply-adds (FLOPs) are computed from the paper's configs: with a sign, what a row adds to "
    'the first of its backbone, else the whole model (of a detector the FLOPs of backbone and '
    'neck).'
)
_SMALL = (
    'Measured with small models on generated data: this shows that the path works. The figures '
    "are not to be compared with the paper's, from which the differences are taken all the same."
)
_BEST = (
    "The paper's figures are of the best of 30 validations, which are on the test set: 'best' is "
    "that of ours by {}, from which the difference is taken, 'last' the one at the end"
)
_MARKS = {1: '**{}**', 2: '<ins>{}</ins>'}


def write_report(tables: Sequence[PaperTable], configs: str, out: str) -> tuple[str, list[str]]:
    """Write ``report.md`` and ``report.html``.

    Args:
        tables (Sequence[PaperTable]): The tables.
        configs (str): Folder of the configs.
        out (str): Folder of the results, and of the report.

    Returns:
        tuple[str, list[str]]: The report as Markdown, and the paths of both files.

    Raises:
        OSError: If the folder cannot be written to.
    """
    check_writable(out, 'out', is_folder=True)
    reports = [make_report_table(table, configs, out) for table in tables]
    latencies = read_latencies(out)
    text = _format_markdown(reports, latencies)
    files = {
        os.path.join(out, 'report.md'): text,
        os.path.join(out, 'report.html'): _format_page(reports, latencies),
    }
    for path, content in files.items():
        write_whole(path, content)
    return text, list(files)


def _format_markdown(
    tables: Sequence[ReportTable], latencies: dict[str, dict[str, Latency]]
) -> str:
    """Format a report as Markdown, ending with a newline."""
    sections = ['# The paper, and what was measured', _EXPLANATION]
    if any(table.is_small for table in tables):
        sections.append(_SMALL)
    sections += [_table_section(table) for table in tables]
    sections += [_latency_section(device, ours) for device, ours in latencies.items()]
    return '\n\n'.join(sections) + '\n'


def _format_page(tables: Sequence[ReportTable], latencies: dict[str, dict[str, Latency]]) -> str:
    """Format a report as a self-contained HTML page."""
    return fill_page(
        'sapa_mm.reproduction',
        'report_page.html.jinja',
        explanation=_EXPLANATION,
        small=_SMALL if any(table.is_small for table in tables) else None,
        sections=[
            dict(
                table=table,
                runs=_describe_runs(table),
                groups=[
                    (name, len(list(g))) for name, g in groupby(c.group for c in table.columns)
                ],
                plots=[plot for plot in (plot_gains(table), plot_losses(table)) if plot],
            )
            for table in tables
        ],
        figures=[
            dict(device=device, rows=figure_12(ours), plot=plot_latencies(device, ours))
            for device, ours in latencies.items()
        ],
        channels=CHANNELS,
        side=SIDE,
    )


def _table_section(table: ReportTable) -> str:
    titles = ['model', *(f'{c.group}: {c.name}' if c.name else c.group for c in table.columns)]
    rows = [[row.paper.title, *map(_format_cell, row.cells)] for row in table.rows]
    return '\n\n'.join(
        [
            f'## Table {table.paper.number}: {table.paper.title}',
            markdown_text(_describe_runs(table)),
            markdown_table(titles, rows),
            *(f'[{number}] {markdown_text(note)}.' for number, note in enumerate(table.notes, 1)),
        ]
    )


def _format_cell(cell: Cell) -> str:
    text = _MARKS.get(cell.rank, '{}').format(cell.text)
    return f'{text} [{cell.number}]' if cell.number else text


def _describe_runs(table: ReportTable) -> str:
    """Summarise a table's runs: how many there are, of how many seeds, on which devices."""
    counts = [len(row.results) for row in table.rows]
    finished = sum(1 for count in counts if count)
    text = f'{finished} of {len(counts)} rows have finished runs'
    if max(counts) > 1:
        text += f', of up to {max(counts)} seeds: mean and standard deviation'
    if table.devices:
        text += f'. Measured on: {"; ".join(table.devices)}'
    if table.paper.best_by:
        text += f'. {_BEST.format(table.paper.best_by)}'
    if table.problems:
        text += f'. Parameters and FLOPs are not computed: {"; ".join(table.problems)}'
    return text + '.'


def _latency_section(device: str, latencies: dict[str, Latency]) -> str:
    rows = [
        [
            name,
            f'{latency.ratio:.2f}',
            f'{1e3 * latency.seconds:.1f}',
            f'{latency.flops / 1e9:.2f}',
            f'{latency.parameters:,}',
        ]
        for name, latency in figure_12(latencies).items()
    ]
    titles = ['upsampler', f'ratio to {REFERENCE}', 'ms', 'G multiply-adds', 'parameters']
    return '\n\n'.join(
        [
            '## Figure 12: what upsamplers cost by themselves',
            f'One step of x2 of a {CHANNELS}x{SIDE}x{SIDE} map, float32, forward, on: '
            f'{markdown_text(device)}, '
            'whose milliseconds these are: not those of the paper.',
            markdown_table(titles, rows),
        ]
    )
