"""What a look at data finds, a line each."""

from dataclasses import dataclass

#: Lines of one kind of problem that are spelled out.
_MOST = 10


@dataclass(frozen=True)
class Finding:
    """Something found in the data.

    Attributes:
        kind (str): 'error'; 'note', of what may be meant so; or 'right', of what was looked at.
        text (str): A line.
    """

    kind: str
    text: str


def shorten(lines: list[str]) -> list[str]:
    """Cuts a long list of problems.

    Args:
        lines (list[str]): The problems.

    Returns:
        list[str]: Some of them, the last with the number of those left out.
    """
    left_out = len(lines) - _MOST - 1
    if left_out <= 0:
        return lines
    return [*lines[:_MOST], f'{lines[_MOST]} ... and {left_out:,} more']
