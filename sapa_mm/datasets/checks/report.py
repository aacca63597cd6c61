"""The lines of a report on data."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...utils.log import log_warning


@dataclass(frozen=True)
class ReportLine:
    """One line of a report on data.

    Attributes:
        kind (str): 'error', 'note' for what may be intended, or 'right' for data without errors.
        text (str): The message.
    """

    kind: str
    text: str


def has_errors(lines: Iterable[ReportLine]) -> bool:
    """Tell whether a report has an error."""
    return any(line.kind == 'error' for line in lines)


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
