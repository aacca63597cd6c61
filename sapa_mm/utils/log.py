"""One line in the log of a run; without a run, on the standard output."""

import logging

from .text import printable


def log_info(message: str) -> None:
    """Logs a message by mmengine's current logger, with control characters escaped."""
    _log(message, logging.INFO)


def log_warning(message: str) -> None:
    """Logs a warning by mmengine's current logger, with control characters escaped."""
    _log(message, logging.WARNING)


def _log(message: str, level: int) -> None:
    from mmengine.logging import print_log

    print_log(printable(message), logger='current', level=level)
