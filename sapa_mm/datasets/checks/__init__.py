"""Checks of users' data.

``check_dataset`` and ``check_evaluator`` check the files of a config before a run.
``inspect_data`` also reads annotations and opens images, for ``tools/check_data.py``.
"""

from .files import check_dataset, check_evaluator
from .report import ReportLine
from .samples import inspect_data

__all__ = ['ReportLine', 'check_dataset', 'check_evaluator', 'inspect_data']
