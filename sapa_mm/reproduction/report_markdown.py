"""A report as Markdown."""

from collections.abc import Sequence

from .latency import CHANNELS, REFERENCE, SIDE, Latency, figure_12
from .report import Cell, ReportTable
from .report_texts import EXPLANATION, SMALL, describe_runs

_MARKS = {1: '**{}**', 2: '<ins>{}</ins>'}


def format_markdown(tables: Sequence[ReportTable], figures: Sequence[str] = ()) -> str:
    """Formats a report.

    Args:
        tables (Sequence[ReportTable]): Its tables.
        figures (Sequence[str]): More sections, as Markdown. Defaults to none.

    Returns:
        str: The text, ending with a newline.
    """
    sections = ['# The paper, and what was measured', EXPLANATION]
    if any(table.is_small for table in tables):
        sections.append(SMALL)
    sections += [_format_table(table) for table in tables]
    return '\n\n'.join([*sections, *figures]) + '\n'


def _format_table(table: ReportTable) -> str:
    titles = ['model', *(f'{c.group}: {c.name}' if c.name else c.group for c in table.columns)]
    lines = [
        f'## Table {table.table.number}: {table.table.title}',
        '',
        describe_runs(table),
        '',
        f'| {" | ".join(titles)} |',
        '|---' * len(titles) + '|',
    ]
    for row in table.rows:
        cells = [row.row.title, *(_format_cell(cell) for cell in row.cells)]
        lines.append(f'| {" | ".join(cells)} |')
    for number, note in enumerate(table.notes, 1):
        lines += ['', f'[{number}] {note}.']
    return '\n'.join(lines)


def _format_cell(cell: Cell) -> str:
    # A message may hold what ends a cell.
    text = cell.text.replace('|', '\\|').replace('\n', ' ')
    text = _MARKS.get(cell.rank, '{}').format(text)
    return f'{text} [{cell.number}]' if cell.number else text


def format_latencies(device: str, latencies: dict[str, Latency]) -> str:
    """Formats Figure 12 as a table.

    Args:
        device (str): Where it was measured.
        latencies (dict[str, Latency]): By name; rows of Table 13 are left out.

    Returns:
        str: A section for :func:`format_markdown`.
    """
    lines = [
        '## Figure 12: what upsamplers cost by themselves',
        '',
        f'One step of x2 of a {CHANNELS}x{SIDE}x{SIDE} map, float32, forward, on: {device}, '
        'whose milliseconds these are: not those of the paper.',
        '',
        f'| upsampler | ratio to {REFERENCE} | ms | G multiply-adds | parameters |',
        '|---|---|---|---|---|',
    ]
    for name, one in figure_12(latencies).items():
        cells = [f'{one.ratio:.2f}', f'{1e3 * one.seconds:.1f}', f'{one.flops / 1e9:.2f}']
        lines.append(f'| {name} | {" | ".join(cells)} | {one.parameters:,} |')
    return '\n'.join(lines)
