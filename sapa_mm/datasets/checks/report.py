"""The lines of a report on data."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...utils.log import log_warning

_SHOWN = 10
"""Number of problems of one kind that are spelled out."""


@dataclass(frozen=True)
class ReportLine:
    """One line of a report on data.

    Attributes:
        kind (str): 'error', 'note' for what may be intended, or 'right' for data without errors.
        text (str): The message.
    """

    kind: str
    text: str


def shorten(problems: list[str]) -> list[str]:
    """Cut a long list of problems.

    Args:
        problems (list[str]): The problems.

    Returns:
        list[str]: The first problems; the last one says how many are left out.
    """
    left_out = len(problems) - _SHOWN - 1
    if left_out <= 0:
        return problems
    return [*problems[:_SHOWN], f'{problems[_SHOWN]} ... and {left_out:,} more']


def raise_error(lines: Iterable[ReportLine]) -> None:
    """Raise the first error of a report, and log the notes before it as warnings.

    Args:
        lines (Iterable[ReportLine]): The report.

    Raises:
        ValueError: The error.
    """
    for line in lines:
        if line.kind == 'error':
            raise ValueError(line.text)
        if line.kind == 'note':
            log_warning(line.text)
