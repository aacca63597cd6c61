"""A lock that the kernel frees when the last process that has it ends, however it does."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def file_lock(path: str) -> Iterator[IO]:
    """Keeps other processes from the same lock: they wait here.

    Args:
        path (str): The lock's file; made, with its folder, if missing.

    Yields:
        file: Processes that inherit it keep the lock, too.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def is_locked(path: str) -> bool:
    """Whether a process has a lock.

    Args:
        path (str): The lock's file.

    Returns:
        bool: False as well if there is no such file.
    """
    if not os.path.isfile(path):
        return False
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
