"""A lock that the kernel frees when the last process that holds it ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import IO


class LockTaken(RuntimeError):
    """Another process holds a lock."""


@contextlib.contextmanager
def file_lock(path: str, wait: bool = True) -> Iterator[IO]:
    """Hold a lock during a ``with`` block.

    It uses flock, which Linux (2.6.12 and later) also supports on NFS, between machines.

    Args:
        path (str): The lock's file; made, with its folder, if missing.
        wait (bool): Whether to wait while another process holds the lock. Defaults to True.

    Yields:
        IO: The open file. Processes that inherit it hold the lock too.

    Raises:
        LockTaken: If another process holds the lock, and ``wait`` is False.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockTaken(f'another process holds {path}') from error
        yield file


def is_locked(path: str) -> bool:
    """Whether a process holds a lock.

    Args:
        path (str): The lock's file.

    Returns:
        bool: Whether it is held; False if there is no such file.
    """
    if not os.path.isfile(path):
        return False
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
