"""Tables of costs as Markdown, CSV and JSON."""

import csv
import io
import json

from ..utils.text import markdown_table
from .complexity import Cost

FORMATS = ('md', 'csv', 'json')
#: Rows of named columns; 'note' is the last.
Table = list[dict[str, str | int | float | None]]


def tabulate_cost(title: str, cost: Cost) -> dict[str, str | int | float | None]:
    """Lays out the cost of a config.

    Args:
        title (str): Name of the model.
        cost (Cost): Its cost.

    Returns:
        dict: The row, without the note; parameters in millions (M), multiply-adds in billions (G).
    """
    return {
        'model': title,
        'trainable, M': round(cost.trainable / 1e6, 3),
        'all, M': round(cost.parameters / 1e6, 3),
        'upsamplers, M': round(cost.upsamplers / 1e6, 3),
        'input': 'x'.join(map(str, cost.shape)),
        'counted, G': round(cost.flops.counted / 1e9, 3),
        'upsamplers, G': _billions(cost.flops.upsamplers),
        'by formula, G': _billions(cost.flops.upsamplers_by_formula),
    }


def format_report(report: dict[str, Table], form: str) -> str:
    """Formats tables.

    Args:
        report (dict[str, Table]): Non-empty tables by their headings.
        form (str): One of ``FORMATS``. In Markdown the notes follow each table.

    Returns:
        str: The text, ending with a newline.
    """
    if form == 'json':
        return json.dumps(report, indent=1, ensure_ascii=False) + '\n'
    if form == 'csv':
        return _format_csv(report)
    return '\n'.join(_format_markdown(heading, table) for heading, table in report.items())


def _format_markdown(heading: str, table: Table) -> str:
    columns = [column for column in table[0] if column != 'note']
    notes = list(dict.fromkeys(row['note'] for row in table if row['note']))
    rows = []
    for row in table:
        cells = [_format_cell(row[column]) for column in columns]
        if row['note']:
            cells[0] += f' [{notes.index(row["note"]) + 1}]'
        rows.append(cells)
    parts = [f'## {heading}', markdown_table(columns, rows)]
    parts += [f'[{number}] {note}.' for number, note in enumerate(notes, 1)]
    return '\n\n'.join(parts) + '\n'


def _format_csv(report: dict[str, Table]) -> str:
    """Format one table with the columns of all."""
    rows = [{'table': heading, **row} for heading, table in report.items() for row in table]
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
