"""Folders of generated data, written where they are missing."""

import os

from ..datasets.scenes.folder import record_name
from ..datasets.scenes.writers import WRITERS
from ..utils.files import check_writable, read_json
from .file_lock import file_lock


def data_folder(data_root: str | None, kind: str) -> str:
    """The folder of a kind of generated data: the given one, or that of the kind in ``data``."""
    return os.path.abspath(data_root or os.path.join('data', kind))


def make_missing_data(data_root: str, kind: str, **options: int) -> None:
    """Write generated data to a folder that has none.

    Several processes may call this at once: one writes, the others wait.

    Args:
        data_root (str): The folder.
        kind (str): The kind of data, such as 'scenes'.
        **options: Arguments of its writer, which data that is there must have been written with.

    Raises:
        OSError: If it cannot be written to.
        ValueError: If it has data of other options.
    """
    # The record is written last, so that a folder with one is complete.
    record = os.path.join(data_root, record_name(kind))
    if not os.path.isfile(record):
        check_writable(data_root, 'data_root', is_folder=True)
        with file_lock(os.path.abspath(data_root) + '.lock'):
            if not os.path.isfile(record):
                WRITERS[kind](data_root, **options)
    written = read_json(record, 'data_root') if options else {}
    for name, value in options.items():
        if written.get(name) != (list(value) if isinstance(value, tuple) else value):
            raise ValueError(
                f'data_root: {data_root} has {kind} of {name} {written.get(name)}, {value} are '
                'needed; choose another folder'
            )
