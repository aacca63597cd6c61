"""Folders of generated data, written where they are missing."""

import os

from ..datasets.scenes.folder import record_name
from ..datasets.scenes.writers import WRITERS
from ..utils.files import check_writable
from .file_lock import file_lock


def data_folder(data_root: str | None, kind: str) -> str:
    """The folder of a kind of generated data: the given one, or that of the kind in ``data``."""
    return os.path.abspath(data_root or os.path.join('data', kind))


def make_missing_data(data_root: str, kind: str) -> None:
    """Write generated data to a folder that has none.

    Several processes may call this at once: one writes, the others wait.

    Args:
        data_root (str): The folder.
        kind (str): The kind of data, such as 'scenes'.

    Raises:
        OSError: If it cannot be written to.
    """
    # The record is written last, so that a folder with one is complete.
    record = os.path.join(data_root, record_name(kind))
    if not os.path.isfile(record):
        check_writable(data_root, 'data_root', is_folder=True)
        with file_lock(os.path.abspath(data_root) + '.lock'):
            if not os.path.isfile(record):
                WRITERS[kind](data_root)
