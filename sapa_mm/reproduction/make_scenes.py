"""Scenes for runs on them, where they are missing."""

import os

from ..datasets.scenes.writers import RECORD, write_scenes
from .file_lock import file_lock


def make_missing_scenes(data_root: str) -> None:
    """Writes scenes to a folder that has none; of several processes one does, the others wait.

    Args:
        data_root (str): The folder.
    """
    # The record is written last. Only a folder without one needs the lock, which is beside it.
    if not _are_there(data_root):
        with file_lock(os.path.abspath(data_root) + '.lock'):
            if not _are_there(data_root):
                write_scenes(data_root)


def _are_there(data_root: str) -> bool:
    return os.path.isfile(os.path.join(data_root, RECORD))
