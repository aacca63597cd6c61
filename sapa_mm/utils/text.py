"""Text for people: messages of one line, Markdown tables and HTML pages."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

# Terminals obey these or reverse the text by them; lone surrogates cannot be written to a file.
_CONTROL = re.compile('[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')


def printable(text: str) -> str:
    """Escapes control characters and line breaks, which names in a file may hold."""
    return _CONTROL.sub(lambda match: match[0].encode('unicode_escape').decode(), text)


def accent_hint(name: str, names: Iterable[str]) -> str:
    """Explains that a name looks like one of others, and yet is not; macOS takes accents apart."""
    form = unicodedata.normalize('NFC', name)
    if any(form == unicodedata.normalize('NFC', other) for other in names if other != name):
        return '; there, the accents of the name have another Unicode form (NFC, NFD)'
    return ''


def one_line(error: BaseException) -> str:
    """The type of an error and the first line of its message; some messages fill pages."""
    first = str(error).strip().partition('\n')[0]
    return f'{type(error).__name__}: {first}' if first else type(error).__name__


def first_of(items: Sequence, limit: int = 3) -> str:
    """Lists the first items.

    Args:
        items (Sequence): The items.
        limit (int): How many to list. Defaults to 3.

    Returns:
        str: The items, followed by dots if some are left out.
    """
    return ', '.join(map(str, items[:limit])) + (', ...' if len(items) > limit else '')


def cut(texts: Iterable[str], shown: int = 3, more: int = 0) -> list[str]:
    """Cuts a long list of messages.

    Args:
        texts (Iterable[str]): The messages.
        shown (int): How many to keep. Defaults to 3.
        more (int): Number of messages that were left out before. Defaults to 0.

    Returns:
        list[str]: The first messages, and one more that says how many are left out after it.
    """
    texts = list(texts)
    left_out = len(texts) + more - shown - 1
    if left_out <= 0:
        return texts
    return [*texts[:shown], f'{texts[shown]} ... and {left_out:,} more']


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], align: str | None = None
) -> str:
    """Formats a table.

    Args:
        header (Sequence[str]): The titles of the columns.
        rows (Iterable[Sequence]): The cells of each row, as many as there are titles. Vertical bars
            are escaped, and line breaks become spaces; see ``markdown_text``.
        align (str, optional): A letter per column: 'l' left, 'r' right. Defaults to None, the
            viewer's alignment.

    Returns:
        str: The table, without a trailing line break.

    Raises:
        ValueError: If a row and the header differ in their numbers of cells.
    """
    rules = {'l': '---', 'r': '---:'}
    lines = [_line(header), '|' + '|'.join(rules[a] for a in align or 'l' * len(header)) + '|']
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f'row has {len(row)} cells, the header {len(header)}: {row}')
        lines.append(_line(row))
    return '\n'.join(lines)


def _line(cells: Sequence[object]) -> str:
    return f'| {" | ".join(markdown_text(str(cell)) for cell in cells)} |'


def markdown_text(text: str) -> str:
    """Escapes HTML, links, and what would end a line or cell; ``<ins>`` and emphasis stay."""
    text = printable(text.replace('\n', ' '))
    # Before a space, < is no tag.
    text = re.sub(r'<(?!/?ins>| )', '&lt;', text).replace('](', ']\\(')
    return re.sub(r'(\\*)\|', r'\1\1\\|', text)


def fill_page(package: str, template: str, **content) -> str:
    """Fills in an HTML template; whatever is not marked as safe is escaped.

    Args:
        package (str): The package that contains the template.
        template (str): Its file name.
        **content: Values for the names in it; a missing one is an error.

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
