"""Text for people: messages of one line, Markdown tables and HTML pages."""

from collections.abc import Iterable, Sequence


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its message; some have pages of them."""
    first = str(error).strip().partition('\n')[0]
    return f'{type(error).__name__}: {first}' if first else type(error).__name__


def first_of(things: Sequence, most: int = 3) -> str:
    """Names a few things.

    Args:
        things (Sequence): The things.
        most (int): How many are named. Defaults to 3.

    Returns:
        str: Their names, with dots for those left out.
    """
    return ', '.join(map(str, things[:most])) + (', ...' if len(things) > most else '')


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


def fill_page(package: str, template: str, **content) -> str:
    """Fills in a template; what is not marked as safe is escaped.

    Args:
        package (str): The package in whose folder the template lies.
        template (str): Its file.
        **content: What it refers to; a name that is missing is an error.

    Returns:
        str: The page.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, '.'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**content)
