"""Checks of users' data.

``check_data`` checks the files of a config before a run, ``inspect_data`` also opens images, for
``tools/check_data.py``.
"""

from .config import check_data, check_dataset, inspect_data
from .report import ReportLine

__all__ = ['ReportLine', 'check_data', 'check_dataset', 'inspect_data']
