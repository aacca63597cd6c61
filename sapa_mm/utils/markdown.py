"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], align: str | None = None
) -> str:
    """Formats a table.

    Args:
        header (Sequence[str]): The titles of the columns.
        rows (Iterable[Sequence]): The cells of each row, as many as there are titles. Vertical bars
            in them are escaped, and line breaks become spaces.
        align (str, optional): A letter for each column: 'l' left, 'r' right. Defaults to None, all
            as the viewer has it.

    Returns:
        str: The table, without a line break at its end.

    Raises:
        ValueError: If a row has another number of cells than the header.
    """
    rules = {'l': '---', 'r': '---:'}
    lines = [_line(header), '|' + '|'.join(rules[a] for a in align or 'l' * len(header)) + '|']
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f'row has {len(row)} cells, the header {len(header)}: {row}')
        lines.append(_line(row))
    return '\n'.join(lines)


def _line(cells: Sequence[object]) -> str:
    texts = (str(cell).replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(texts)} |'
